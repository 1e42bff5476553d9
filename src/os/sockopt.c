/*
 * sockopt.c - see sockopt.h.
 */

#define _GNU_SOURCE    /* TCP_KEEPIDLE and others */

#include "os/sockopt.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

enum {
    TCP = SL_ON_TCP, UDP = SL_ON_UDP, INET = SL_ON_INET, UNIX = SL_ON_UNIX
};

static const sl_sockopt options[] = {
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE, SL_OPT_BOOL, TCP | UNIX},
    {"reuseaddr", SOL_SOCKET, SO_REUSEADDR, SL_OPT_BOOL,
     INET | UNIX | SL_ON_UNIXDGRAM},
    {"tcp-nodelay", IPPROTO_TCP, TCP_NODELAY, SL_OPT_BOOL, TCP},
    {"ipv6-v6only", IPPROTO_IPV6, IPV6_V6ONLY, SL_OPT_BOOL, INET},
    {"linger", SOL_SOCKET, SO_LINGER, SL_OPT_LINGER, TCP | UNIX},
    {"error", SOL_SOCKET, SO_ERROR, SL_OPT_ERROR, INET},
    {"recv-buffer-size", SOL_SOCKET, SO_RCVBUF, SL_OPT_INT, INET},
    {"send-buffer-size", SOL_SOCKET, SO_SNDBUF, SL_OPT_INT, INET},
    {"dontroute", SOL_SOCKET, SO_DONTROUTE, SL_OPT_BOOL, UDP},
    {"broadcast", SOL_SOCKET, SO_BROADCAST, SL_OPT_BOOL, UDP},
    {"ip-multicast-if", IPPROTO_IP, IP_MULTICAST_IF, SL_OPT_ADDRESS, UDP},
    {"ip-multicast-ttl", IPPROTO_IP, IP_MULTICAST_TTL, SL_OPT_INT, UDP},
    {"ip-multicast-loop", IPPROTO_IP, IP_MULTICAST_LOOP, SL_OPT_BOOL, UDP},
    {"ip-add-membership", IPPROTO_IP, IP_ADD_MEMBERSHIP, SL_OPT_GROUP, UDP},
    {"ip-drop-membership", IPPROTO_IP, IP_DROP_MEMBERSHIP, SL_OPT_GROUP,
     UDP},
    {"ipv6-unicast-hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS, SL_OPT_INT, UDP},
    {"ipv6-multicast-hops", IPPROTO_IPV6, IPV6_MULTICAST_HOPS, SL_OPT_INT, UDP},
    {"ipv6-multicast-loop", IPPROTO_IPV6, IPV6_MULTICAST_LOOP, SL_OPT_BOOL,
     UDP},
    {"ipv6-add-membership", IPPROTO_IPV6, IPV6_JOIN_GROUP, SL_OPT_GROUP6,
     UDP},
    {"ipv6-drop-membership", IPPROTO_IPV6, IPV6_LEAVE_GROUP, SL_OPT_GROUP6,
     UDP},
#if defined(SO_REUSEPORT)
    {"reuseport", SOL_SOCKET, SO_REUSEPORT, SL_OPT_BOOL, INET},
#endif
#if defined(SO_BINDTODEVICE)
    {"bindtodevice", SOL_SOCKET, SO_BINDTODEVICE, SL_OPT_DEVICE, TCP},
#endif
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPCNT) && defined(TCP_KEEPINTVL)
    {"tcp-keepidle", IPPROTO_TCP, TCP_KEEPIDLE, SL_OPT_INT, TCP},
    {"tcp-keepcnt", IPPROTO_TCP, TCP_KEEPCNT, SL_OPT_INT, TCP},
    {"tcp-keepintvl", IPPROTO_TCP, TCP_KEEPINTVL, SL_OPT_INT, TCP},
#endif
#if defined(TCP_DEFER_ACCEPT)
    {"tcp-defer-accept", IPPROTO_TCP, TCP_DEFER_ACCEPT, SL_OPT_INT, TCP},
#endif
#if defined(TCP_FASTOPEN)
    {"tcp-fastopen", IPPROTO_TCP, TCP_FASTOPEN, SL_OPT_INT, TCP},
#endif
#if defined(TCP_FASTOPEN_CONNECT)
    {"tcp-fastopen-connect", IPPROTO_TCP, TCP_FASTOPEN_CONNECT, SL_OPT_INT,
     TCP},
#endif
};

const sl_sockopt *sl_sockopt_find(const char *name, int user)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if ((options[i].users & user) && strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static socklen_t value_size(sl_sockopt_kind kind, const sl_sockopt_value *value)
{
    switch (kind) {
    case SL_OPT_LINGER:
        return sizeof value->linger;
    case SL_OPT_DEVICE:
        return (socklen_t)strlen(value->name) + 1;
    case SL_OPT_ADDRESS:
        return sizeof value->address;
    case SL_OPT_GROUP:
        return sizeof value->group;
    case SL_OPT_GROUP6:
        return sizeof value->group6;
    default:
        return sizeof value->integer;
    }
}

int sl_sockopt_set(int fd, const sl_sockopt *option,
                   const sl_sockopt_value *value)
{
    return setsockopt(fd, option->level, option->number, value,
                      value_size(option->kind, value)) < 0 ? errno : 0;
}

int sl_sockopt_get(int fd, const sl_sockopt *option, sl_sockopt_value *value)
{
    socklen_t size = sizeof *value;
    memset(value, 0, sizeof *value);
    return getsockopt(fd, option->level, option->number, value, &size) < 0
               ? errno : 0;
}
