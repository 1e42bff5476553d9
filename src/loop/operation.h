/*
 * operation.h - operations of threads. An operation is tried at once, and the
 * thread waits if the operation must wait. A thread that has used up its budget
 * of operations gives way: the other ready threads have a turn before it
 * continues.
 */

#ifndef SL_OPERATION_H
#define SL_OPERATION_H

#include "loop/source.h"
#include "thread/hook.h"

enum { SL_OPERATIONS_MAX = 64 };    /* the budget of a thread for one turn */

/* Charges one operation to the running thread's budget. True: the caller may
 * complete the operation itself. False: the budget is used up, and only
 * sl_operation_run lets other threads run first. */
static inline int sl_operation_charge(const sl_wait *wait)
{
    sl_thread *t = sl_source_of(wait)->loop->threads->running;
    return t != NULL && t->spent < SL_OPERATIONS_MAX ? ++t->spent : 0;
}

/* [-0, +0, m] Returns why the calling thread must not wait in that loop; NULL
 * if it may. */
static inline const char *sl_operation_obstacle(lua_State *L,
                                                const sl_loop *loop)
{
    const void *own = sl_thread_loop(loop->threads->running);
    if (own != loop && own != NULL)
        return "a thread of another loop cannot wait in this one; it takes "
               "functions and sockets of its own loop";
    return sl_hook_refuses(L, loop->threads);
}

/* [-0, +0, e] Raises if the calling thread must not wait in that loop. */
static inline void sl_operation_checkobstacle(lua_State *L,
                                              const sl_loop *loop)
{
    const char *obstacle = sl_operation_obstacle(L, loop);
    if (obstacle != NULL)
        luaL_error(L, "%s", obstacle);
}

/* [-0, +0, m] Charges one operation to the running thread's budget. True if the
 * budget is used up, and the thread may stop here. */
static inline int sl_operation_isdue(lua_State *L, const sl_loop *loop)
{
    sl_thread *t = loop->threads->running;
    return t != NULL && ++t->spent > SL_OPERATIONS_MAX &&
           sl_operation_obstacle(L, loop) == NULL;
}

/* Raises: another thread uses this wait. `what` names the calling function. */
void sl_operation_refuse(lua_State *L, const char *what);

/* Slow path of sl_operation_check. */
void sl_operation_checkall(lua_State *L, sl_wait *wait, const char *what);

/* Raises if the calling function must not use this wait: another thread uses
 * it, or the caller is no thread. */
static inline void sl_operation_check(lua_State *L, sl_wait *wait,
                                      const char *what)
{
    if (wait->thread != NULL || wait->reserved ||
        sl_source_of(wait)->loop->threads->running == NULL)
        sl_operation_checkall(L, wait, what);
}

/* Ends the running C function in an operation: tries it, waits if it must wait,
 * and pushes its results. `block` limits the seconds of one wait, `total` those
 * of the call (negative: no limit). */
int sl_operation_run(lua_State *L, sl_wait *wait,
                     const sl_operation *operation, double block,
                     double total);

/* Runs an operation for at most limit seconds while the calling C function
 * stays on its fiber; returns the operation's status. If the caller changes the
 * wait's interest for the operation, it first calls sl_operation_checkobstacle,
 * so that this function does not raise. */
int sl_operation_block(lua_State *L, sl_wait *wait,
                       const sl_operation *operation, double limit);

/* sl_operation_block with the two limits of sl_operation_run. */
int sl_operation_blocklimited(lua_State *L, sl_wait *wait,
                              const sl_operation *operation, double block,
                              double total);

/* An operation that is finished when it is tried, if the socket is open. With
 * sl_operation_block, the thread gives way if its budget is used up. */
extern const sl_operation sl_operation_turn;

/* For attempts that no readiness announces: tries at growing intervals on the
 * calling function's fiber, and returns the status. Outside of threads, raises
 * if it has to wait. */
int sl_operation_poll(lua_State *L, sl_wait *wait, sl_attempt attempt,
                      double block, double total);

/* Gives way for one turn of the other threads: 0 or SL_CLOSED. Only in a thread
 * that may wait. */
int sl_operation_giveway(lua_State *L, sl_wait *wait);

/* Waits so many seconds, or until the socket is closed: 0 or SL_CLOSED. Without
 * memory for a timer, gives way for one turn. Only in a thread. */
int sl_operation_pause(lua_State *L, sl_wait *wait, double seconds);

/* For the step: tries the operation of a parked or queued wait, and changes the
 * wait's phase according to the status. */
void sl_operation_advance(lua_State *L, sl_wait *wait);

/* --- threads that have left -------------------------------------------- */

/* Frees a wait that its thread has left (sl_thread_waits is false), and makes
 * the thread ready: its record ends in its turn. */
void sl_operation_drop(lua_State *L, sl_wait *wait);

/* Whether a thread is in the wait. Drops the wait if its thread has left
 * without notice, as when its coroutine was closed or resumed by other
 * means. */
int sl_operation_occupied(lua_State *L, sl_wait *wait);

/* Drops all parked waits of this loop whose threads have left. Looks at the
 * records of all threads. */
void sl_operation_patrol(lua_State *L, sl_loop *loop);

#endif
