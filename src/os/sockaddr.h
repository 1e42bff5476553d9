/*
 * sockaddr.h - socket addresses in the form that system calls take: an address
 * and a port, or a path. Nothing is looked up here (see lookup.h).
 */

#ifndef SL_SOCKADDR_H
#define SL_SOCKADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { SL_HOST_SIZE = 80 };    /* of a numeric address, with its scope */

typedef struct sl_sockaddr {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } address;
    socklen_t size;    /* of the part in use; 0: no address */
} sl_sockaddr;

/* Parses an address in digits into a struct in_addr or in6_addr, according to
 * the family; false if the text is none. format is the inverse, for IPv4. */
int sl_sockaddr_parsehost(const char *text, int family, void *address);
void sl_sockaddr_formathost(const struct in_addr *address,
                            char text[SL_HOST_SIZE]);

/* Whether the text can be a port: a decimal number up to 65535, or a service's
 * name by its form. (The system also accepts signs, blanks and numbers that
 * overflow.) */
int sl_sockaddr_isport(const char *text);

/* Parses a numeric address and a port. 0 or how it failed (error.h). */
int sl_sockaddr_parse(const char *host, const char *port, int family,
                      sl_sockaddr *name);

/* Sets a path. A path that begins with a zero byte is a Linux abstract name,
 * which is no file. 0 or ENAMETOOLONG. */
int sl_sockaddr_setpath(const char *path, size_t size, sl_sockaddr *name);

/* Returns the path and its size; '' for a socket without a path, NULL for
 * another family. The system's size may count a zero byte after the path, or
 * the whole array. */
const char *sl_sockaddr_path(const sl_sockaddr *name, size_t *size);

/* Formats the address and port in digits; false if the family has none. */
int sl_sockaddr_format(const sl_sockaddr *name, char host[SL_HOST_SIZE],
                       int *port);

#endif
