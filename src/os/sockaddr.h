/*
 * sockaddr.h - socket addresses as system calls take them: an address and a
 * port, or a path. Nothing is looked up here (see lookup.h).
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
    socklen_t size;    /* of what is in it; 0: no name */
} sl_sockaddr;

/* The address of that family in digits, for a struct in_addr or in6_addr;
 * false if the text is none. And back, for IPv4. */
int sl_sockaddr_parsehost(const char *text, int family, void *address);
void sl_sockaddr_formathost(const struct in_addr *address,
                            char text[SL_HOST_SIZE]);

/* Whether the text may be a port: a decimal number up to 65535, or like the
 * name of a service. (The system accepts signs, blanks and numbers that
 * overflow.) */
int sl_sockaddr_isport(const char *text);

/* A numeric address and port. 0 or how it failed (error.h). */
int sl_sockaddr_parse(const char *host, const char *port, int family,
                      sl_sockaddr *name);

/* A path; one that begins with a zero byte is a Linux abstract name, which is
 * no file. 0, or ENAMETOOLONG. */
int sl_sockaddr_setpath(const char *path, size_t size, sl_sockaddr *name);

/* The path, and its size; '' if there is no name; NULL if the name is of
 * another family. The system's size counts a zero byte after a path, or the
 * whole array. */
const char *sl_sockaddr_path(const sl_sockaddr *name, size_t *size);

/* A numeric address and port; false if the name is of a family without. */
int sl_sockaddr_format(const sl_sockaddr *name, char host[SL_HOST_SIZE],
                       int *port);

#endif
