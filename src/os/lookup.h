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
    SL_TO_BIND,          /* host "*" is any */
    SL_TO_NAME,          /* also the host's canonical name */
    SL_TO_REVERSE        /* also the names of its addresses */
};

/* A question. */
typedef struct sl_query {
    const char *host;
    const char *port;    /* number or service; NULL: none */
    int family;          /* AF_UNSPEC, ... */
    int socktype;        /* SOCK_STREAM, ... */
    int purpose;         /* of enum sl_purpose */
} sl_query;

/* 0 or how it failed (error.h). Free *list with sl_lookup_free.
 * resolve asks the system, and blocks; known gives SL_AGAIN if that is needed,
 * which it isn't for numbers. */
int sl_lookup_resolve(const sl_query *query, struct addrinfo **list);
int sl_lookup_known(const sl_query *query, struct addrinfo **list);

/* list may be NULL. */
void sl_lookup_free(struct addrinfo *list);

/* The names of the addresses: of the port, then of each host, with a zero byte
 * after each. Asks the system, and blocks. NULL: no memory. Free it. */
char *sl_lookup_names(const struct addrinfo *list);

/* An address as text; false if it has none. */
int sl_lookup_format(const struct sockaddr *address, socklen_t size,
                     char host[NI_MAXHOST], char port[NI_MAXSERV]);

#endif
