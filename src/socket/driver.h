/*
 * driver.h - the table of functions that do a socket's I/O. Each socket has
 * one of three drivers:
 *
 *   native     the socket owns its descriptor (native.c);
 *   luasocket  a LuaSocket object owns the descriptor, and the program may
 *              use, replace or close it; the socket resyncs with the object,
 *              then does I/O on the descriptor (luasocket/object_driver.c);
 *   foreign    an object does its own I/O, LuaSec's for instance; the socket
 *              calls its methods, and waits (luasocket/foreign.c).
 *
 * A member may be NULL. For resync, reclass and dirty that means: nothing to
 * do. For receive, send and method: the socket uses its descriptor itself. For
 * open, bind, listen, setpeer and connect: the socket cannot do that, and the
 * method fails with EOPNOTSUPP.
 *
 * The asocket lies at index 1 of the stack, unless a function has the index as
 * a parameter or the stack effect -0, +0, -. Functions of type int return a
 * code where nothing else is said: 0, an errno or one of error.h.
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
    const char *const *classes;    /* names of classes, by kind; NULL: those
                                      of transport.h */
    unsigned char owns;       /* the socket owns and closes its descriptor */
    unsigned char does_io;    /* the object does the I/O; its descriptor may
                                 stay open after close */

    /* [-0, +0, e] Takes over the descriptor and the class that the object has
     * now. Called before an operation. */
    void (*resync)(lua_State *L, struct sl_asocket *a);

    /* [-0, +n, e] Do the I/O and end the running method: return the number of
     * its results. */
    int (*receive)(lua_State *L, struct sl_asocket *a,
                   const struct sl_receive *r);
    int (*send)(lua_State *L, struct sl_asocket *a, const struct sl_send *s);

    /* [-0, +n, e] Ends the method of that name (connect or shutdown): calls the
     * object's, with the arguments from index 2 on. */
    int (*method)(lua_State *L, struct sl_asocket *a, const char *name);

    /* [-0, +n, e] Calls a method of the object that sockets do not have: the
     * function at index `first` with the values above it. Returns n. */
    int (*call)(lua_State *L, struct sl_asocket *a, int first);

    /* [-0, +0, e] Gives a new socket a descriptor of that family. */
    int (*open)(lua_State *L, struct sl_asocket *a, int family);

    /* [-0, +0, e] Binds the socket to the address, on a new descriptor if it
     * has none; reuse: with SO_REUSEADDR. */
    int (*bind)(lua_State *L, struct sl_asocket *a, const struct addrinfo *ai,
                int reuse);

    /* [-0, +0, e] Makes a bound socket listen. */
    int (*listen)(lua_State *L, struct sl_asocket *a, int backlog);

    /* [-0, +0, e] Connects a datagram socket to its peer. */
    int (*setpeer)(lua_State *L, struct sl_asocket *a,
                   const struct addrinfo *ai);

    /* [-0, +1, m] Pushes the value that the function `connect` needs, of the
     * asocket at index. The caller keeps the value in the registry. NULL: no
     * value is needed. */
    void (*push)(lua_State *L, int index);

    /* [-0, +0, -] Begins to connect to the address; fresh: on a new
     * descriptor. The registry has the value that `push` has pushed under the
     * key. Returns a code or EINPROGRESS, and in *fd the descriptor that the
     * caller has to claim, or -1. L may be any thread. */
    int (*connect)(lua_State *L, struct sl_asocket *a,
                   const struct addrinfo *ai, int fresh, const void *key,
                   int *fd);

    /* [-0, +0, m] Takes notice that the socket's class has changed. */
    void (*reclass)(lua_State *L, struct sl_asocket *a);

    /* [-0, +0, e] True if the object has received bytes that are not in the
     * socket's buffer. */
    int (*dirty)(lua_State *L, struct sl_asocket *a);

    /* [-0, +0, e] Gives the descriptor to the socket, which has none. */
    void (*setfd)(lua_State *L, struct sl_asocket *a, int fd);

    /* [-0, +0, e] Closes fd (-1: none), which the socket at index has released;
     * again: the socket was closed before. */
    void (*close)(lua_State *L, int index, int fd, int again);
} sl_driver;

extern const sl_driver sl_native;    /* native.c */

#endif
