/*
 * sockopt.h - socket options under LuaSocket's names, where the system has
 * them; see socket(7), tcp(7), ip(7), ipv6(7).
 */

#ifndef SL_SOCKOPT_H
#define SL_SOCKOPT_H

#include <netinet/in.h>
#include <sys/socket.h>

/* The type of an option's value, and the member of sl_sockopt_value that has
 * it. */
typedef enum sl_sockopt_kind {
    SL_OPT_BOOL,       /* integer */
    SL_OPT_INT,        /* integer */
    SL_OPT_LINGER,
    SL_OPT_ERROR,      /* integer: an errno; can only be read */
    SL_OPT_DEVICE,     /* name */
    SL_OPT_ADDRESS,
    SL_OPT_GROUP,      /* can only be set, like SL_OPT_GROUP6 */
    SL_OPT_GROUP6
} sl_sockopt_kind;

/* Kinds of sockets, as a set. */
enum {
    SL_ON_TCP = 1, SL_ON_UDP = 2, SL_ON_UNIX = 4, SL_ON_UNIXDGRAM = 8,
    SL_ON_INET = SL_ON_TCP | SL_ON_UDP
};

typedef struct sl_sockopt {
    const char *name;
    int level, number;
    sl_sockopt_kind kind;
    int users;               /* set of the kinds of sockets above */
} sl_sockopt;

typedef union sl_sockopt_value {
    int integer;
    struct linger linger;
    struct in_addr address;
    struct ip_mreq group;
    struct ipv6_mreq group6;
    char name[64];
} sl_sockopt_value;

/* Finds the option of that name on a kind of socket; NULL: there is none. */
const sl_sockopt *sl_sockopt_find(const char *name, int user);

/* 0 or an errno. */
int sl_sockopt_set(int fd, const sl_sockopt *option,
                   const sl_sockopt_value *value);
int sl_sockopt_get(int fd, const sl_sockopt *option, sl_sockopt_value *value);

#endif
