/*
 * address.c - names and addresses. Look-ups block: see
 * resolver.h for those that do not.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "address.h"

#include "compat.h"
#include "name.h"
#include "result.h"

#include <errno.h>
#include <string.h>

static int look_up(const sl_query *query, int flags, struct addrinfo **list)
{
    struct addrinfo hints;
    int is_any = query->passive && strcmp(query->host, "*") == 0;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = query->family;
    hints.ai_socktype = query->socktype;
    hints.ai_flags = flags | (query->passive ? AI_PASSIVE : 0);
    *list = NULL;
    return getaddrinfo(is_any ? NULL : query->host, query->port, &hints,
                       list);
}

int sl_address_resolve(const sl_query *query, struct addrinfo **list)
{
    return sl_result_gai(look_up(query, 0, list));
}

int sl_address_known(const sl_query *query, struct addrinfo **list)
{
    int flags = AI_NUMERICHOST | AI_NUMERICSERV;
    return look_up(query, flags, list) == 0 ? 0 : SL_AGAIN;
}

int sl_address_format(const struct sockaddr *address, socklen_t size,
                      char host[NI_MAXHOST], char port[NI_MAXSERV])
{
    return getnameinfo(address, size, host, NI_MAXHOST, port, NI_MAXSERV,
                       NI_NUMERICHOST | NI_NUMERICSERV) == 0;
}

int sl_address_push(lua_State *L, int fd, sl_address_getter getter)
{
    sl_name name;
    name.size = sizeof name.address;
    if (getter(fd, &name.address.any, &name.size) < 0)
        return sl_result_fail(L, errno);
    int n = sl_name_push(L, &name);
    if (n == 0)
        return sl_result_fail(L, EAFNOSUPPORT);
    if (n == 1)
        return 1;
    lua_pushstring(L, name.address.any.sa_family == AF_INET6 ? "inet6"
                                                             : "inet");
    return 3;
}

const char *sl_address_checkport(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TNUMBER) {
        lua_Number port = lua_tonumber(L, index);
        luaL_argcheck(L, port >= 0 && port <= 65535, index,
                      "port out of range");
        lua_pushfstring(L, "%d", (int)port);
        lua_replace(L, index);
    }
    return luaL_checkstring(L, index);
}
