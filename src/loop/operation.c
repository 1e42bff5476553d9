/*
 * operation.c - trying operations, and waiting for them. See operation.h; the
 * phases of a wait are in wait.h.
 */

#include "loop/operation.h"

#include "loop/timeout.h"
#include "os/clock.h"
#include "os/error.h"
#include "thread/stop.h"

/* Seconds between attempts that no readiness announces: the first and the
 * longest pause. Each pause is twice as long as the one before. */
static const double first_pause = 0.001, last_pause = 0.03;

/* --- trying ------------------------------------------------------------ */

/* Tries the operation; returns its status. SL_AGAIN becomes SL_TIMEOUT if the
 * wait must not last. */
static inline int try_operation(lua_State *L, sl_wait *wait)
{
    const sl_operation *operation = sl_source_pending(wait)->operation;
    wait->progress = 0;
    int status = operation->attempt(L, sl_source_of(wait));
    if (wait->has_timeout)
        status = sl_timeout_status(wait, status);
    wait->status = (short)status;
    return status;
}

/* Parks the wait: 0 or how it failed. After a failure the wait may be
 * parked. */
static int park_wait(sl_wait *wait)
{
    int err = sl_timeout_begin(wait);
    if (err != 0)
        return err;
    sl_wait_park(wait);
    return sl_source_update(sl_source_of(wait));
}

/* Keeps a wait parked: 0 or how it failed. The attempt may have taken another
 * descriptor or changed the interest. */
static int stay_parked(sl_wait *wait, unsigned old_interest)
{
    sl_source *source = sl_source_of(wait);
    int err = 0;
    if (!source->watched || wait->interest != old_interest)
        err = sl_source_update(source);
    if (err == 0 && wait->progress)
        sl_timeout_renew(wait);
    return err;
}

void sl_operation_advance(lua_State *L, sl_wait *wait)
{
    unsigned interest = wait->interest;
    int was_parked = sl_wait_isparked(wait);
    int status = try_operation(L, wait);
    if (status == SL_AGAIN) {
        int err = was_parked ? stay_parked(wait, interest) : park_wait(wait);
        if (err == 0)
            return;
        status = err;
    }
    if (status == SL_BUSY)
        sl_wait_queue(wait);
    else
        sl_wait_finish(wait, status);
}

/* --- threads that have left -------------------------------------------- */

/* Abandons the operation. A writer's `results` releases what the operation
 * holds. */
static void abandon_operation(lua_State *L, sl_wait *wait)
{
    const sl_operation *operation = sl_source_pending(wait)->operation;
    wait->status = SL_CLOSED;
    if (wait->kind == SL_WAIT_WRITER && operation->results != NULL) {
        int top = lua_gettop(L);
        operation->results(L, wait);
        lua_settop(L, top);
    }
}

void sl_operation_drop(lua_State *L, sl_wait *wait)
{
    sl_thread *t = wait->thread;
    sl_wait_finish(wait, SL_CLOSED);
    t->wait = NULL;
    sl_wait_leave(wait);
    if (sl_wait_hassource(wait))
        abandon_operation(L, wait);
}

/* Whether a thread has left a parked wait of that loop. */
static int has_left(const sl_loop *loop, const sl_thread *t)
{
    const sl_wait *wait = t->wait;
    return t->co != NULL && t->state == SL_WAITING && t->fiber == NULL &&
           t->loop == loop && wait != NULL && sl_wait_isparked(wait) &&
           !sl_thread_waits(t);
}

void sl_operation_patrol(lua_State *L, sl_loop *loop)
{
    sl_thread *t = loop->threads->records;
    for (; t != NULL; t = t->next_record)
        if (has_left(loop, t))
            sl_operation_drop(L, t->wait);
}

int sl_operation_occupied(lua_State *L, sl_wait *wait)
{
    if (wait->thread == NULL)
        return 0;
    if (sl_thread_waits(wait->thread))
        return 1;
    sl_operation_drop(L, wait);
    return 0;
}

/* --- in the calling thread --------------------------------------------- */

void sl_operation_refuse(lua_State *L, const char *what)
{
    luaL_error(L, "%s: the socket is already waited on by another thread",
               what);
}

void sl_operation_checkall(lua_State *L, sl_wait *wait, const char *what)
{
    sl_stop_check(L, sl_source_of(wait)->loop->threads, what);
    int reserved = wait->reserved && sl_source_of(wait)->fd >= 0;
    if (reserved || sl_operation_occupied(L, wait))
        sl_operation_refuse(L, what);
}

/* Without an event to wait for, the attempt has to ask the system. */
static void assume_ready(sl_wait *wait)
{
    if (wait->interest & SL_READABLE)
        sl_source_of(wait)->readable = 1;
    if (wait->interest & SL_WRITABLE)
        sl_source_of(wait)->writable = 1;
}

/* Tries the operation, or sets SL_BUSY if the thread's budget is used up. */
static void try_first(lua_State *L, sl_wait *wait,
                      const sl_operation *operation)
{
    sl_source_pending(wait)->operation = operation;
    if (sl_timeout_isinstant(wait))
        assume_ready(wait);
    if (sl_operation_isdue(L, sl_source_of(wait)->loop))
        wait->status = SL_BUSY;
    else
        try_operation(L, wait);
}

/* Whether the thread has to stop for the operation. If the thread cannot stop,
 * the operation goes on here, without turns of other threads. If it must wait
 * for readiness, this raises. */
static int must_wait(lua_State *L, sl_wait *wait)
{
    if (wait->status != SL_AGAIN && wait->status != SL_BUSY)
        return 0;
    const char *obstacle = sl_operation_obstacle(L, sl_source_of(wait)->loop);
    if (obstacle == NULL)
        return 1;
    assume_ready(wait);
    while (try_operation(L, wait) == SL_BUSY)
        ;
    if (wait->status != SL_AGAIN)
        return 0;
    abandon_operation(L, wait);
    return luaL_error(L, "%s", obstacle);
}

/* [-0, +0, e] Puts the running thread, which may wait, into the wait: 0 or how
 * it failed, and then the wait is free. */
static int begin_wait(lua_State *L, sl_wait *wait)
{
    sl_loop *loop = sl_source_of(wait)->loop;
    sl_thread *t = sl_stop_current(L, loop->threads);
    sl_wait_enter(wait, loop, t);
    if (wait->status == SL_BUSY) {
        sl_wait_queue(wait);
        return 0;
    }
    int err = park_wait(wait);
    if (err != 0) {
        sl_wait_undo(wait);
        wait->status = (short)err;
        t->wait = NULL;
        sl_stop_disown(L, t);
    }
    return err;
}

/* [-0, +n, e] Pushes the results and frees the wait. A thread on a fiber asks
 * for its results once, even if that raises: its wait is free before. A yielded
 * thread asks again after an error: its wait is free afterwards. */
static int give_results(lua_State *L, void *of)
{
    sl_wait *wait = of;
    int is_frozen = sl_thread_isfrozen(wait->thread);
    if (is_frozen)
        sl_wait_leave(wait);
    int n = sl_source_pending(wait)->operation->results(L, wait);
    if (!is_frozen)
        sl_wait_leave(wait);
    return n;
}

int sl_operation_run(lua_State *L, sl_wait *wait,
                     const sl_operation *operation, double block,
                     double total)
{
    double until = total > 0 ? sl_clock_now() + total : total;
    wait->status = (short)sl_timeout_set(wait, block, until);
    if (wait->status == 0)
        try_first(L, wait, operation);
    if (must_wait(L, wait) && begin_wait(L, wait) == 0)
        return sl_stop_wait(L, wait->thread, give_results);
    return operation->results(L, wait);
}

/* [-0, +0, e] Freezes the thread, which is in the wait, until the wait is over;
 * returns its status. */
static int wait_on_fiber(lua_State *L, sl_wait *wait)
{
    sl_stop_freeze(L, wait->thread);
    sl_wait_leave(wait);
    return wait->status;
}

int sl_operation_blocklimited(lua_State *L, sl_wait *wait,
                              const sl_operation *operation, double block,
                              double total)
{
    double until = total > 0 ? sl_clock_now() + total : total;
    wait->status = (short)sl_timeout_set(wait, block, until);
    if (wait->status == 0)
        try_first(L, wait, operation);
    if (must_wait(L, wait) && begin_wait(L, wait) == 0)
        return wait_on_fiber(L, wait);
    return wait->status;
}

int sl_operation_block(lua_State *L, sl_wait *wait,
                       const sl_operation *operation, double limit)
{
    return sl_operation_blocklimited(L, wait, operation, limit, -1);
}

/* --- pauses ------------------------------------------------------------ */

static int try_pause(lua_State *L, sl_source *source)
{
    (void)L;
    return source->fd < 0 ? SL_CLOSED : SL_AGAIN;
}

static int try_turn(lua_State *L, sl_source *source)
{
    (void)L;
    return source->fd < 0 ? SL_CLOSED : 0;
}

static const sl_operation pausing = {try_pause, NULL};
const sl_operation sl_operation_turn = {try_turn, NULL};

/* Needs no memory. */
int sl_operation_giveway(lua_State *L, sl_wait *wait)
{
    sl_operation_checkobstacle(L, sl_source_of(wait)->loop);
    wait->has_timeout = 0;
    sl_source_pending(wait)->operation = &sl_operation_turn;
    wait->status = SL_BUSY;
    begin_wait(L, wait);
    return wait_on_fiber(L, wait);
}

int sl_operation_pause(lua_State *L, sl_wait *wait, double seconds)
{
    unsigned char interest = wait->interest;
    sl_operation_checkobstacle(L, sl_source_of(wait)->loop);
    wait->interest = 0;    /* only the timeout */
    int err = sl_operation_block(L, wait, &pausing, seconds);
    wait->interest = interest;
    if (err == SL_TIMEOUT)
        return 0;
    return err == SL_CLOSED ? err : sl_operation_giveway(L, wait);
}

/* Seconds until the next attempt. */
static double next_pause(double pause, double until)
{
    double left = until >= 0 ? until - sl_clock_now() : pause;
    return left < pause ? left : pause;
}

int sl_operation_poll(lua_State *L, sl_wait *wait, sl_attempt attempt,
                      double block, double total)
{
    double limit = block < 0 || (total >= 0 && total < block) ? total : block;
    double until = limit < 0 ? -1 : sl_clock_now() + limit;
    double pause = first_pause;
    int in_thread = sl_source_of(wait)->loop->threads->running != NULL;
    for (;;) {
        assume_ready(wait);
        wait->status = (short)attempt(L, sl_source_of(wait));
        if (wait->status != SL_AGAIN)
            return wait->status;
        if (!in_thread && limit != 0)
            luaL_error(L, "to wait here takes a loop thread (see newthread)");
        double seconds = next_pause(pause, until);
        wait->status = (short)(seconds <= 0
                                   ? SL_TIMEOUT
                                   : sl_operation_pause(L, wait, seconds));
        if (wait->status != 0)
            return wait->status;
        pause = pause < last_pause ? pause * 2 : pause;
    }
}
