/*
 * lookup.c - names and addresses. These look-ups block; resolver.h has look-ups
 * that do not.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "os/lookup.h"

#include "os/error.h"
#include "os/sockaddr.h"

#include <stdlib.h>
#include <string.h>

/* Without a family, '*' means any address of IPv4: the order in which the
 * system returns IPv4 and IPv6 depends on its network. */
static int ask_system(const sl_query *query, int flags, struct addrinfo **list)
{
    struct addrinfo hints;
    int to_bind = query->purpose == SL_TO_BIND;
    int is_any = to_bind && strcmp(query->host, "*") == 0;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = is_any && query->family == AF_UNSPEC ? AF_INET
                                                           : query->family;
    hints.ai_socktype = query->socktype;
    hints.ai_flags = flags | (to_bind ? AI_PASSIVE : 0) |
                     (query->purpose == SL_TO_NAME ? AI_CANONNAME : 0);
    *list = NULL;
    return getaddrinfo(is_any ? NULL : query->host, query->port, &hints,
                       list);
}

/* Whether the query may go to the system, which accepts more ports than we
 * do. */
static int is_sound(const sl_query *query)
{
    return *query->host != '\0' &&
           (query->port == NULL || sl_sockaddr_isport(query->port));
}

int sl_lookup_resolve(const sl_query *query, struct addrinfo **list)
{
    if (!is_sound(query))
        return SL_GAI - EAI_NONAME;
    return sl_error_gai(ask_system(query, 0, list));
}

int sl_lookup_known(const sl_query *query, struct addrinfo **list)
{
    int flags = AI_NUMERICHOST | AI_NUMERICSERV;
    if (!is_sound(query))
        return SL_GAI - EAI_NONAME;
    if (query->purpose == SL_TO_REVERSE)
        return SL_AGAIN;
    return ask_system(query, flags, list) == 0 ? 0 : SL_AGAIN;
}

void sl_lookup_free(struct addrinfo *list)
{
    if (list != NULL)
        freeaddrinfo(list);
}

/* Finds the name of an address; the digits if there is no name or the look-up
 * failed. */
static void find_name(const struct addrinfo *ai, char host[NI_MAXHOST],
                      char port[NI_MAXSERV])
{
    const socklen_t size = ai->ai_addrlen;
    if (getnameinfo(ai->ai_addr, size, host, NI_MAXHOST, port, NI_MAXSERV,
                    0) != 0 &&
        getnameinfo(ai->ai_addr, size, host, NI_MAXHOST, port, NI_MAXSERV,
                    NI_NUMERICHOST) != 0)
        *host = '\0';
}

char *sl_lookup_names(const struct addrinfo *list)
{
    char host[NI_MAXHOST], port[NI_MAXSERV] = "";
    char *names = NULL;
    size_t size = 0;
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        find_name(ai, host, port);
        size_t first = size == 0 ? strlen(port) + 1 : 0;
        size_t next = strlen(host) + 1;
        char *more = realloc(names, size + first + next);
        if (more == NULL) {
            free(names);
            return NULL;
        }
        names = more;
        memcpy(names + size, port, first);
        memcpy(names + size + first, host, next);
        size += first + next;
    }
    return names;
}

int sl_lookup_format(const struct sockaddr *address, socklen_t size,
                     char host[NI_MAXHOST], char port[NI_MAXSERV])
{
    return getnameinfo(address, size, host, NI_MAXHOST, port, NI_MAXSERV,
                       NI_NUMERICHOST | NI_NUMERICSERV) == 0;
}
