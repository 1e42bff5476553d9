/*
 * wait.h - what threads wait for (the types are in loop.h).
 *
 * A wait is parked while its thread waits for readiness or time; then the
 * thread is ready, that is in the queue of those whose turn will come.
 */

#ifndef SL_WAIT_H
#define SL_WAIT_H

#include "loop/loop.h"
#include "loop/source.h"
#include "thread/hook.h"

enum { SL_OPERATIONS_MAX = 64 };    /* by a thread, before it's others' turn */

/* An operation of the running thread is finished before it has begun. False
 * if the thread had its share: it has to begin it. */
static inline int sl_wait_spare(const sl_wait *wait)
{
    sl_thread *t = sl_wait_source(wait)->loop->threads->running;
    return t != NULL && t->spent < SL_OPERATIONS_MAX ? ++t->spent : 0;
}

/* [-0, +0, m] Why the calling thread must not wait in that loop; NULL if it
 * may. */
static inline const char *sl_wait_obstacle(lua_State *L, const sl_loop *loop)
{
    const void *own = sl_thread_loop(loop->threads->running);
    if (own != loop && own != NULL)
        return "a thread of another loop cannot wait in this one; it takes "
               "functions and sockets of its own loop";
    return sl_hook_refuses(L, loop->threads);
}

/* [-0, +0, e] Raises if it must not. */
static inline void sl_wait_checkobstacle(lua_State *L, const sl_loop *loop)
{
    const char *obstacle = sl_wait_obstacle(L, loop);
    if (obstacle != NULL)
        luaL_error(L, "%s", obstacle);
}

/* [-0, +0, m] Counts an operation of the running thread. True if it is the
 * others' turn before that, and the thread may stop here. */
static inline int sl_wait_isdue(lua_State *L, const sl_loop *loop)
{
    sl_thread *t = loop->threads->running;
    return t != NULL && ++t->spent > SL_OPERATIONS_MAX &&
           sl_wait_obstacle(L, loop) == NULL;
}

/* Raises: somebody else uses this wait. `what` names the calling function. */
void sl_wait_refuse(lua_State *L, const char *what);

/* The rest of sl_wait_check, where something is unusual. */
void sl_wait_checkall(lua_State *L, sl_wait *wait, const char *what);

/* Raises where the calling thread must not use this wait: somebody else
 * does, or there is no thread. */
static inline void sl_wait_check(lua_State *L, sl_wait *wait,
                                 const char *what)
{
    if (wait->thread != NULL || wait->reserved ||
        sl_wait_source(wait)->loop->threads->running == NULL)
        sl_wait_checkall(L, wait, what);
}

/* Whether a thread is in the wait: it may have left it without a word, when
 * its coroutine was closed, or resumed by somebody else. */
int sl_wait_occupied(lua_State *L, sl_wait *wait);

/* Ends the running C function in an operation: tries it, and waits for it if
 * it must, at most block seconds at a time and total seconds in all
 * (negative: no limit), and pushes what it gave. */
int sl_wait_operate(lua_State *L, sl_wait *wait, const sl_operation *operation,
                    double block, double total);

/* The same for straight-line C in a thread of our own, for at most limit
 * seconds: returns the operation's status. Who changes the wait's interest for
 * it calls sl_wait_checkobstacle before, so that this does not raise. */
int sl_wait_block(lua_State *L, sl_wait *wait, const sl_operation *operation,
                  double limit);

/* What is done as soon as the socket is found open: with sl_wait_block, the
 * others' turn if this thread had its share. */
extern const sl_operation sl_wait_turn;

/* In straight-line C too, where no event tells of readiness: tries it now and
 * then; returns its status. Raises outside of threads, if it has to wait. */
int sl_wait_poll(lua_State *L, sl_wait *wait, sl_attempt attempt,
                 double block, double total);

/* Waits so many seconds (only until its next turn if there's no memory) or
 * until the socket is closed: 0 or SL_CLOSED. Only in a thread. */
int sl_wait_pause(lua_State *L, sl_wait *wait, double seconds);

/* Wakes the waiting thread, if there is one, with the given status. */
void sl_wait_finish(sl_wait *wait, int status);

/* --- for the loop ------------------------------------------------------ */

/* Puts a thread into the ready queue. */
static inline void sl_wait_ready(sl_loop *loop, sl_thread *t)
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

/* Takes it out. */
static inline void sl_wait_unready(sl_loop *loop, sl_thread *t)
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

/* The thread is not in its wait any more (sl_thread_waits): the wait is free,
 * and the thread ready, so its record ends in its turn. */
void sl_wait_drop(lua_State *L, sl_wait *wait);

/* Makes the threads ready that have left their waits in this loop. Looks at the
 * records of all threads. */
void sl_wait_patrol(lua_State *L, sl_loop *loop);

/* Tries the operation; returns its status. An answer of SL_AGAIN for which
 * it may not wait is a timeout. */
int sl_wait_try(lua_State *L, sl_wait *wait);

/* The thread begins to wait for readiness; 0 or why it can't. */
int sl_wait_park(sl_wait *wait);

/* It does not wait for readiness any more. */
static inline void sl_wait_unpark(sl_wait *wait)
{
    wait->parked = 0;
    sl_wait_source(wait)->loop->waiting--;
    if (!sl_wait_source(wait)->loop->type->edge_triggered)
        sl_source_tell(sl_wait_source(wait));
}

/* The operation has that status now; a parked thread is ready. */
static inline void sl_wait_end(sl_wait *wait, int status)
{
    wait->status = status;
    if (wait->parked) {
        sl_wait_unpark(wait);
        sl_wait_ready(sl_wait_source(wait)->loop, wait->thread);
    }
}

/* Frees the wait's limits; its source is about to go. */
void sl_wait_freelimits(sl_wait *wait);

/* Sets the deadline of a limited wait that begins now; 0 or ENOMEM. */
int sl_wait_setdeadline(sl_wait *wait, double now);

#endif
