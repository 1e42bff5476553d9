/*
 * wait.h - waits of threads, and the queue of threads that are ready.
 * sl_wait_finish ends any wait.
 *
 * A wait is one of the two directions of a source (source.h), for an operation
 * there; or it is a thread's own, for a sleep or a suspension (sleep.h). A
 * thread's current wait is t->wait. NULL: the thread runs, or it was stopped by
 * other means than the loop's.
 *
 * The phases:
 *
 *     IDLE ---> PARKED ---> DONE ---> IDLE
 *       \        |  ^        ^
 *        \       v  |       /
 *         \---> QUEUED ----/
 *
 * A thread parks to wait for readiness, time, or both. It queues if it can
 * continue after the turns of the threads that are ready already. A wait is
 * done when its operation is finished, its time is over, or its socket was
 * closed. The ready queue holds the threads of waits that are queued or done.
 */

#ifndef SL_WAIT_H
#define SL_WAIT_H

#include "loop/loop.h"
#include "loop/timer.h"
#include "thread/thread.h"

enum sl_wait_kind {
    SL_WAIT_READER,         /* of a source */
    SL_WAIT_WRITER,
    SL_WAIT_SLEEP,          /* a thread's own, in sl_own */
    SL_WAIT_SUSPENSION
};

enum sl_wait_phase {
    SL_WAIT_IDLE,           /* no thread is in the wait */
    SL_WAIT_PARKED,         /* its thread waits for readiness or time */
    SL_WAIT_QUEUED,         /* its thread is ready to continue the operation */
    SL_WAIT_DONE            /* its thread is ready to get the results */
};

struct sl_wait {
    sl_thread *thread;      /* the thread in the wait, anchored by its record;
                               or NULL */
    short status;           /* returned by the operation, or given to
                               sl_wait_finish */
    unsigned char kind;     /* of enum sl_wait_kind */
    unsigned char phase;    /* of enum sl_wait_phase */
    unsigned char interest; /* SL_READABLE or SL_WRITABLE; 0: none */
    unsigned char progress; /* set by the operation when bytes moved */
    unsigned char has_timeout;    /* the current wait has a time limit */
    unsigned char reserved; /* kept for a server's thread, also while that
                               runs */
};

/* A thread's own wait, in sl_thread.own. Timer and queue share memory: a
 * sleeping thread is not ready, and a ready thread needs no timer. */
typedef struct sl_own {
    sl_wait wait;
    union {
        sl_timer timer;                   /* while a sleep is parked */
        struct {
            sl_thread *prev, *next;       /* while the thread is in the ready
                                             queue */
        } queue;
    } place;
} sl_own;

/* Fails to compile if sl_thread_own is too small. */
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

/* --- the ready queue --------------------------------------------------- */

/* Adds a thread at the end of the ready queue. */
static inline void sl_wait_enqueue(sl_loop *loop, sl_thread *t)
{
    sl_own *own = sl_wait_own(t);
    own->place.queue.next = NULL;
    own->place.queue.prev = loop->last;
    if (loop->last != NULL)
        sl_wait_own(loop->last)->place.queue.next = t;
    else
        loop->first = t;
    loop->last = t;
    loop->ready++;
}

/* Removes a thread from the ready queue. */
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

/* --- phases ------------------------------------------------------------ */

/* Puts a thread of the loop into an idle wait. The caller parks or queues the
 * wait next. */
static inline void sl_wait_enter(sl_wait *wait, sl_loop *loop, sl_thread *t)
{
    wait->thread = t;
    t->loop = loop;
    t->wait = wait;
}

/* Parks the wait. The caller updates the poller's interest or sets a timer. */
static inline void sl_wait_park(sl_wait *wait)
{
    sl_loop *loop = sl_wait_loop(wait);
    if (wait->phase == SL_WAIT_QUEUED)
        sl_wait_dequeue(loop, wait->thread);
    wait->phase = SL_WAIT_PARKED;
    loop->waiting++;
}

/* Slow path of sl_wait_queue: the wait is parked or queued. */
void sl_wait_requeue(sl_wait *wait);

/* Queues the wait: its thread goes to the end of the ready queue. */
static inline void sl_wait_queue(sl_wait *wait)
{
    if (wait->phase == SL_WAIT_PARKED || wait->phase == SL_WAIT_QUEUED) {
        sl_wait_requeue(wait);
        return;
    }
    wait->phase = SL_WAIT_QUEUED;
    sl_wait_enqueue(sl_wait_loop(wait), wait->thread);
}

/* Queues a parked wait: something has changed on which its operation
 * depends. */
static inline void sl_wait_retry(sl_wait *wait)
{
    if (wait->phase == SL_WAIT_PARKED)
        sl_wait_requeue(wait);
}

/* Slow path of sl_wait_finish: the wait is parked. */
void sl_wait_finishparked(sl_wait *wait, int status);

/* Ends a wait that is parked or queued: sets its status and makes its thread
 * ready. */
static inline void sl_wait_finish(sl_wait *wait, int status)
{
    if (wait->phase == SL_WAIT_PARKED) {
        sl_wait_finishparked(wait, status);
    } else if (wait->phase == SL_WAIT_QUEUED) {
        wait->phase = SL_WAIT_DONE;
        wait->status = (short)status;
    }
}

/* Frees a wait whose thread has its results. */
static inline void sl_wait_leave(sl_wait *wait)
{
    wait->phase = SL_WAIT_IDLE;
    wait->thread = NULL;
}

/* Undoes sl_wait_enter and sl_wait_park, as the thread does not wait after
 * all. */
void sl_wait_undo(sl_wait *wait);

#endif
