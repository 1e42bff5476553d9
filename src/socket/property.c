/*
 * property.c - methods of asockets that read or set a property, and move no
 * data. Arguments and results are LuaSocket's.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/asocket.h"
#include "socket/push.h"
#include "thread/arg.h"

#include "loop/cork.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "socket/methods.h"
#include "socket/option.h"
#include "socket/send.h"

#include <string.h>

/* Returns the asocket at index 1, after sending the loop's gathered bytes. For
 * methods that reveal the descriptor or how much was sent. */
static sl_asocket *check_flushed(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_cork_flush(a->source.loop);
    return a;
}

/* Reads the mode at index 3. True: a time is for the whole call ('t' or 'r').
 * False: it begins anew with each progress ('b', the default). */
static int check_mode(lua_State *L)
{
    const char *mode = sl_arg_optstring(L, 3, "b");
    sl_arg_check(L, *mode != '\0' && strchr("btr", *mode) != NULL, 3,
                 "invalid timeout mode");
    return *mode != 'b';
}

/* settimeout([seconds [, mode]]) -> 1. Mode 'b' limits each wait of a call,
 * 't' (or 'r') the call; nil or negative: no limit. */
static int meth_settimeout(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    double seconds = sl_arg_optseconds(L, 2, -1);
    int in_all = check_mode(L);
    if (seconds < 0)
        seconds = -1;
    if (in_all)
        a->total = seconds;
    else
        a->block = seconds;
    lua_pushinteger(L, 1);
    return 1;
}

/* gettimeout() -> limit of a wait, limit of a call; -1: none. */
static int meth_gettimeout(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    lua_pushnumber(L, a->block);
    lua_pushnumber(L, a->total);
    return 2;
}

/* setlingertime([seconds [, mode]]) -> 1. The connection of a closed socket is
 * reset when its peer has accepted none of the unsent bytes for so many
 * seconds; mode 't': so many seconds after the close; nil: SL_LINGER. */
static int meth_setlingertime(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    double seconds = sl_arg_optnumber(L, 2, SL_LINGER);
    sl_arg_check(L, seconds >= 0, 2, "negative or not a number");
    a->linger_in_all = (unsigned char)check_mode(L);
    a->linger = seconds;
    lua_pushinteger(L, 1);
    return 1;
}

/* setmaxline([bytes]) -> 1. A receive fails if its line is longer; nil: no
 * limit. After such a failure the call also lets the socket receive again,
 * beginning with the rest of that line. */
static int meth_setmaxline(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    a->max_line = sl_arg_optlimit(L, 2, 0);
    a->overlong = 0;
    lua_pushinteger(L, 1);
    return 1;
}

/* setmaxread([bytes]) -> 1. Limits the bytes that receive(n) and receive('*a')
 * return; nil: no limit. After a receive('*a') that failed for it the call lets
 * the next ones succeed. */
static int meth_setmaxread(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    a->max_read = sl_arg_optlimit(L, 2, 0);
    a->overfull = 0;
    lua_pushinteger(L, 1);
    return 1;
}

/* getstats() -> bytes received, bytes sent, age in seconds. */
static int meth_getstats(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    lua_pushnumber(L, a->received);
    lua_pushnumber(L, a->sent);
    lua_pushnumber(L, sl_clock_now() - a->birthday);
    return 3;
}

/* setstats([received [, sent [, age]]]) -> 1 */
static int meth_setstats(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    a->received = sl_arg_optnumber(L, 2, a->received);
    a->sent = sl_arg_optnumber(L, 3, a->sent);
    if (!lua_isnoneornil(L, 4))
        a->birthday = sl_clock_now() - sl_arg_number(L, 4);
    lua_pushinteger(L, 1);
    return 1;
}

/* dirty() -> true if received bytes are in the buffer or in the object. */
static int meth_dirty(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    int dirty = sl_buffer_count(&a->buffer) > 0;
    if (!dirty && a->driver->dirty != NULL)
        dirty = a->driver->dirty(L, a);
    lua_pushboolean(L, dirty);
    return 1;
}

/* getfd() -> the descriptor; -1: none. */
static int meth_getfd(lua_State *L)
{
    lua_pushinteger(L, check_flushed(L)->source.fd);
    return 1;
}

/* setfd(fd): replaces the asocket's descriptor. The former one stays open,
 * without an owner. */
static int meth_setfd(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    int fd = sl_arg_int(L, 2);
    sl_send_drain(L, a, "setfd");
    sl_source_release(&a->source, 0);
    a->driver->setfd(L, a, fd);
    return 0;
}

/* getfamily() -> 'inet4' or 'inet6' */
static int meth_getfamily(lua_State *L)
{
    int fd = sl_asocket_check(L)->source.fd;
    int is_six = fd >= 0 && sl_fd_family(fd) == AF_INET6;
    lua_pushstring(L, is_six ? "inet6" : "inet4");
    return 1;
}

/* getpeername() -> address, port, 'inet' or 'inet6'; or nil, error */
static int meth_getpeername(lua_State *L)
{
    return sl_push_peername(L, sl_asocket_check(L)->source.fd);
}

static int meth_getsockname(lua_State *L)
{
    return sl_push_sockname(L, sl_asocket_check(L)->source.fd);
}

/* Returns the code with which options fail if there is no descriptor. */
static int how_missing(const sl_asocket *a)
{
    return a->phase == SL_PHASE_NEW ? SL_UNNAMED : SL_CLOSED;
}

/* setoption(name [, value]) -> 1 or nil, error */
static int meth_setoption(lua_State *L)
{
    sl_asocket *a = check_flushed(L);
    return sl_option_set(L, &a->source.fd, a->transport, how_missing(a));
}

/* getoption(name) -> value or nil, error */
static int meth_getoption(lua_State *L)
{
    sl_asocket *a = check_flushed(L);
    return sl_option_get(L, a->source.fd, a->transport, how_missing(a));
}

/* Methods of every socket. */
const luaL_Reg sl_property_methods[] = {
    {"dirty", meth_dirty},
    {"getfd", meth_getfd},
    {"getsockname", meth_getsockname},
    {"gettimeout", meth_gettimeout},
    {"setfd", meth_setfd},
    {"setoption", meth_setoption},
    {"settimeout", meth_settimeout},
    {NULL, NULL}
};

/* Methods of TCP and UDP sockets. */
const luaL_Reg sl_property_inetmethods[] = {
    {"getfamily", meth_getfamily},
    {"getoption", meth_getoption},
    {"getpeername", meth_getpeername},
    {NULL, NULL}
};

/* Methods of streams: TCP and unix. */
const luaL_Reg sl_property_streammethods[] = {
    {"getstats", meth_getstats},
    {"setlingertime", meth_setlingertime},
    {"setmaxline", meth_setmaxline},
    {"setmaxread", meth_setmaxread},
    {"setstats", meth_setstats},
    {NULL, NULL}
};
