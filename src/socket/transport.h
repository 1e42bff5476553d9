/*
 * transport.h - the kinds of sockets: a row for each family of LuaSocket's
 * classes. The class of an asocket is a place in that table, its transport
 * the row and its kind the column.
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
    const char *classes[SL_KINDS];  /* LuaSocket's names of them, or NULL */
    const char *module;             /* LuaSocket's, that makes the objects */
    const char *make;               /* its function that does, and those for */
    const char *make4, *make6;      /* IPv4 and IPv6 only */
    int socktype;                   /* for socket(2) */
    int is_local;                   /* of family AF_UNIX: names are paths */
} sl_transport;

extern const sl_transport sl_transports[SL_TRANSPORTS];

/* The transport of sockets of that family and type, or -1. */
int sl_transport_find(int family, int socktype);

#endif
