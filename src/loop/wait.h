/*
 * wait.h - what a thread waits in, and the queue of threads that are ready.
 * sl_wait_finish ends a wait, whatever it is for.
 *
 * A wait is one of two directions of a source (source.h), for an operation on
 * it; or a thread's own, in which it sleeps or is suspended (sleep.h). A
 * thread's current wait is t->wait; NULL: the thread runs, or it was stopped by
 * other means than the loop's.
 *
 * The phases:
 *
 *     IDLE ---> PARKED ---> DONE ---> IDLE
 *       \        |  ^        ^
 *        \       v  |       /
 *         \---> QUEUED ----/
 *
 * A thread parks to wait for readiness, time, or both. It queues if it can go
 * on as soon as other threads have had their turn. A wait is done when its
 * operation is finished, its time is over, or something was closed. The ready
 * queue holds the threads of waits that are queued or done.
 */

#ifndef SL_WAIT_H
#define SL_WAIT_H

#include "loop/loop.h"
#include "loop/timer.h"
#include "thread/thread.h"

enum sl_wait_kind {
    SL_WAIT_READER,         /* of a source */
    SL_WAIT_WRITER,
    SL_WAIT_SLEEP,          /* of a thread, in sl_own */
    SL_WAIT_SUSPENSION
};

enum sl_wait_phase {
    SL_WAIT_IDLE,           /* no thread is in it */
    SL_WAIT_PARKED,         /* its thread waits for readiness or time */
    SL_WAIT_QUEUED,         /* its thread is ready; its operation goes on */
    SL_WAIT_DONE            /* its thread is ready; it gets the results */
};

struct sl_wait {
    sl_thread *thread;      /* in it, anchored by its record; or NULL */
    short status;           /* of the operation, as it returned */
    unsigned char kind;     /* of enum sl_wait_kind */
    unsigned char phase;    /* of enum sl_wait_phase */
    unsigned char interest; /* SL_READABLE or SL_WRITABLE; 0: only the time */
    unsigned char progress; /* set by the operation when bytes moved */
    unsigned char has_timeout;    /* this one has a time limit */
    unsigned char reserved; /* for a server's thread, also while it runs */
};

/* What a loop keeps in a thread (sl_thread.own). A sleeping thread is not
 * ready, and one that is ready needs no timer. */
typedef struct sl_own {
    sl_wait wait;
    union {
        sl_timer timer;                   /* of a parked sleep */
        struct {
            sl_thread *prev, *next;       /* in the ready queue */
        } queue;
    } place;
} sl_own;

/* The area is large enough. */
typedef char sl_own_fits[sizeof(sl_own) <= sizeof(sl_thread_own) ? 1 : -1];

static inline sl_own *sl_wait_own(sl_thread *t)
{
    return (sl_own *)&t->own;
}

static inline int sl_wait_isparked(const sl_wait *wait)
{
    return wait->phase == SL_WAIT_PARKED;
}

/* Whether the wait is a direction of a source. */
static inline int sl_wait_hassource(const sl_wait *wait)
{
    return wait->kind <= SL_WAIT_WRITER;
}

/* The loop of a thread's wait. */
static inline sl_loop *sl_wait_loop(const sl_wait *wait)
{
    return wait->thread->loop;
}

/* --- phases ------------------------------------------------------------ */

/* A thread of the loop begins to wait: it parks or queues next. */
static inline void sl_wait_enter(sl_wait *wait, sl_loop *loop, sl_thread *t)
{
    wait->thread = t;
    t->loop = loop;
    t->wait = wait;
}

/* The wait's thread waits for readiness or time from now on. The caller updates
 * the poller or sets a timer. */
void sl_wait_park(sl_wait *wait);

/* The wait's thread goes to the end of the ready queue; its operation goes on
 * in its turn. */
void sl_wait_queue(sl_wait *wait);

/* Something has changed on which a parked wait's operation depends: it is
 * tried again in its thread's turn. */
static inline void sl_wait_retry(sl_wait *wait)
{
    if (wait->phase == SL_WAIT_PARKED)
        sl_wait_queue(wait);
}

/* Ends a wait, if a thread is in it and the wait isn't over already: that is
 * its status, and the thread is ready. */
void sl_wait_finish(sl_wait *wait, int status);

/* The wait is free for the next thread: its thread has got its results. */
static inline void sl_wait_leave(sl_wait *wait)
{
    wait->phase = SL_WAIT_IDLE;
    wait->thread = NULL;
}

/* A thread that has begun to wait does not wait after all: neither is it ready,
 * nor is the wait parked. */
void sl_wait_cancel(sl_wait *wait);

/* Takes a thread out of the ready queue. */
static inline void sl_wait_dequeue(sl_loop *loop, sl_thread *t)
{
    sl_thread *prev = sl_wait_own(t)->place.queue.prev;
    sl_thread *next = sl_wait_own(t)->place.queue.next;
    if (prev != NULL)
        sl_wait_own(prev)->place.queue.next = next;
    else
        loop->first = next;
    if (next != NULL)
        sl_wait_own(next)->place.queue.prev = prev;
    else
        loop->last = prev;
    loop->ready--;
}

#endif
