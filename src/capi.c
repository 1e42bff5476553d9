/*
 * capi.c - the C API for other modules: waiting in a blocking style, with the C
 * stack frozen. include/socketloop.h has the contract of the functions.
 *
 * The caller has no loop as an upvalue. It waits in the loop of the running
 * thread, which is found in the table of all loops.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "capi.h"

#include "loop/loops.h"
#include "loop/sleep.h"
#include "loop/source.h"
#include "loop/operation.h"
#include "loop/watcher.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/fd.h"
#include "socketloop.h"
#include "thread/hook.h"
#include "thread/threads.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

/* --- loops ------------------------------------------------------------- */

/* [-0, +1, -] Pushes the loop of t, or of the nearest thread below t that has
 * one; else the loop made first. nil if it is collected. */
static void push_thread_loop(lua_State *L, const sl_thread *t)
{
    const void *loop = sl_thread_loop(t);
    if (loop != NULL)
        sl_loops_push(L, loop);
    else
        sl_loops_pushfirst(L);
}

/* [-0, +1, e] Pushes the loop in which the calling thread will wait; the stack
 * keeps it alive. Raises if the caller cannot wait. `what` names the
 * function. */
static sl_loop *enter_loop(lua_State *L, const char *what)
{
    luaL_checkstack(L, LUA_MINSTACK, "no room to wait");
    const sl_threads *threads = sl_threads_get(L);
    if (threads->running == NULL)
        luaL_error(L, "%s must be called from a loop thread (see newthread)",
                   what);
    push_thread_loop(L, threads->running);
    sl_loop *loop = lua_touserdata(L, -1);
    if (loop == NULL || loop->closed)
        sl_loop_isclosed(L);
    return loop;
}

/* --- readiness --------------------------------------------------------- */

/* Sets *ready to those of the events that the descriptor is ready for. 0 or how
 * asking failed. */
static int ask_readiness(int fd, int events, int *ready)
{
    const short wanted = (short)((events & SOCKETLOOP_READABLE ? POLLIN : 0) |
                                 (events & SOCKETLOOP_WRITABLE ? POLLOUT : 0));
    struct pollfd p = {fd, wanted, 0};
    if (sl_fd_poll(&p, 1) < 0)
        return errno;
    if (fd < 0 || p.revents & POLLNVAL)
        return EBADF;
    if (p.revents & (POLLERR | POLLHUP))
        p.revents = wanted;    /* the next operation returns the error */
    *ready = (p.revents & POLLIN ? SOCKETLOOP_READABLE : 0) |
             (p.revents & POLLOUT ? SOCKETLOOP_WRITABLE : 0);
    return 0;
}

/* Seconds until that time, at least 0; negative without a limit. */
static double time_left(double until)
{
    return until < 0 ? -1 : fmax(until - sl_clock_now(), 0);
}

/* [-0, +0, e] Waits, in the loop on the top, until the descriptor is ready or
 * the time is over. Sets *ready and returns as ask_readiness does. */
static int await_readiness(lua_State *L, int fd, int events, double seconds,
                           int *ready)
{
    double until = seconds < 0 ? -1 : sl_clock_now() + seconds;
    unsigned interest = (events & SOCKETLOOP_READABLE ? SL_READABLE : 0) |
                        (events & SOCKETLOOP_WRITABLE ? SL_WRITABLE : 0);
    sl_hook_check(L, sl_threads_get(L));
    sl_watcher *w = sl_watcher_push(L);
    int err, failure;
    do {
        err = sl_watcher_block(L, w, fd, interest, time_left(until));
        failure = err == 0 || err == SL_TIMEOUT
                      ? ask_readiness(fd, events, ready) : err;
    } while (err == 0 && failure == 0 && *ready == 0);
    lua_pop(L, 1);
    return failure;
}

/* Sets errno for err, and returns the code of the API. */
static int api_code(int err)
{
    errno = err == SL_CLOSED ? EBADF : err == SL_TOO_BIG ? EMFILE : err;
    return errno == EBADF ? SOCKETLOOP_CLOSED
         : errno == ENOMEM ? SOCKETLOOP_NOMEMORY : SOCKETLOOP_FAILED;
}

/* --- the functions ----------------------------------------------------- */

static int wait_ready(lua_State *L, int fd, int events, double seconds)
{
    const int all = SOCKETLOOP_READABLE | SOCKETLOOP_WRITABLE;
    if (events == 0 || (events & ~all) != 0)
        luaL_error(L, "wait: invalid events (%d)", events);
    if (seconds != seconds)
        luaL_error(L, "wait: the time is not a number");
    sl_loop *loop = enter_loop(L, "wait");
    if (sl_operation_isdue(L, loop))
        sl_sleep_block(L, loop, 0);
    int ready = 0;
    int err = ask_readiness(fd, events, &ready);
    if (err == 0 && ready == 0 && seconds != 0) {
        err = await_readiness(L, fd, events, seconds, &ready);
    } else if (err == 0 && ready == 0 &&
               sl_hook_refuses(L, loop->threads) == NULL) {
        sl_sleep_block(L, loop, 0);
        err = ask_readiness(fd, events, &ready);
    }
    lua_pop(L, 1);
    return err != 0 ? api_code(err) : ready;
}

static void sleep_so_long(lua_State *L, double seconds)
{
    if (seconds != seconds)
        luaL_error(L, "sleep: the time is not a number");
    sl_sleep_block(L, enter_loop(L, "sleep"), seconds);
    lua_pop(L, 1);
}

static int is_in_thread(lua_State *L)
{
    const sl_threads *all = sl_threads_get(L);
    return all->running != NULL && !sl_hook_isclosing(L, all);
}

static void closing(lua_State *L, int fd)
{
    luaL_checkstack(L, 4, "no room for the loops");
    sl_loops_pushall(L);
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        sl_loop *loop = lua_touserdata(L, -1);
        if (!loop->closed)
            sl_source_closing(loop, fd);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static const socketloop_api functions = {
    SOCKETLOOP_API_VERSION, wait_ready, sleep_so_long, is_in_thread, closing
};

void sl_capi_offer(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&functions);
    lua_setfield(L, LUA_REGISTRYINDEX, SOCKETLOOP_API_KEY);
}
