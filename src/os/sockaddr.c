/*
 * sockaddr.c - socket addresses from and to text.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "os/sockaddr.h"

#include "os/error.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int sl_sockaddr_parsehost(const char *text, int family, void *address)
{
    return inet_pton(family, text, address) == 1;
}

void sl_sockaddr_formathost(const struct in_addr *address,
                            char text[SL_HOST_SIZE])
{
    text[0] = '\0';
    inet_ntop(AF_INET, address, text, SL_HOST_SIZE);
}

int sl_sockaddr_isport(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0')
        return strtol(text, NULL, 10) <= 65535;
    return isalpha((unsigned char)text[digits]) &&
           strncmp(text, "0x", 2) != 0;
}

/* The number of a port in digits; -1 for other text. */
static long port_number(const char *port)
{
    size_t digits = strspn(port, "0123456789");
    return digits > 0 && port[digits] == '\0' ? strtol(port, NULL, 10) : -1;
}

/* Parses IPv4, the most common family, without getaddrinfo. False for other
 * text. */
static int parse_quickly(const char *host, long number, sl_sockaddr *name)
{
    struct sockaddr_in *in = &name->address.in;
    memset(in, 0, sizeof *in);
    if (number < 0 || inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return 0;
    in->sin_family = AF_INET;
    in->sin_port = htons((unsigned short)number);
    name->size = sizeof *in;
    return 1;
}

int sl_sockaddr_parse(const char *host, const char *port, int family,
                      sl_sockaddr *name)
{
    struct addrinfo hints, *list;
    long number = port_number(port);
    if (!sl_sockaddr_isport(port))
        return SL_GAI - EAI_NONAME;
    if (family != AF_INET6 && parse_quickly(host, number, name))
        return 0;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = family;
    hints.ai_socktype = SOCK_DGRAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    int err = sl_error_gai(getaddrinfo(host, port, &hints, &list));
    if (err != 0)
        return err;
    memcpy(&name->address, list->ai_addr, list->ai_addrlen);
    name->size = list->ai_addrlen;
    freeaddrinfo(list);
    return 0;
}

int sl_sockaddr_setpath(const char *path, size_t size, sl_sockaddr *name)
{
    struct sockaddr_un *un = &name->address.un;
    if (size >= sizeof un->sun_path)
        return ENAMETOOLONG;
    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, size);
    name->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return 0;
}

const char *sl_sockaddr_path(const sl_sockaddr *name, size_t *size)
{
    const struct sockaddr_un *un = &name->address.un;
    size_t start = offsetof(struct sockaddr_un, sun_path);
    const char *end = NULL;
    if (name->size > 0 && un->sun_family != AF_UNIX)
        return NULL;
    *size = name->size > start ? name->size - start : 0;
    if (*size > 0 && un->sun_path[0] != '\0')
        end = memchr(un->sun_path, '\0', *size);
    if (end != NULL)
        *size = (size_t)(end - un->sun_path);
    return un->sun_path;
}

int sl_sockaddr_format(const sl_sockaddr *name, char host[SL_HOST_SIZE],
                       int *port)
{
    char digits[NI_MAXSERV];
    if (getnameinfo(&name->address.any, name->size, host, SL_HOST_SIZE, digits,
                    sizeof digits, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return 0;
    *port = (int)strtol(digits, NULL, 10);
    return 1;
}
