/*
 * option.c - the options of LuaSocket's objects (its options.c says which
 * and with what values), see socket(7), tcp(7), ip(7), ipv6(7).
 */

#define _GNU_SOURCE    /* TCP_KEEPIDLE and its kin */

#include "socket/option.h"

#include "loop/result.h"
#include "os/error.h"
#include "socket/transport.h"
#include "thread/arg.h"
#include "thread/compat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

typedef enum value_kind {
    BOOLEAN, INTEGER, LINGER, PENDING_ERROR, DEVICE, IP_ADDRESS, IP_GROUP,
    IPV6_GROUP
} value_kind;

/* Which transports have it. */
enum {
    TCP = 1 << SL_TCP | 1 << SL_FOREIGN, UDP = 1 << SL_UDP,
    UNIX = 1 << SL_UNIX, UNIXDGRAM = 1 << SL_UNIXDGRAM, INET = TCP | UDP
};

typedef struct option {
    const char *name;
    int level, number;
    value_kind kind;
    int users;
} option;

static const option options[] = {
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE, BOOLEAN, TCP | UNIX},
    {"reuseaddr", SOL_SOCKET, SO_REUSEADDR, BOOLEAN, INET | UNIX | UNIXDGRAM},
    {"tcp-nodelay", IPPROTO_TCP, TCP_NODELAY, BOOLEAN, TCP},
    {"ipv6-v6only", IPPROTO_IPV6, IPV6_V6ONLY, BOOLEAN, INET},
    {"linger", SOL_SOCKET, SO_LINGER, LINGER, TCP | UNIX},
    {"error", SOL_SOCKET, SO_ERROR, PENDING_ERROR, INET},
    {"recv-buffer-size", SOL_SOCKET, SO_RCVBUF, INTEGER, INET},
    {"send-buffer-size", SOL_SOCKET, SO_SNDBUF, INTEGER, INET},
    {"dontroute", SOL_SOCKET, SO_DONTROUTE, BOOLEAN, UDP},
    {"broadcast", SOL_SOCKET, SO_BROADCAST, BOOLEAN, UDP},
    {"ip-multicast-if", IPPROTO_IP, IP_MULTICAST_IF, IP_ADDRESS, UDP},
    {"ip-multicast-ttl", IPPROTO_IP, IP_MULTICAST_TTL, INTEGER, UDP},
    {"ip-multicast-loop", IPPROTO_IP, IP_MULTICAST_LOOP, BOOLEAN, UDP},
    {"ip-add-membership", IPPROTO_IP, IP_ADD_MEMBERSHIP, IP_GROUP, UDP},
    {"ip-drop-membership", IPPROTO_IP, IP_DROP_MEMBERSHIP, IP_GROUP, UDP},
    {"ipv6-unicast-hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS, INTEGER, UDP},
    {"ipv6-multicast-hops", IPPROTO_IPV6, IPV6_MULTICAST_HOPS, INTEGER, UDP},
    {"ipv6-multicast-loop", IPPROTO_IPV6, IPV6_MULTICAST_LOOP, BOOLEAN, UDP},
    {"ipv6-add-membership", IPPROTO_IPV6, IPV6_JOIN_GROUP, IPV6_GROUP, UDP},
    {"ipv6-drop-membership", IPPROTO_IPV6, IPV6_LEAVE_GROUP, IPV6_GROUP, UDP},
#if defined(SO_REUSEPORT)
    {"reuseport", SOL_SOCKET, SO_REUSEPORT, BOOLEAN, INET},
#endif
#if defined(SO_BINDTODEVICE)
    {"bindtodevice", SOL_SOCKET, SO_BINDTODEVICE, DEVICE, TCP},
#endif
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPCNT) && defined(TCP_KEEPINTVL)
    {"tcp-keepidle", IPPROTO_TCP, TCP_KEEPIDLE, INTEGER, TCP},
    {"tcp-keepcnt", IPPROTO_TCP, TCP_KEEPCNT, INTEGER, TCP},
    {"tcp-keepintvl", IPPROTO_TCP, TCP_KEEPINTVL, INTEGER, TCP},
#endif
#if defined(TCP_DEFER_ACCEPT)
    {"tcp-defer-accept", IPPROTO_TCP, TCP_DEFER_ACCEPT, INTEGER, TCP},
#endif
#if defined(TCP_FASTOPEN)
    {"tcp-fastopen", IPPROTO_TCP, TCP_FASTOPEN, INTEGER, TCP},
#endif
#if defined(TCP_FASTOPEN_CONNECT)
    {"tcp-fastopen-connect", IPPROTO_TCP, TCP_FASTOPEN_CONNECT, INTEGER, TCP},
#endif
};

static const option *check_option(lua_State *L, int user)
{
    const char *name = sl_arg_text(L, 2);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if ((options[i].users & user) && strcmp(options[i].name, name) == 0)
            return &options[i];
    lua_pushfstring(L, "unsupported option '%s'", name);
    sl_arg_error(L, 2, lua_tostring(L, -1));
    return NULL;
}

/* What an option is set to and read from. */
typedef union option_value {
    int integer;
    struct linger linger;
    struct in_addr address;
    struct ip_mreq group;
    struct ipv6_mreq group6;
    char name[64];
} option_value;

/* --- setting ----------------------------------------------------------- */

/* [-0, +1, v] Pushes a field of the table at index 3; is it of that type? */
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

/* An address in digits, '*' for any; false if it is none. */
static int parse_address(const char *text, struct in_addr *address)
{
    address->s_addr = htonl(INADDR_ANY);
    return strcmp(text, "*") == 0 || inet_pton(AF_INET, text, address) == 1;
}

static void check_group(lua_State *L, struct ip_mreq *value)
{
    sl_arg_type(L, 3, LUA_TTABLE);
    sl_arg_check(L, get_field(L, "multiaddr", LUA_TSTRING), 3,
                 "string 'multiaddr' field expected");
    sl_arg_check(L, inet_pton(AF_INET, sl_arg_checktext(L, -1, 3),
                              &value->imr_multiaddr) == 1, 3,
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
    sl_arg_check(L, inet_pton(AF_INET6, sl_arg_checktext(L, -1, 3),
                              &value->ipv6mr_multiaddr) == 1, 3,
                 "invalid 'multiaddr' ip address");
    int number;
    sl_arg_check(L, get_field(L, "interface", LUA_TNUMBER) ||
                    lua_isnil(L, -1), 3,
                 "number 'interface' field expected");
    sl_arg_check(L, sl_arg_toint(lua_tonumber(L, -1), &number) && number >= 0,
                 3, "'interface' field out of range");
    value->ipv6mr_interface = (unsigned)number;
}

/* The value at index 3 for an option of that kind is set with size bytes. */
static socklen_t check_value(lua_State *L, value_kind kind,
                             option_value *value)
{
    const char *name;
    switch (kind) {
    case BOOLEAN:
        sl_arg_type(L, 3, LUA_TBOOLEAN);
        value->integer = lua_toboolean(L, 3);
        break;
    case INTEGER:
        value->integer = sl_arg_int(L, 3);
        break;
    case LINGER:
        check_linger(L, &value->linger);
        return sizeof value->linger;
    case DEVICE:
        name = sl_arg_text(L, 3);
        sl_arg_check(L, strlen(name) < sizeof value->name, 3,
                     "name too long");
        strcpy(value->name, name);
        return (socklen_t)strlen(name) + 1;
    case IP_ADDRESS:
        sl_arg_check(L, parse_address(sl_arg_text(L, 3),
                                      &value->address), 3, "ip expected");
        return sizeof value->address;
    case IP_GROUP:
        check_group(L, &value->group);
        return sizeof value->group;
    case IPV6_GROUP:
        check_group6(L, &value->group6);
        return sizeof value->group6;
    case PENDING_ERROR:
        sl_arg_error(L, 2, "option 'error' can only be read");
    }
    return sizeof value->integer;
}

int sl_option_set(lua_State *L, const int *fd, int transport, int missing)
{
    option_value value;
    const option *o = check_option(L, 1 << transport);
    memset(&value, 0, sizeof value);
    socklen_t size = check_value(L, o->kind, &value);
    if (setsockopt(*fd, o->level, o->number, &value, size) < 0)
        return sl_result_fail(L, *fd < 0 ? missing : errno);
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

/* [-0, +1, m] */
static void push_value(lua_State *L, value_kind kind,
                       const option_value *value)
{
    char address[INET_ADDRSTRLEN] = "";
    switch (kind) {
    case BOOLEAN:
        lua_pushboolean(L, value->integer);
        break;
    case INTEGER:
        lua_pushinteger(L, value->integer);
        break;
    case LINGER:
        push_linger(L, &value->linger);
        break;
    case PENDING_ERROR:
        if (value->integer == 0)
            lua_pushnil(L);
        else
            lua_pushstring(L, sl_error_message(value->integer));
        break;
    case DEVICE:
        lua_pushstring(L, value->name);
        break;
    case IP_ADDRESS:
        inet_ntop(AF_INET, &value->address, address, sizeof address);
        lua_pushstring(L, address);
        break;
    case IP_GROUP: case IPV6_GROUP:
        sl_arg_error(L, 2, "a membership can only be set");
    }
}

int sl_option_get(lua_State *L, int fd, int transport, int missing)
{
    option_value value;
    socklen_t size = sizeof value;
    const option *o = check_option(L, 1 << transport);
    memset(&value, 0, sizeof value);
    if (getsockopt(fd, o->level, o->number, &value, &size) < 0)
        return sl_result_fail(L, fd < 0 ? missing : errno);
    push_value(L, o->kind, &value);
    return 1;
}
