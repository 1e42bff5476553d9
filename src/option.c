/*
 * option.c - the options of LuaSocket's TCP objects (its options.c says which
 * and with what values), see socket(7), tcp(7), ipv6(7).
 */

#define _GNU_SOURCE    /* TCP_KEEPIDLE and its kin */

#include "option.h"

#include "compat.h"
#include "result.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

typedef enum value_kind {
    BOOLEAN, INTEGER, LINGER, PENDING_ERROR, DEVICE
} value_kind;

typedef struct option {
    const char *name;
    int level, number;
    value_kind kind;
} option;

static const option options[] = {
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE, BOOLEAN},
    {"reuseaddr", SOL_SOCKET, SO_REUSEADDR, BOOLEAN},
    {"tcp-nodelay", IPPROTO_TCP, TCP_NODELAY, BOOLEAN},
    {"ipv6-v6only", IPPROTO_IPV6, IPV6_V6ONLY, BOOLEAN},
    {"linger", SOL_SOCKET, SO_LINGER, LINGER},
    {"error", SOL_SOCKET, SO_ERROR, PENDING_ERROR},
    {"recv-buffer-size", SOL_SOCKET, SO_RCVBUF, INTEGER},
    {"send-buffer-size", SOL_SOCKET, SO_SNDBUF, INTEGER},
#if defined(SO_REUSEPORT)
    {"reuseport", SOL_SOCKET, SO_REUSEPORT, BOOLEAN},
#endif
#if defined(SO_BINDTODEVICE)
    {"bindtodevice", SOL_SOCKET, SO_BINDTODEVICE, DEVICE},
#endif
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPCNT) && defined(TCP_KEEPINTVL)
    {"tcp-keepidle", IPPROTO_TCP, TCP_KEEPIDLE, INTEGER},
    {"tcp-keepcnt", IPPROTO_TCP, TCP_KEEPCNT, INTEGER},
    {"tcp-keepintvl", IPPROTO_TCP, TCP_KEEPINTVL, INTEGER},
#endif
#if defined(TCP_DEFER_ACCEPT)
    {"tcp-defer-accept", IPPROTO_TCP, TCP_DEFER_ACCEPT, INTEGER},
#endif
#if defined(TCP_FASTOPEN)
    {"tcp-fastopen", IPPROTO_TCP, TCP_FASTOPEN, INTEGER},
#endif
#if defined(TCP_FASTOPEN_CONNECT)
    {"tcp-fastopen-connect", IPPROTO_TCP, TCP_FASTOPEN_CONNECT, INTEGER},
#endif
};

static const option *check_option(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    lua_pushfstring(L, "unsupported option '%s'", name);
    luaL_argerror(L, 2, lua_tostring(L, -1));
    return NULL;
}

/* The value at index 3 for an option of that kind is set with size bytes. */
static socklen_t check_value(lua_State *L, value_kind kind, void *value,
                             size_t size)
{
    int integer = 0;
    struct linger linger = {0, 0};
    const char *name;
    switch (kind) {
    case BOOLEAN:
        luaL_checktype(L, 3, LUA_TBOOLEAN);
        integer = lua_toboolean(L, 3);
        break;
    case INTEGER:
        integer = (int)luaL_checknumber(L, 3);
        break;
    case LINGER:
        luaL_checktype(L, 3, LUA_TTABLE);
        lua_getfield(L, 3, "on");
        luaL_argcheck(L, lua_isboolean(L, -1), 3,
                      "boolean 'on' field expected");
        lua_getfield(L, 3, "timeout");
        luaL_argcheck(L, lua_isnumber(L, -1), 3,
                      "number 'timeout' field expected");
        linger.l_onoff = lua_toboolean(L, -2);
        linger.l_linger = (int)lua_tonumber(L, -1);
        memcpy(value, &linger, sizeof linger);
        return sizeof linger;
    case DEVICE:
        name = luaL_checkstring(L, 3);
        luaL_argcheck(L, strlen(name) < size, 3, "name too long");
        memcpy(value, name, strlen(name) + 1);
        return (socklen_t)strlen(name) + 1;
    case PENDING_ERROR:
        luaL_argerror(L, 2, "option 'error' can only be read");
    }
    memcpy(value, &integer, sizeof integer);
    return sizeof integer;
}

int sl_option_set(lua_State *L, int fd)
{
    char value[64];
    const option *o = check_option(L);
    socklen_t size = check_value(L, o->kind, value, sizeof value);
    if (setsockopt(fd, o->level, o->number, value, size) < 0)
        return sl_result_fail(L, errno);
    lua_pushinteger(L, 1);
    return 1;
}

int sl_option_get(lua_State *L, int fd)
{
    union {
        int integer;
        struct linger linger;
        char name[64];
    } value = {0};
    socklen_t size = sizeof value;
    const option *o = check_option(L);
    if (getsockopt(fd, o->level, o->number, &value, &size) < 0)
        return sl_result_fail(L, errno);
    switch (o->kind) {
    case BOOLEAN:
        lua_pushboolean(L, value.integer);
        break;
    case INTEGER:
        lua_pushinteger(L, value.integer);
        break;
    case LINGER:
        lua_createtable(L, 0, 2);
        lua_pushboolean(L, value.linger.l_onoff);
        lua_setfield(L, -2, "on");
        lua_pushinteger(L, value.linger.l_linger);
        lua_setfield(L, -2, "timeout");
        break;
    case PENDING_ERROR:
        if (value.integer == 0)
            lua_pushnil(L);
        else
            lua_pushstring(L, sl_result_message(value.integer));
        break;
    case DEVICE:
        lua_pushstring(L, value.name);
        break;
    }
    return 1;
}
