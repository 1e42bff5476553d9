/*
 * option.c - socket options from and to Lua values. The options and their
 * values are those of LuaSocket's options.c.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/option.h"

#include "loop/result.h"
#include "os/error.h"
#include "os/sockaddr.h"
#include "os/sockopt.h"
#include "socket/transport.h"
#include "thread/arg.h"

#include <string.h>

/* The constant of sockopt.h for each transport. */
static const int users[SL_TRANSPORTS] = {
    [SL_TCP] = SL_ON_TCP, [SL_UDP] = SL_ON_UDP, [SL_UNIX] = SL_ON_UNIX,
    [SL_UNIXDGRAM] = SL_ON_UNIXDGRAM
};

static const sl_sockopt *check_option(lua_State *L, int transport)
{
    const char *name = sl_arg_text(L, 2);
    const sl_sockopt *option = sl_sockopt_find(name, users[transport]);
    if (option == NULL) {
        lua_pushfstring(L, "unsupported option '%s'", name);
        sl_arg_error(L, 2, lua_tostring(L, -1));
    }
    return option;
}

/* --- setting ----------------------------------------------------------- */

/* [-0, +1, v] Pushes a field of the table at index 3. True if it is of that
 * type, or can be converted to it. */
static int get_field(lua_State *L, const char *name, int type)
{
    lua_getfield(L, 3, name);
    return type == LUA_TNUMBER ? lua_isnumber(L, -1)
         : type == LUA_TSTRING ? lua_isstring(L, -1)
         : lua_type(L, -1) == type;
}

static void check_linger(lua_State *L, struct linger *value)
{
    sl_arg_type(L, 3, LUA_TTABLE);
    sl_arg_check(L, get_field(L, "on", LUA_TBOOLEAN), 3,
                 "boolean 'on' field expected");
    value->l_onoff = lua_toboolean(L, -1);
    sl_arg_check(L, get_field(L, "timeout", LUA_TNUMBER), 3,
                 "number 'timeout' field expected");
    sl_arg_check(L, sl_arg_toint(lua_tonumber(L, -1), &value->l_linger), 3,
                 "'timeout' field out of range");
}

/* Parses a numeric IPv4 address; '*' is any address. False: it is none. */
static int parse_address(const char *text, struct in_addr *address)
{
    if (strcmp(text, "*") == 0)
        text = "0.0.0.0";
    return sl_sockaddr_parsehost(text, AF_INET, address);
}

static void check_group(lua_State *L, struct ip_mreq *value)
{
    sl_arg_type(L, 3, LUA_TTABLE);
    sl_arg_check(L, get_field(L, "multiaddr", LUA_TSTRING), 3,
                 "string 'multiaddr' field expected");
    sl_arg_check(L, sl_sockaddr_parsehost(sl_arg_checktext(L, -1, 3),
                                          AF_INET, &value->imr_multiaddr), 3,
                 "invalid 'multiaddr' ip address");
    sl_arg_check(L, get_field(L, "interface", LUA_TSTRING), 3,
                 "string 'interface' field expected");
    sl_arg_check(L, parse_address(sl_arg_checktext(L, -1, 3),
                                  &value->imr_interface), 3,
                 "invalid 'interface' ip address");
}

static void check_group6(lua_State *L, struct ipv6_mreq *value)
{
    sl_arg_type(L, 3, LUA_TTABLE);
    sl_arg_check(L, get_field(L, "multiaddr", LUA_TSTRING), 3,
                 "string 'multiaddr' field expected");
    sl_arg_check(L, sl_sockaddr_parsehost(sl_arg_checktext(L, -1, 3), AF_INET6,
                                          &value->ipv6mr_multiaddr), 3,
                 "invalid 'multiaddr' ip address");
    int number;
    sl_arg_check(L, get_field(L, "interface", LUA_TNUMBER) ||
                    lua_isnil(L, -1), 3,
                 "number 'interface' field expected");
    sl_arg_check(L, sl_arg_toint(lua_tonumber(L, -1), &number) && number >= 0,
                 3, "'interface' field out of range");
    value->ipv6mr_interface = (unsigned)number;
}

/* [-0, +n, v] Reads the value at index 3, for an option of that kind. */
static void check_value(lua_State *L, sl_sockopt_kind kind,
                        sl_sockopt_value *value)
{
    const char *name;
    switch (kind) {
    case SL_OPT_BOOL:
        sl_arg_type(L, 3, LUA_TBOOLEAN);
        value->integer = lua_toboolean(L, 3);
        break;
    case SL_OPT_INT:
        value->integer = sl_arg_int(L, 3);
        break;
    case SL_OPT_LINGER:
        check_linger(L, &value->linger);
        break;
    case SL_OPT_DEVICE:
        name = sl_arg_text(L, 3);
        sl_arg_check(L, strlen(name) < sizeof value->name, 3,
                     "name too long");
        strcpy(value->name, name);
        break;
    case SL_OPT_ADDRESS:
        sl_arg_check(L, parse_address(sl_arg_text(L, 3),
                                      &value->address), 3, "ip expected");
        break;
    case SL_OPT_GROUP:
        check_group(L, &value->group);
        break;
    case SL_OPT_GROUP6:
        check_group6(L, &value->group6);
        break;
    case SL_OPT_ERROR:
        sl_arg_error(L, 2, "option 'error' can only be read");
    }
}

int sl_option_set(lua_State *L, const int *fd, int transport, int missing)
{
    sl_sockopt_value value;
    const sl_sockopt *option = check_option(L, transport);
    memset(&value, 0, sizeof value);
    check_value(L, option->kind, &value);
    int err = sl_sockopt_set(*fd, option, &value);
    if (err != 0)
        return sl_result_fail(L, *fd < 0 ? missing : err);
    lua_pushinteger(L, 1);
    return 1;
}

/* --- reading ----------------------------------------------------------- */

static void push_linger(lua_State *L, const struct linger *value)
{
    lua_createtable(L, 0, 2);
    lua_pushboolean(L, value->l_onoff);
    lua_setfield(L, -2, "on");
    lua_pushinteger(L, value->l_linger);
    lua_setfield(L, -2, "timeout");
}

/* [-0, +1, m] Pushes the value of an option of that kind. */
static void push_value(lua_State *L, sl_sockopt_kind kind,
                       const sl_sockopt_value *value)
{
    char address[SL_HOST_SIZE];
    switch (kind) {
    case SL_OPT_BOOL:
        lua_pushboolean(L, value->integer);
        break;
    case SL_OPT_INT:
        lua_pushinteger(L, value->integer);
        break;
    case SL_OPT_LINGER:
        push_linger(L, &value->linger);
        break;
    case SL_OPT_ERROR:
        if (value->integer == 0)
            lua_pushnil(L);
        else
            lua_pushstring(L, sl_error_message(value->integer));
        break;
    case SL_OPT_DEVICE:
        lua_pushstring(L, value->name);
        break;
    case SL_OPT_ADDRESS:
        sl_sockaddr_formathost(&value->address, address);
        lua_pushstring(L, address);
        break;
    case SL_OPT_GROUP: case SL_OPT_GROUP6:
        sl_arg_error(L, 2, "a membership can only be set");
    }
}

int sl_option_get(lua_State *L, int fd, int transport, int missing)
{
    sl_sockopt_value value;
    const sl_sockopt *option = check_option(L, transport);
    int err = sl_sockopt_get(fd, option, &value);
    if (err != 0)
        return sl_result_fail(L, fd < 0 ? missing : err);
    push_value(L, option->kind, &value);
    return 1;
}
