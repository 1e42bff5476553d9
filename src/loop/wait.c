/*
 * wait.c - what a thread waits for: trying it, waiting, being finished; and
 * the queue of those that are ready.
 */

#include "loop/wait.h"

#include "loop/source.h"
#include "os/clock.h"
#include "os/error.h"

#include <errno.h>
#include <stdlib.h>

/* Seconds between tries where nothing tells of readiness; they double. */
static const double first_pause = 0.001, last_pause = 0.03;

/* --- time limits ------------------------------------------------------- */

/* Limits the wait if one of the two is not negative; 0 or ENOMEM. */
static int set_limits(sl_wait *wait, double block, double until)
{
    wait->limited = block >= 0 || until >= 0;
    if (!wait->limited)
        return 0;
    if (wait->limits == NULL) {
        wait->limits = malloc(sizeof *wait->limits);
        if (wait->limits == NULL) {
            wait->limited = 0;
            return ENOMEM;
        }
        wait->limits->wait = wait;
        wait->limits->timer = (sl_timer){0, SL_OF_WAIT};
    }
    wait->limits->block = block;
    wait->limits->until = until;
    return 0;
}

void sl_wait_freelimits(sl_wait *wait)
{
    sl_loop *loop = sl_wait_source(wait)->loop;
    if (wait->limits != NULL && !loop->closed)
        sl_timer_cancel(&loop->timers, &wait->limits->timer);
    free(wait->limits);
    wait->limits = NULL;
    wait->limited = 0;
}

/* The deadline of a wait that begins now. The timer in the heap stays where
 * it is if it fires earlier: it is set again then. */
int sl_wait_setdeadline(sl_wait *wait, double now)
{
    sl_timers *timers = &sl_wait_source(wait)->loop->timers;
    sl_limits *l = wait->limits;
    l->deadline = l->block >= 0 ? now + l->block : l->until;
    if (l->until >= 0 && l->until < l->deadline)
        l->deadline = l->until;
    if (l->timer.index > 0 && sl_timer_due(timers, &l->timer) <= l->deadline)
        return 0;
    return sl_timer_set(timers, &l->timer, l->deadline);
}

/* Whether the operation may only be tried. */
static int is_instant(const sl_wait *wait)
{
    return wait->limited &&
           (wait->limits->block == 0 || wait->limits->until == 0);
}

/* What becomes of the status of a limited wait that has to go on. */
static int limit_status(const sl_wait *wait)
{
    double until = wait->limits->until;
    if (wait->status == SL_AGAIN && is_instant(wait))
        return SL_TIMEOUT;
    if (wait->status == SL_BUSY && until >= 0 && sl_clock_now() >= until)
        return SL_TIMEOUT;
    return wait->status;
}

/* --- waiting ----------------------------------------------------------- */

int sl_wait_park(sl_wait *wait)
{
    int err = 0;
    if (wait->limited)
        err = sl_wait_setdeadline(wait, sl_clock_now());
    if (err != 0)
        return err;
    wait->parked = 1;
    sl_wait_source(wait)->loop->waiting++;
    err = sl_source_tell(sl_wait_source(wait));
    if (err != 0)
        sl_wait_unpark(wait);
    return err;
}

void sl_wait_finish(sl_wait *wait, int status)
{
    if (wait->parked || (wait->thread != NULL && wait->status == SL_BUSY))
        sl_wait_end(wait, status);
}

int sl_wait_try(lua_State *L, sl_wait *wait)
{
    wait->progress = 0;
    wait->status = wait->operation->attempt(L, sl_wait_source(wait));
    if (wait->limited)
        wait->status = limit_status(wait);
    return wait->status;
}

/* Pushes the results of the wait, then frees it for the next thread. */
static int give_results(lua_State *L, void *of)
{
    sl_wait *wait = of;
    if (sl_thread_isfrozen(wait->thread))
        wait->thread = NULL;    /* frozen: it takes them once, or raises */
    int n = wait->operation->results(L, wait);
    wait->thread = NULL;
    return n;
}

/* The operation will not go on: it lets go of what it holds. */
static void give_up(lua_State *L, sl_wait *wait)
{
    wait->status = SL_CLOSED;
    if (wait->writes && wait->operation->results != NULL) {
        int top = lua_gettop(L);
        wait->operation->results(L, wait);
        lua_settop(L, top);
    }
}

void sl_wait_drop(lua_State *L, sl_wait *wait)
{
    sl_thread *t = wait->thread;
    if (wait->parked) {
        sl_wait_unpark(wait);
        sl_wait_ready(sl_wait_source(wait)->loop, t);
    }
    t->wait = NULL;
    wait->thread = NULL;
    give_up(L, wait);
}

/* Whether a thread has left a wait or sleep in that loop, and is not ready. */
static int has_left(const sl_loop *loop, const sl_thread *t)
{
    const sl_wait *wait = t->wait;
    if (t->co == NULL || t->state != SL_WAITING || t->fiber != NULL ||
        t->loop != loop)
        return 0;
    return (wait != NULL ? wait->parked : t->timer.index > 0) &&
           !sl_thread_waits(t);
}

void sl_wait_patrol(lua_State *L, sl_loop *loop)
{
    sl_thread *t = loop->threads->records;
    for (; t != NULL; t = t->next_record) {
        if (!has_left(loop, t))
            continue;
        if (t->wait != NULL) {
            sl_wait_drop(L, t->wait);
        } else {
            sl_timer_cancel(&loop->timers, &t->timer);
            loop->waiting--;
            sl_wait_ready(loop, t);
        }
    }
}

int sl_wait_occupied(lua_State *L, sl_wait *wait)
{
    if (wait->thread == NULL)
        return 0;
    if (sl_thread_waits(wait->thread))
        return 1;
    sl_wait_drop(L, wait);
    return 0;
}

void sl_wait_refuse(lua_State *L, const char *what)
{
    luaL_error(L, "%s: the socket is already waited on by another thread",
               what);
}

void sl_wait_checkall(lua_State *L, sl_wait *wait, const char *what)
{
    sl_stop_check(L, sl_wait_source(wait)->loop->threads, what);
    int reserved = wait->reserved && sl_wait_source(wait)->fd >= 0;
    if (reserved || sl_wait_occupied(L, wait))
        sl_wait_refuse(L, what);
}

/* The wait's operation has to go on: in a later turn, or when it is ready.
 * Raises where the calling thread must not wait. */
static int begin(lua_State *L, sl_wait *wait)
{
    sl_loop *loop = sl_wait_source(wait)->loop;
    const char *obstacle = sl_wait_obstacle(L, loop);
    if (obstacle != NULL) {
        give_up(L, wait);
        luaL_error(L, "%s", obstacle);
    }
    sl_thread *t = sl_stop_current(L, loop->threads);
    t->loop = loop;
    wait->thread = t;
    t->wait = wait;
    if (wait->status == SL_BUSY) {
        sl_wait_ready(loop, t);
        return 0;
    }
    int err = sl_wait_park(wait);
    if (err != 0) {
        wait->thread = NULL;
        wait->status = err;
        t->wait = NULL;
        sl_stop_disown(L, t);
    }
    return err;
}

/* Who may not wait for the poller's word asks the system instead. */
static void assume_ready(sl_wait *wait)
{
    if (wait->interest & SL_READABLE)
        sl_wait_source(wait)->readable = 1;
    if (wait->interest & SL_WRITABLE)
        sl_wait_source(wait)->writable = 1;
}

/* Tries it in the calling thread, unless it had its share already. */
static void try_first(lua_State *L, sl_wait *wait,
                      const sl_operation *operation)
{
    wait->operation = operation;
    if (is_instant(wait))
        assume_ready(wait);
    if (sl_wait_isdue(L, sl_wait_source(wait)->loop))
        wait->status = SL_BUSY;
    else
        sl_wait_try(L, wait);
}

/* Whether the operation has to go on later. Where the thread cannot stop it
 * goes on now, without others' turns, until the system says that it has to
 * wait. */
static int must_wait(lua_State *L, sl_wait *wait)
{
    if (wait->status != SL_AGAIN && wait->status != SL_BUSY)
        return 0;
    if (sl_wait_obstacle(L, sl_wait_source(wait)->loop) == NULL)
        return 1;
    assume_ready(wait);
    while (sl_wait_try(L, wait) == SL_BUSY)
        ;
    return wait->status == SL_AGAIN;
}

int sl_wait_operate(lua_State *L, sl_wait *wait, const sl_operation *operation,
                    double block, double total)
{
    double until = total > 0 ? sl_clock_now() + total : total;
    wait->status = set_limits(wait, block, until);
    if (wait->status == 0)
        try_first(L, wait, operation);
    if (must_wait(L, wait) && begin(L, wait) == 0)
        return sl_stop_wait(L, wait->thread, give_results);
    return operation->results(L, wait);
}

int sl_wait_block(lua_State *L, sl_wait *wait, const sl_operation *operation,
                  double limit)
{
    wait->status = set_limits(wait, limit, -1);
    if (wait->status == 0)
        try_first(L, wait, operation);
    if (must_wait(L, wait) && begin(L, wait) == 0) {
        sl_stop_freeze(L, wait->thread);
        wait->thread = NULL;
    }
    return wait->status;
}

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
const sl_operation sl_wait_turn = {try_turn, NULL};

/* Lets the others have their turn, which takes no memory: 0 or SL_CLOSED. */
static int take_turn(lua_State *L, sl_wait *wait)
{
    wait->limited = 0;
    wait->operation = &sl_wait_turn;
    wait->status = SL_BUSY;
    begin(L, wait);
    sl_stop_freeze(L, wait->thread);
    wait->thread = NULL;
    return wait->status;
}

int sl_wait_pause(lua_State *L, sl_wait *wait, double seconds)
{
    unsigned char interest = wait->interest;
    sl_wait_checkobstacle(L, sl_wait_source(wait)->loop);
    wait->interest = 0;    /* in the time only */
    int err = sl_wait_block(L, wait, &pausing, seconds);
    wait->interest = interest;
    if (err == SL_TIMEOUT)
        return 0;
    return err == SL_CLOSED ? err : take_turn(L, wait);
}

/* The thread has tried: what is left of its time until its next try. */
static double next_pause(double pause, double until)
{
    double left = until >= 0 ? until - sl_clock_now() : pause;
    return left < pause ? left : pause;
}

int sl_wait_poll(lua_State *L, sl_wait *wait, sl_attempt attempt,
                 double block, double total)
{
    double limit = block < 0 || (total >= 0 && total < block) ? total : block;
    double until = limit < 0 ? -1 : sl_clock_now() + limit;
    double pause = first_pause;
    int in_thread = sl_wait_source(wait)->loop->threads->running != NULL;
    for (;;) {
        assume_ready(wait);
        wait->status = attempt(L, sl_wait_source(wait));
        if (wait->status != SL_AGAIN)
            return wait->status;
        if (!in_thread && limit != 0)
            luaL_error(L, "to wait here takes a loop thread (see newthread)");
        double seconds = next_pause(pause, until);
        wait->status = seconds <= 0 ? SL_TIMEOUT
                                    : sl_wait_pause(L, wait, seconds);
        if (wait->status != 0)
            return wait->status;
        pause = pause < last_pause ? pause * 2 : pause;
    }
}
