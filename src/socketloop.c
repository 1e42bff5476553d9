/*
 * socketloop.c - the module: every function of `require 'socketloop'`.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socketloop.h"

#include "capi.h"
#include "loop/loops.h"
#include "loop/sleep.h"
#include "loop/result.h"
#include "loop/stepper.h"
#include "loop/turn.h"
#include "luasocket/foreign.h"
#include "luasocket/forward.h"
#include "luasocket/install.h"
#include "luasocket/replace.h"
#include "luasocket/require.h"
#include "luasocket/tls.h"
#include "luasocket/wrap.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/lookup.h"
#include "os/process.h"
#include "socket/bind.h"
#include "socket/class.h"
#include "socket/client_limit.h"
#include "socket/connect.h"
#include "socket/dns.h"
#include "socket/guard.h"
#include "socket/methods.h"
#include "socket/server.h"
#include "thread/arg.h"
#include "thread/hook.h"
#include "thread/run.h"
#include "thread/stop.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKUPS_END = 1 << 16 };    /* above any system's limit of OS threads */

/* --- sockets ----------------------------------------------------------- */

/* wrap(socket or fd [, type]) -> asocket */
static int func_wrap(lua_State *L)
{
    return sl_wrap_value(L);
}

/* [-0, +1, e] Pushes a new asocket. If an argument at first (local address) or
 * first + 1 (local port) is given, binds it. 0 or how binding failed. */
static int push_socket(lua_State *L, int transport, int first)
{
    int is_bound = !lua_isnoneornil(L, first) || !lua_isnoneornil(L, first + 1);
    const char *host = sl_arg_optname(L, first, "*");
    const char *port = lua_isnoneornil(L, first + 1)
                           ? "0" : sl_arg_port(L, first + 1);
    sl_asocket *a = sl_asocket_new(L, sl_loop_check(L), transport);
    return is_bound ? sl_bind_to(L, a, host, port, 0) : 0;
}

/* tcp([local address [, local port]]) -> asocket; raises if it can't bind */
static int func_tcp(lua_State *L)
{
    int err = push_socket(L, SL_TCP, 1);
    if (err != 0)
        return luaL_error(L, "tcp: %s", sl_error_message(err));
    return 1;
}

/* udp([local address [, local port]]) -> asocket; raises if it can't bind */
static int func_udp(lua_State *L)
{
    int err = push_socket(L, SL_UDP, 1);
    if (err != 0)
        return luaL_error(L, "udp: %s", sl_error_message(err));
    return 1;
}

/* unix() -> asocket */
static int func_unix(lua_State *L)
{
    sl_asocket_new(L, sl_loop_check(L), SL_UNIX);
    return 1;
}

/* [-0, +2, m] Pushes nil and the message for a failed bind in connect. The
 * message names the local address and port if err is about these. */
static int fail_locally(lua_State *L, int err)
{
    if (sl_error_gaimessage(err) == NULL)
        return sl_result_fail(L, err);
    const char *host = sl_arg_optname(L, 3, "*");
    const char *port = sl_arg_optname(L, 4, "0");
    lua_pushnil(L);
    lua_pushfstring(L, "local address '%s', port '%s': %s", host, port,
                    sl_error_message(err));
    return 2;
}

/* connect(host, port [, local address [, local port]]) -> asocket or nil,
 * error */
static int func_connect(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    lua_settop(L, 4);
    const char *host = sl_arg_name(L, 1);
    const char *port = sl_arg_port(L, 2);
    sl_stop_check(L, loop->threads, "connect");
    int err = push_socket(L, SL_TCP, 3);
    if (err != 0)
        return fail_locally(L, err);
    return sl_connect_start(L, host, port, lua_gettop(L));
}

/* resolve(host [, port [, timeout]]) -> addresses or nil, error */
static int func_resolve(lua_State *L)
{
    return sl_dns_names(L, SL_TO_CONNECT);
}

/* setmaxlookups([n]): sets how many names are looked up at a time */
static int func_setmaxlookups(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    size_t n = sl_arg_optlimit(L, 1, SL_MAX_LOOKUPS);
    sl_resolver_setmax(loop, n < LOOKUPS_END ? (int)n : LOOKUPS_END);
    return 0;
}

/* newserver(ip, port, handler [, TLS parameters or context]) -> asocket */
static int func_newserver(lua_State *L)
{
    sl_arg_body(L, 3);
    if (!lua_isnoneornil(L, 4))
        sl_tls_wraphandler(L, 3);
    return sl_server_new(L);
}

/* --- threads ----------------------------------------------------------- */

/* newthread(handler, ...) -> thread, when it first waits, suspends or ends */
static int func_newthread(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    sl_arg_body(L, 1);
    int failed = sl_turn_start(L, loop, lua_gettop(L) - 1);
    return failed ? sl_turn_raise(L, loop) : 1;
}

/* current() -> thread, whether it is the main program */
static int func_current(lua_State *L)
{
    sl_threads *threads = sl_loop_check(L)->threads;
    if (threads->running != NULL && !sl_hook_isclosing(L, threads)) {
        sl_thread_push(L, threads->running);
        lua_pushboolean(L, 0);
        return 2;
    }
    /* Like coroutine.running: in 5.1 the main program has no thread. */
    int is_main = lua_pushthread(L);
    if (is_main && SL_MAIN_IS_NIL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushboolean(L, is_main);
    return 2;
}

/* suspend() -> the values that resume passes */
static int func_suspend(lua_State *L)
{
    return sl_sleep_suspend(L, sl_loop_check(L));
}

/* resume(thread, ...): returns when the thread next waits, suspends or ends */
static int func_resume(lua_State *L)
{
    return sl_turn_resume(L, sl_loop_check(L));
}

/* sleep(seconds) */
static int func_sleep(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    double seconds = sl_arg_seconds(L, 1);
    sl_stop_check(L, loop->threads, "sleep");
    return sl_sleep_run(L, loop, seconds);
}

/* now() -> seconds on a monotonic clock */
static int func_now(lua_State *L)
{
    lua_pushnumber(L, sl_clock_now());
    return 1;
}

/* --- running the loop -------------------------------------------------- */

/* step([timeout]) -> true; false if nothing is ready or waits */
static int func_step(lua_State *L)
{
    return sl_stepper_step(L);
}

/* start([timeout]): steps until nothing waits or stop is called */
static int func_start(lua_State *L)
{
    return sl_stepper_start(L);
}

/* stop(): ends start after the current step */
static int func_stop(lua_State *L)
{
    sl_loop_check(L)->stop_asked = 1;
    return 0;
}

/* install() -> a function that undoes the installation */
static int func_install(lua_State *L)
{
    return sl_install(L);
}

/* --- the module -------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"connect", func_connect},
    {"current", func_current},
    {"install", func_install},
    {"newserver", func_newserver},
    {"newthread", func_newthread},
    {"now", func_now},
    {"resolve", func_resolve},
    {"resume", func_resume},
    {"setmaxlookups", func_setmaxlookups},
    {"sleep", func_sleep},
    {"start", func_start},
    {"step", func_step},
    {"stop", func_stop},
    {"suspend", func_suspend},
    {"tcp", func_tcp},
    {"udp", func_udp},
    {"unix", func_unix},
    {"wrap", func_wrap},
    {NULL, NULL}
};

/* The methods of each transport. */
static const luaL_Reg *const tcp_methods[] = {
    sl_class_methods, sl_wrap_methods, sl_foreign_methods,
    sl_property_methods, sl_property_inetmethods, sl_property_streammethods,
    sl_receive_methods, sl_send_methods, sl_tls_methods, sl_accept_methods,
    sl_client_limit_methods, sl_bind_streammethods,
    sl_bind_methods, sl_connect_methods, NULL
};

static const luaL_Reg *const udp_methods[] = {
    sl_class_methods, sl_wrap_methods, sl_foreign_methods,
    sl_property_methods, sl_property_inetmethods, sl_datagram_methods,
    sl_udp_methods, sl_bind_udpmethods, NULL
};

static const luaL_Reg *const unix_methods[] = {
    sl_class_methods, sl_wrap_methods, sl_foreign_methods,
    sl_property_methods, sl_property_streammethods, sl_receive_methods,
    sl_send_methods, sl_tls_methods, sl_accept_methods,
    sl_client_limit_methods, sl_bind_streammethods, sl_unix_methods, NULL
};

static const luaL_Reg *const unixdgram_methods[] = {
    sl_class_methods, sl_wrap_methods, sl_foreign_methods,
    sl_property_methods, sl_datagram_methods, sl_unix_methods,
    sl_unix_dgrammethods, NULL
};

static const luaL_Reg *const *const methods[SL_TRANSPORTS] = {
    tcp_methods, udp_methods, unix_methods, unixdgram_methods
};

/* [-0, +0, m] Registers the names of all functions and methods for errors about
 * arguments. */
static void register_names(lua_State *L)
{
    sl_arg_register(L, functions, 0);
    for (int i = 0; i < SL_TRANSPORTS; i++)
        for (const luaL_Reg *const *list = methods[i]; *list != NULL; list++)
            sl_arg_register(L, *list, 1);
}

/* The poller that SOCKETLOOP_POLLER names, or the system's best. */
static const sl_poller_type *choose_poller(lua_State *L)
{
    const char *name = getenv("SOCKETLOOP_POLLER");
    if (name != NULL && *name == '\0')
        name = NULL;
    const sl_poller_type *type = sl_poller_find(name);
    if (type != NULL)
        return type;
    lua_pushliteral(L, "");
    for (int i = 0; sl_poller_at(i) != NULL; i++) {
        lua_pushfstring(L, "%s%s", i > 0 ? ", " : "", sl_poller_at(i)->name);
        lua_concat(L, 2);
    }
    luaL_error(L, "SOCKETLOOP_POLLER: unknown poller '%s' (there are: %s)",
               name, lua_tostring(L, -1));
    return NULL;
}

/* [-0, +1, e] Pushes the table of a new loop. */
static void push_loop(lua_State *L)
{
    sl_loop *loop = sl_loop_new(L, choose_poller(L), sl_guard_failed);
    int self = lua_gettop(L);
    sl_loops_add(L);
    sl_capi_offer(L);
    lua_newtable(L);
    lua_pushvalue(L, self);
    sl_setfuncs(L, functions, 1);
    lua_pushstring(L, loop->type->name);
    lua_setfield(L, -2, "poller");
    lua_pushliteral(L, SOCKETLOOP_VERSION);
    lua_setfield(L, -2, "_VERSION");
    sl_getuservalue(L, self);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, SL_ENV_MODULE);
    lua_pushvalue(L, self);
    sl_class_make(L, methods, &sl_forward_names);
    lua_rawseti(L, -2, SL_ENV_CLASSES);
    lua_pushvalue(L, self);
    lua_pushcclosure(L, sl_guard_closer, 1);
    lua_rawseti(L, -2, SL_ENV_CLOSER);
    lua_pop(L, 1);
    lua_remove(L, self);
}

/* __index of the module's table: makes the second loop, `coro`, at its first
 * use. */
static int module_index(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING ||
        strcmp(lua_tostring(L, 2), "coro") != 0)
        return 0;
    push_loop(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, 1, "coro");
    return 1;
}

int luaopen_socketloop(lua_State *L)
{
    sl_checkversion(L);
    sl_process_pin();
    if (sl_process_notice() != 0)
        luaL_error(L, "not enough memory");
    sl_replace_notemain(L);
    sl_require_keep(L);
    register_names(L);
    push_loop(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, module_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 1;
}

int luaopen_socketloop_coro(lua_State *L)
{
    sl_checkversion(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "socketloop");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "coro");
    return 1;
}
