/*
 * transport.h - the table of LuaSocket's classes. The class of an asocket is a
 * cell of the table: its transport is the row, its kind is the column.
 */

#ifndef SL_TRANSPORT_H
#define SL_TRANSPORT_H

/* The rows. */
enum { SL_TCP, SL_UDP, SL_UNIX, SL_UNIXDGRAM, SL_TRANSPORTS };

/* The columns; datagram sockets are never servers. */
enum {
    SL_MASTER, SL_CLIENT, SL_SERVER, SL_KINDS,
    SL_UNCONNECTED = SL_MASTER, SL_CONNECTED = SL_CLIENT
};

typedef struct sl_transport {
    const char *classes[SL_KINDS];  /* LuaSocket's class names, by kind; NULL:
                                       no such class */
    const char *module;             /* LuaSocket's module for the objects */
    const char *make;               /* the module's function that makes one */
    const char *make4, *make6;      /* those for IPv4 only and IPv6 only, or
                                       NULL */
    int socktype;                   /* for socket(2) */
    int is_local;                   /* of family AF_UNIX: sockaddrs are paths */
} sl_transport;

extern const sl_transport sl_transports[SL_TRANSPORTS];

/* Returns the transport of sockets of that family and socktype, or -1. */
int sl_transport_find(int family, int socktype);

#endif
