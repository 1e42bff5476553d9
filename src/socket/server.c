/*
 * server.c - newserver. A server's thread is a C function that freezes: it
 * accepts a client, starts the handler's thread, and repeats. The failure of a
 * handler does not end the server's thread; closing the listening socket does.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/server.h"

#include "loop/sleep.h"
#include "loop/turn.h"
#include "os/error.h"
#include "socket/accept.h"
#include "socket/bind.h"
#include "socket/close.h"
#include "socket/guard.h"
#include "socket/native.h"
#include "socket/unix.h"
#include "thread/arg.h"
#include "thread/failure.h"
#include "thread/run.h"

#include <errno.h>

/* The kernel caps it (on Linux at net.core.somaxconn). */
enum { BACKLOG = 16384 };

/* Seconds between tries while the system has no descriptor or memory left. */
static const double first_pause = 0.01, last_pause = 0.5;

/* serve_clients calls accept_client, start_handler and report_failure. All four
 * have the upvalues loop, listening asocket, handler. */

/* accept_client() -> asocket, or a number: a code (error.h) */
static int accept_client(lua_State *L)
{
    sl_loop_check(L);
    int err = sl_accept_next(L, lua_touserdata(L, lua_upvalueindex(2)));
    if (err != 0)
        lua_pushinteger(L, err);
    return 1;
}

/* start_handler(asocket): starts a thread that runs handler(asocket). */
static int start_handler(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    lua_pushvalue(L, lua_upvalueindex(3));
    lua_pushvalue(L, 1);
    int failed = sl_turn_start(L, loop, 1);
    if (failed) {
        sl_turn_faillater(L, loop);
        sl_guard_close(L, 1);
    } else {
        sl_guard_set(L, lua_gettop(L), 1);
    }
    return 0;
}

/* A callback of sl_run_onbypass: the handler has transferred control to a
 * thread below the server's. Makes the server's thread ready. */
static void await_turn(sl_thread *t)
{
    sl_sleep_queue(t);
}

/* report_failure(asocket or nil, error): has the loop report the error, and
 * closes the asocket. */
static int report_failure(lua_State *L)
{
    lua_pushthread(L);
    lua_insert(L, 2);
    lua_pushliteral(L, "stack traceback:\n\t[C]: in newserver");
    sl_turn_faillater(L, sl_loop_check(L));
    if (!lua_isnil(L, 1))
        sl_close_asocket(L, 1);
    return 0;
}

/* Places on the stack of serve_clients. */
enum { ACCEPT = 1, HANDLE, REPORT, CLIENT, ERROR };

enum { RAISED = 1 << 20 };    /* an error instead of an errno */

static void push_functions(lua_State *L)
{
    static const lua_CFunction functions[] = {
        accept_client, start_handler, report_failure
    };
    for (int f = 0; f < 3; f++) {
        for (int i = 1; i <= 3; i++)
            lua_pushvalue(L, lua_upvalueindex(i));
        lua_pushcclosure(L, functions[f], 3);
    }
}

/* Accepts a client and starts its handler. Returns 0 or accept's code; or
 * RAISED, and then CLIENT is the client or nil, ERROR the error. */
static int serve_one(lua_State *L)
{
    lua_settop(L, REPORT);
    lua_pushvalue(L, ACCEPT);
    if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, CLIENT);
        return RAISED;
    }
    if (lua_isnumber(L, CLIENT))
        return (int)lua_tointeger(L, CLIENT);
    lua_pushvalue(L, HANDLE);
    lua_pushvalue(L, CLIENT);
    return lua_pcall(L, 1, 0, 0) != LUA_OK ? RAISED : 0;
}

/* Calls report_failure. True if there was no memory: the error has to be
 * reported later. */
static int reports_in_vain(lua_State *L)
{
    lua_pushvalue(L, REPORT);
    lua_pushvalue(L, CLIENT);
    lua_pushvalue(L, ERROR);
    int failed = lua_pcall(L, 2, 0, 0) != LUA_OK;
    lua_settop(L, ERROR);
    return failed;
}

/* The body of a server's thread. Upvalues: loop, listening asocket, handler. It
 * first gives way, so that the caller of newserver can set the limits that
 * clients inherit. */
static int serve_clients(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    sl_asocket *listener = lua_touserdata(L, lua_upvalueindex(2));
    double pause = first_pause;
    sl_run_onbypass(loop->threads, await_turn);
    lua_settop(L, 0);
    push_functions(L);
    sl_operation_checkobstacle(L, loop);
    if (sl_operation_giveway(L, &listener->source.reader) != 0)
        return 0;
    for (;;) {
        int err = serve_one(L);
        if (err == 0) {
            pause = first_pause;
            continue;
        }
        if (err == SL_CLOSED)
            return 0;
        int untold = err == RAISED;
        do {
            untold = untold && reports_in_vain(L);
            if (sl_operation_pause(L, &listener->source.reader, pause) != 0)
                return untold ? lua_error(L) : 0;
            if (pause < last_pause)
                pause *= 2;
        } while (untold);
    }
}

/* Raises if a code is not 0. */
static void check_started(lua_State *L, int err)
{
    if (err != 0)
        luaL_error(L, "newserver: %s", sl_error_message(err));
}

/* [-0, +1, e] Pushes an asocket that listens on the address and port at 1 and
 * 2. */
static sl_asocket *serve_port(lua_State *L)
{
    const char *host = sl_arg_optname(L, 1, "*");
    if (lua_isnil(L, 2)) {
        lua_pushinteger(L, 0);
        lua_replace(L, 2);
    }
    const char *port = sl_arg_port(L, 2);
    sl_asocket *a = sl_asocket_new(L, sl_loop_check(L), SL_TCP);
    check_started(L, sl_bind_to(L, a, host, port, 1));
    check_started(L, sl_native_listen(a, BACKLOG));
    return a;
}

/* [-0, +1, e] Pushes an asocket that listens on the path at 1. */
static sl_asocket *serve_path(lua_State *L)
{
    sl_arg_check(L, lua_isnil(L, 2), 2, "a path has no port");
    sl_asocket *a = sl_asocket_new(L, sl_loop_check(L), SL_UNIX);
    check_started(L, sl_unix_serve(L, a, 1, BACKLOG));
    return a;
}

int sl_server_new(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    sl_arg_body(L, 3);
    lua_settop(L, 3);
    sl_asocket *a = sl_unix_ispath(L, 1) ? serve_path(L) : serve_port(L);
    a->source.reader.reserved = 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 4);
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, serve_clients, 3);
    if (sl_run_start(L, loop->threads, 0, loop)) {
        sl_failure_message(L);
        return lua_error(L);
    }
    lua_settop(L, 4);
    return 1;
}
