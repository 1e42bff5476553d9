/*
 * driver.h - who does a socket's I/O, and what the socket asks of it. Each
 * socket has one of three drivers:
 *
 *   native     the descriptor is the socket's own (native.c);
 *   luasocket  a LuaSocket object owns the descriptor, and others may use,
 *              replace or close it; the socket does I/O on the descriptor
 *              after a look at the object (luasocket/object_driver.c);
 *   foreign    an object does its own I/O, LuaSec's for instance: the socket
 *              calls its methods, and waits (luasocket/foreign.c).
 *
 * A function that is NULL has nothing to do, or the socket does that itself.
 * The asocket lies at index 1 of the stack where the effect is not -0, +0, -.
 * Codes are 0, an errno or one of error.h.
 */

#ifndef SL_DRIVER_H
#define SL_DRIVER_H

#include <lua.h>

struct addrinfo;
struct sl_asocket;
struct sl_receive;
struct sl_send;

typedef struct sl_driver {
    const char *name;
    const char *const *classes;    /* its own names of classes, by kind; NULL:
                                      LuaSocket's (transport.h) */
    unsigned char owns;       /* the descriptor: the socket closes it */
    unsigned char does_io;    /* the object does, in its own time; also, its
                                 descriptor may stay open after close */

    /* [-0, +0, e] Before an operation: takes over descriptor and class as the
     * object has them now. */
    void (*resync)(lua_State *L, struct sl_asocket *a);

    /* [-0, +n, e] These end the method of that name. */
    int (*receive)(lua_State *L, struct sl_asocket *a,
                   const struct sl_receive *r);
    int (*send)(lua_State *L, struct sl_asocket *a, const struct sl_send *s);

    /* [-0, +n, e] Ends a method that has its arguments from index 2 on:
     * connect, shutdown. */
    int (*method)(lua_State *L, struct sl_asocket *a, const char *name);

    /* [-0, +n, e] Calls a method of the object that the socket does not know:
     * the function at index first with the values above it. Returns n. */
    int (*call)(lua_State *L, struct sl_asocket *a, int first);

    /* [-0, +0, e] Gives the socket a first descriptor of that family. A code;
     * if this or one of the next functions, or connect, is NULL the socket
     * cannot do that: EOPNOTSUPP. */
    int (*open)(lua_State *L, struct sl_asocket *a, int family);

    /* [-0, +0, e] Binds it to the address; makes it listen; gives a datagram
     * socket its peer. A code. */
    int (*bind)(lua_State *L, struct sl_asocket *a, const struct addrinfo *ai,
                int reuse);
    int (*listen)(lua_State *L, struct sl_asocket *a, int backlog);
    int (*setpeer)(lua_State *L, struct sl_asocket *a,
                   const struct addrinfo *ai);

    /* [-0, +1, m] Pushes the value that connect needs, for the registry; of
     * the asocket at index. */
    void (*push)(lua_State *L, int index);

    /* [-0, +0, -] Begins to connect to the address, on a new descriptor if
     * fresh; the registry has the value of push under the key. A code, or
     * EINPROGRESS; *fd: the descriptor to claim, or -1. L is any thread. */
    int (*connect)(lua_State *L, struct sl_asocket *a,
                   const struct addrinfo *ai, int fresh, const void *key,
                   int *fd);

    /* [-0, +0, m] The socket's class has changed. */
    void (*reclass)(lua_State *L, struct sl_asocket *a);

    /* [-0, +0, e] Whether there are bytes to receive besides the buffer's. */
    int (*dirty)(lua_State *L, struct sl_asocket *a);

    /* [-0, +0, e] The socket, which has no descriptor, gets this one. */
    void (*setfd)(lua_State *L, struct sl_asocket *a, int fd);

    /* [-0, +0, e] The socket at index has let go of fd (or -1), which is to be
     * closed; again: it was closed before. */
    void (*close)(lua_State *L, int index, int fd, int again);
} sl_driver;

extern const sl_driver sl_native;    /* native.c */

#endif
