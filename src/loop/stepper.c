/*
 * stepper.c - step and start. See stepper.h.
 */

#include "loop/stepper.h"

#include "loop/step.h"
#include "loop/turn.h"
#include "thread/arg.h"
#include "thread/hook.h"

/* The optional argument of step and start, in seconds. Negative, nil or none:
 * -1, no limit. */
static double check_timeout(lua_State *L)
{
    double timeout = sl_arg_optseconds(L, 1, -1);
    return timeout >= 0 ? timeout : -1;
}

static int step_body(lua_State *L)
{
    double timeout = lua_tonumber(L, 1);
    lua_pushboolean(L, sl_step_run(L, sl_loop_check(L), timeout));
    return 1;
}

static int start_body(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    double timeout = lua_tonumber(L, 1);
    while (sl_step_run(L, loop, timeout) && !loop->stop_asked)
        ;
    return 0;
}

/* Lies on the stack of a thread that runs a loop. If the thread is collected,
 * so is this, and notice_gc ends the run. */
typedef struct notice {
    sl_loop *loop;    /* anchored; NULL while the loop does not run */
    int starts;       /* by start, not by step */
} notice;

static int notice_gc(lua_State *L)
{
    notice *n = lua_touserdata(L, 1);
    if (n->loop != NULL)
        n->loop->stepping = 0;
    if (n->loop != NULL && n->starts)
        n->loop->stop_asked = 0;
    n->loop = NULL;
    return 0;
}

/* [-0, +1, m] Pushes a notice for the loop of the running function. In the main
 * program, which is never collected, pushes nil and returns NULL. */
static notice *push_notice(lua_State *L, const sl_loop *loop)
{
    if (loop->threads->running == NULL) {
        lua_pushnil(L);
        return NULL;
    }
    notice *n = sl_newuserdata(L, sizeof *n);
    n->loop = NULL;
    lua_createtable(L, 1, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_rawseti(L, -2, 1);
    lua_pushcfunction(L, notice_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return n;
}

/* Notes that the loop begins to run, for body, or that the run has ended. */
static void mark(sl_loop *loop, notice *n, int runs, lua_CFunction body)
{
    loop->stepping = runs;
    if (n != NULL) {
        n->loop = runs ? loop : NULL;
        n->starts = body == start_body;
    }
}

/* [-0, +n, e] Calls body with the loop as upvalue and the timeout as argument.
 * After an error the loop can be run again. */
static int run_loop(lua_State *L, lua_CFunction body, const char *what)
{
    sl_loop *loop = sl_loop_check(L);
    double timeout = check_timeout(L);
    for (sl_thread *t = loop->threads->running; t != NULL; t = t->resumer) {
        if (t->loop == loop)
            return luaL_error(L, "%s must not be called from a loop thread",
                              what);
        if (t->loop != NULL)
            sl_turn_end(t->loop);
    }
    lua_settop(L, 0);
    notice *n = push_notice(L, loop);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, body, 1);
    if (loop->stepping)    /* checked here, as a finalizer may have run the
                              loop */
        return luaL_error(L, "%s: the loop is already running", what);
    lua_pushnumber(L, timeout);
    loop->hook = sl_hook_find(L, loop->threads);
    mark(loop, n, 1, body);
    int status = lua_pcall(L, 1, LUA_MULTRET, 0);
    mark(loop, n, 0, body);
    sl_turn_end(loop);
    if (body == start_body)
        loop->stop_asked = 0;
    if (status == LUA_OK)
        return lua_gettop(L) - 1;
    sl_thread_sync_vm(L, loop->threads);
    return lua_error(L);
}

int sl_stepper_step(lua_State *L)
{
    return run_loop(L, step_body, "step");
}

int sl_stepper_start(lua_State *L)
{
    return run_loop(L, start_body, "start");
}
