/*
 * transport.c - the table of LuaSocket's classes. See transport.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/transport.h"

#include "os/fd.h"

const sl_transport sl_transports[SL_TRANSPORTS] = {
    {{"tcp{master}", "tcp{client}", "tcp{server}"},
     "socket", "tcp", "tcp4", "tcp6", SOCK_STREAM, 0},
    {{"udp{unconnected}", "udp{connected}", 0},
     "socket", "udp", "udp4", "udp6", SOCK_DGRAM, 0},
    {{"unixstream{master}", "unixstream{client}", "unixstream{server}"},
     "socket.unix", "stream", 0, 0, SOCK_STREAM, 1},
    {{"unixdgram{unconnected}", "unixdgram{connected}", 0},
     "socket.unix", "dgram", 0, 0, SOCK_DGRAM, 1},
};

int sl_transport_find(int family, int socktype)
{
    int is_local = family == AF_UNIX;
    if (!is_local && family != AF_INET && family != AF_INET6)
        return -1;
    for (int i = 0; i < SL_TRANSPORTS; i++)
        if (sl_transports[i].is_local == is_local &&
            sl_transports[i].socktype == socktype)
            return i;
    return -1;
}
