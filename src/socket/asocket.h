/*
 * asocket.h - the object that users hold: a source with a receive buffer, the
 * operations of its two directions, and perhaps a LuaSocket object.
 *
 * Who owns the descriptor: an asocket born in the loop does, until a
 * LuaSocket object for it is made; then that object does, and the asocket
 * closes through it, since the object may pass the descriptor on (to TLS).
 *
 * Its user value, made when needed, is a table with the LuaSocket object and
 * the fields that users set.
 */

#ifndef SL_ASOCKET_H
#define SL_ASOCKET_H

#include "loop/buffer.h"
#include "loop/loop.h"
#include "loop/source.h"
#include "loop/wait.h"
#include "os/path.h"
#include "socket/transport.h"
#include "thread/compat.h"

/* Seconds without the peer taking anything, until a closed socket's bytes are
 * given up. */
enum { SL_LINGER = 60 };

/* What a receive is after. */
typedef struct sl_receive {
    enum { SL_LINE, SL_COUNT, SL_ALL } pattern;
    unsigned char less_is_ok;
    unsigned char taking;  /* its results are pushed: the buffer is to stay, */
    unsigned char locked;  /* and to stay as it is */
    size_t wanted;         /* bytes still wanted, for SL_COUNT; those of the
                              line once it is there, for SL_LINE, else 0 */
    const char *prefix;    /* borrowed from the caller's stack */
    size_t prefix_size;
} sl_receive;

typedef struct sl_send {
    const char *data;      /* borrowed from the caller's stack */
    size_t next, end;      /* bytes of it that are to be sent */
} sl_send;

/* A datagram to send; all borrowed from the caller's stack. */
typedef struct sl_datagram {
    const char *data;
    size_t size;
    const char *host;      /* or path; NULL: to the peer */
    union {
        const char *port;
        size_t path_size;
    } to;                  /* belongs to it */
} sl_datagram;

typedef struct sl_connect sl_connect;    /* of connect.c */
typedef struct sl_client_limit sl_client_limit;        /* of client_limit.c */

/* What the I/O of a foreign object has come to (exchange.h). */
enum {
    SL_IO_GOES_ON,
    SL_IO_DRAINED,    /* it wants to read; the next receive begins with that, */
    SL_IO_ENDED,      /* with the error 'closed' */
    SL_IO_FAILED      /* for good: the user value has its error */
};

/* Places in the user value. */
enum { SL_AT_OBJECT = 1, SL_AT_FIELDS, SL_AT_FAILURE };

/* The metatable of asockets with fields or an object, in the list of
 * metatables (class.h) after those of the transports. */
enum { SL_CLASS_OF_ALL = SL_TRANSPORTS };

typedef struct sl_asocket {
    sl_source source;         /* the first member: a source is an asocket */
    const void *mark;         /* tells it from other libraries' userdata */
    sl_buffer buffer;
    unsigned char transport;  /* its class: a row and a column of the */
    unsigned char kind;       /* table in transport.h */
    unsigned char owned;      /* we close the descriptor ourselves */
    unsigned char has_values; /* there is a user value */
    unsigned char has_object; /* there is a LuaSocket object */
    unsigned char has_fields; /* users set fields */
    unsigned char let_go;     /* the foreign object's close was called */
    unsigned char handshaking;    /* starttls is at work */
    unsigned char has_file;   /* it goes with the socket */
    unsigned char settled;    /* has or had a descriptor for good */
    unsigned char passive;    /* was accepted */
    unsigned char ended;      /* the true end of the stream was read */
    unsigned char tried_again;    /* accept was, after a collection */
    unsigned char overlong;   /* a line was too long: nothing is received */
    unsigned char gave_up;    /* its last send has timed out */
    unsigned char overfull;   /* all was too much: it is not received */
    unsigned char is_tls;     /* the foreign object is LuaSec's */
    unsigned char outcome;    /* SL_IO_*, of the foreign object */
    unsigned char dismissed;  /* its close was called: the handler failed */
    unsigned short accepted_forks;    /* sl_process_forks when it got: */
    int accepted;             /* a descriptor not given yet, or -1; owned */
    char *host;               /* owned: the name it was connected by */
    double linger;            /* setlingertime, in seconds */
    double block, total;      /* settimeout, in seconds; negative: none */
    double birthday;          /* for getstats */
    double received, sent;
    size_t max_line;          /* setmaxline; 0: no limit */
    size_t max_read;          /* setmaxread; 0: no limit */
    sl_client_limit *clients;  /* it shares, as listener or client; or NULL */
    sl_receive receive;       /* the reader's operation, if not accept */
    union {
        sl_send send;
        sl_datagram datagram;
        sl_path_file file;         /* of a listening one, if has_file */
    } writer;                 /* its operation, if not connect */
    sl_connect *connect;      /* begun and not finished; owned, or NULL */
    struct sl_lookup *lookup; /* owned, or NULL */
} sl_asocket;

extern const char sl_asocket_mark;    /* its address marks our blocks */

/* The asocket at index, of any loop, or NULL. A look at the metatable would
 * cost twice as much, which counts, twice in each request. */
static inline sl_asocket *sl_asocket_test(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    return a != NULL && sl_rawlen(L, index) == sizeof *a &&
           a->mark == &sl_asocket_mark ? a : NULL;
}

/* Raises: it is not one, or its loop is closed. */
void sl_asocket_refuse(lua_State *L, const sl_asocket *a);

/* The asocket of the method that runs; raises if it is not one. */
static inline sl_asocket *sl_asocket_check(lua_State *L)
{
    sl_asocket *a = sl_asocket_test(L, 1);
    if (a == NULL || a->source.loop == NULL || a->source.loop->closed)
        sl_asocket_refuse(L, a);
    return a;
}

/* LuaSocket's name of the asocket's class. */
const char *sl_asocket_class(const sl_asocket *a);

/* Raises LuaSocket's error for a method that needs the other kind. */
void sl_asocket_misfit(lua_State *L, const sl_asocket *a, int kind);

/* The same if it does not fit the kind. */
static inline void sl_asocket_checkkind(lua_State *L, const sl_asocket *a,
                                        int kind)
{
    if (a->kind != kind)
        sl_asocket_misfit(L, a, kind);
}

/* [-0, +1, e] Pushes a new asocket of that loop. */
sl_asocket *sl_asocket_new(lua_State *L, sl_loop *loop, int transport);

/* [-0, +0, -] Gives the asocket at index one of its loop's metatables: a
 * transport's, or SL_CLASS_OF_ALL. */
void sl_asocket_setclass(lua_State *L, int index, int which);

/* [-0, +1, m] Pushes the value at a place in the user value, or nil. */
void sl_asocket_pushvalue(lua_State *L, int index, int place);

/* [-0, +1, m] Pushes the user value of the asocket at index, made if there is
 * none. */
void sl_asocket_pushvalues(lua_State *L, int index);

/* Gives it a descriptor to own. 0 or an error, and then it's not owned. */
int sl_asocket_take(sl_asocket *a, int fd, int kind);

/* Wakes who waits, closes the descriptor; through the object if any. index
 * is where the asocket lies. */
void sl_asocket_close(lua_State *L, int index);

/* [-0, +0, -] Frees what the asocket has; its loop is NULL afterwards. */
void sl_asocket_finalize(lua_State *L, sl_asocket *a);

/* [-1, +0, m] The LuaSocket object on the top is the asocket's at index. */
void sl_asocket_setobject(lua_State *L, int index);

/* [-0, +1, m] Pushes its LuaSocket object, or nil. */
void sl_asocket_pushobject(lua_State *L, int index);

/* [-1, +0, m] The error on the top is what the I/O of the object of the asocket
 * at index has failed with. */
void sl_asocket_keepfailure(lua_State *L, int index);

/* [-0, +1, m] Pushes that error. */
void sl_asocket_pushfailure(lua_State *L, int index);

/* [-0, +1, e] Pushes its LuaSocket object, made if there is none. Whoever
 * gets it may read and write behind our back. */
void sl_asocket_needobject(lua_State *L, int index);

/* [-0, +0, e] The asocket becomes the owner of fd in the loop. */
void sl_asocket_claim(lua_State *L, sl_asocket *a, int fd);

/* [-0, +0, e] After methods of the object at the index on the stack were
 * called: takes over its descriptor and class. */
void sl_asocket_sync(lua_State *L, sl_asocket *a, int object);

#endif
