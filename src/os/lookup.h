/*
 * lookup.h - names and addresses: getaddrinfo and getnameinfo.
 */

#ifndef SL_LOOKUP_H
#define SL_LOOKUP_H

#include <netdb.h>
#include <sys/socket.h>

/* The purpose of a look-up. */
enum sl_purpose {
    SL_TO_CONNECT,
    SL_TO_BIND,          /* host "*" stands for any address */
    SL_TO_NAME,          /* with the host's canonical name */
    SL_TO_REVERSE        /* with the names of the host's addresses */
};

/* The arguments of a look-up. */
typedef struct sl_query {
    const char *host;
    const char *port;    /* number or service; NULL: none */
    int family;          /* AF_UNSPEC, ... */
    int socktype;        /* SOCK_STREAM, ... */
    int purpose;         /* of enum sl_purpose */
} sl_query;

/* Look a name up: 0 or how it failed (error.h). Free *list with sl_lookup_free.
 * resolve asks the system, and may block. known does not ask: it parses
 * numbers, and returns SL_AGAIN for everything else. */
int sl_lookup_resolve(const sl_query *query, struct addrinfo **list);
int sl_lookup_known(const sl_query *query, struct addrinfo **list);

/* list may be NULL. */
void sl_lookup_free(struct addrinfo *list);

/* Looks up the names of addresses: the port's name and then each host's, with a
 * zero byte after each. Blocks. NULL: no memory. Free the result. */
char *sl_lookup_names(const struct addrinfo *list);

/* Formats an address in digits. False if it has no such form. */
int sl_lookup_format(const struct sockaddr *address, socklen_t size,
                     char host[NI_MAXHOST], char port[NI_MAXSERV]);

#endif
