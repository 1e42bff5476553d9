/*
 * wait.h - what a thread waits in: its phase, its time limit, and the queue of
 * threads that are ready. This is where any wait ends: sl_wait_finish.
 *
 * A wait is a part of what a thread can wait for, and anchors nothing. It has
 * an operation, which is tried until it is finished (operation.h).
 *
 * The phases:
 *
 *     IDLE ---> PARKED ---> DONE ---> IDLE
 *       \        |  ^        ^
 *        \       v  |       /
 *         \---> QUEUED ----/
 *
 * A thread that has to wait parks, or queues if its operation can go on as soon
 * as other threads had their turn. A parked wait ends when its operation is
 * finished, when its time is over or when something closes. The ready queue
 * holds the threads of waits that are queued or done.
 */

#ifndef SL_WAIT_H
#define SL_WAIT_H

#include "loop/loop.h"
#include "loop/timer.h"
#include "thread/thread.h"

/* Tries an operation: 0 when it is finished, SL_AGAIN when it must wait,
 * SL_BUSY when it used up its share, else how it failed (error.h). It must
 * not raise, and L is not its thread's. */
typedef int (*sl_attempt)(lua_State *L, sl_source *source);

typedef struct sl_operation {
    sl_attempt attempt;
    int (*results)(lua_State *L, sl_wait *wait);    /* pushes the results;
                               NULL where a C function waits on its fiber */
} sl_operation;

enum sl_wait_phase {
    SL_WAIT_IDLE,           /* no thread is in it */
    SL_WAIT_PARKED,         /* its thread waits for readiness, time or both */
    SL_WAIT_QUEUED,         /* its thread is ready: the operation goes on */
    SL_WAIT_DONE            /* its thread is ready: it gets the results */
};

typedef struct sl_timeout sl_timeout;

struct sl_wait {
    sl_thread *thread;      /* in it, anchored by its record; or NULL */
    const sl_operation *operation;
    sl_timeout *timeout;    /* owned; NULL until a wait has a time limit */
    short status;           /* of the operation, as it returned */
    unsigned char phase;    /* of enum sl_wait_phase */
    unsigned char writes;   /* it is its source's writer */
    unsigned char interest; /* SL_READABLE or SL_WRITABLE; 0: only the time */
    unsigned char progress; /* set by the operation when bytes moved */
    unsigned char has_timeout;    /* this one has a time limit */
    unsigned char reserved; /* for a server's thread, also while it runs */
};

/* How long a wait may take. */
struct sl_timeout {
    sl_wait *wait;          /* borrowed */
    double block;           /* limit of one wait in seconds, or negative */
    double until;           /* deadline of the call, or negative */
    double deadline;        /* of this wait: the earlier one, or negative */
    sl_timer timer;         /* may fire early: it is moved lazily */
};

static inline int sl_wait_isparked(const sl_wait *wait)
{
    return wait->phase == SL_WAIT_PARKED;
}

/* The loop of a thread's wait. */
static inline sl_loop *sl_wait_loop(const sl_wait *wait)
{
    return wait->thread->loop;
}

/* --- the ready queue --------------------------------------------------- */

/* Puts a thread at the end of the queue. */
static inline void sl_wait_enqueue(sl_loop *loop, sl_thread *t)
{
    t->next = NULL;
    t->prev = loop->last;
    if (loop->last != NULL)
        loop->last->next = t;
    else
        loop->first = t;
    loop->last = t;
    loop->ready++;
}

/* Takes a thread out of the queue. */
static inline void sl_wait_dequeue(sl_loop *loop, sl_thread *t)
{
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        loop->first = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    else
        loop->last = t->prev;
    loop->ready--;
}

/* --- phases ------------------------------------------------------------ */

/* A thread of the loop begins to wait: it parks or queues next. */
static inline void sl_wait_enter(sl_wait *wait, sl_loop *loop, sl_thread *t)
{
    wait->thread = t;
    t->loop = loop;
    t->wait = wait;
}

/* The wait's thread waits for readiness or time from now on. 0 or ENOMEM, and
 * then nothing has changed. Who waits for readiness also has to update the
 * poller. */
int sl_wait_park(sl_wait *wait);

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

/* Ends the wait, if a thread is in it and the wait isn't over already: its
 * operation has that status, and the thread is ready. */
void sl_wait_finish(sl_wait *wait, int status);

/* The wait is free for the next thread. Its thread has got its results, or
 * does not wait after all. */
void sl_wait_leave(sl_wait *wait);

/* --- threads that have left -------------------------------------------- */

/* The thread is not in its wait any more (sl_thread_waits): the wait is free,
 * and the thread ready, so that its record ends in its turn. */
void sl_wait_drop(lua_State *L, sl_wait *wait);

/* The operation will not go on: releases what it holds. */
void sl_wait_giveup(lua_State *L, sl_wait *wait);

/* Whether a thread is in the wait. It may have left without notice, as its
 * coroutine was closed or resumed by other means. */
int sl_wait_occupied(lua_State *L, sl_wait *wait);

/* Makes the threads ready that have left their waits in this loop. Looks at the
 * records of all threads. */
void sl_wait_patrol(lua_State *L, sl_loop *loop);

/* The wait's memory is about to go. */
void sl_wait_free(sl_wait *wait, sl_loop *loop);

/* --- time limits ------------------------------------------------------- */

/* Limits the wait if block or until is not negative. 0 or ENOMEM. */
int sl_wait_settimeout(sl_wait *wait, double block, double until);

/* Sets the deadline of a limited wait that begins now. 0 or ENOMEM. */
int sl_wait_setdeadline(sl_wait *wait, double now);

/* Whether the operation may only be tried. */
static inline int sl_wait_isinstant(const sl_wait *wait)
{
    return wait->has_timeout &&
           (wait->timeout->block == 0 || wait->timeout->until == 0);
}

#endif
