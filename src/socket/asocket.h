/*
 * asocket.h - the object that users hold: a source with a receive buffer and
 * the operations of its two directions. A driver does the I/O (driver.h).
 *
 * The user value, made when needed, is a table with the driver's object and
 * the fields that users set.
 *
 * A method that does I/O begins with sl_asocket_check and sl_asocket_begin:
 * the driver takes over what others have changed, and the kind is checked.
 * Then, once the arguments are read, sl_operation_check: no thread waits
 * there.
 */

#ifndef SL_ASOCKET_H
#define SL_ASOCKET_H

#include "loop/buffer.h"
#include "loop/loop.h"
#include "loop/operation.h"
#include "loop/source.h"
#include "os/path.h"
#include "socket/driver.h"
#include "socket/transport.h"
#include "thread/compat.h"

/* Seconds without the peer taking anything, until a closed socket's bytes are
 * given up. */
enum { SL_LINGER = 60 };

/* The receive in progress. */
enum { SL_LINE, SL_COUNT, SL_ALL };

typedef struct sl_receive {
    unsigned char pattern; /* which: a row of pattern.c */
    unsigned char less_is_ok;
    unsigned char taking;  /* its results are pushed: the buffer must stay, */
    unsigned char locked;  /* and must stay unchanged */
    size_t wanted;         /* bytes to receive; of a delimited pattern, once its
                              end is found, else 0 */
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

/* The state of a foreign object's I/O (exchange.h). */
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

/* The life of a socket. Where it is open the source says whether there is a
 * descriptor: another socket may have got the number. */
enum sl_phase {
    SL_PHASE_NEW,          /* no descriptor for good; connect may try some */
    SL_PHASE_OPEN,         /* has a descriptor, or had it until it was lost */
    SL_PHASE_CLOSED,       /* until setfd or setsocket gives it another one */
    SL_PHASE_FINALIZED     /* the collector has freed what it had */
};

/* The member of the union a->pending that is in use. */
enum sl_pending_kind {
    SL_PENDING_NONE, SL_PENDING_SEND, SL_PENDING_DATAGRAM, SL_PENDING_FILE
};

typedef struct sl_asocket {
    sl_source source;         /* the first member: a source is an asocket */
    const void *mark;         /* distinguishes it from others' userdata */
    sl_buffer buffer;
    unsigned char transport;  /* its class: a row and a column of the */
    unsigned char kind;       /* table in transport.h */
    unsigned char phase;      /* of enum sl_phase */
    unsigned char pending_kind;    /* of enum sl_pending_kind */
    unsigned char has_values; /* there is a user value */
    unsigned char has_fields; /* users set fields */
    unsigned char handshaking;    /* starttls is at work */
    unsigned char was_accepted;
    unsigned char ended;      /* the true end of the stream was read */
    unsigned char tried_again;    /* accept was, after a collection */
    unsigned char overlong;   /* a line was too long: nothing is received */
    unsigned char gave_up;    /* its last send has timed out */
    unsigned char overfull;   /* all was too much: it is not received */
    unsigned char is_tls;     /* the foreign object is LuaSec's */
    unsigned char outcome;    /* SL_IO_*, of the foreign object */
    unsigned char linger_in_all;  /* linger counts from close on */
    unsigned char dismissed;  /* its close was called: the handler failed */
    unsigned short pending_forks;    /* sl_process_forks when accept got */
    int pending_fd;           /* a descriptor not given yet, or -1; owned */
    const sl_driver *driver;
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
        sl_path_file file;         /* of a listening unix socket */
    } pending;                /* the writer's operation, if not connect */
    sl_connect *connect;      /* begun and not finished; owned, or NULL */
    struct sl_lookup *lookup; /* owned, or NULL */
} sl_asocket;

extern const char sl_asocket_mark;    /* its address marks our blocks */

/* The asocket at index, of any loop, or NULL. To compare the metatable would
 * cost twice as much, in each receive and send. */
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
    if (a == NULL || a->phase == SL_PHASE_FINALIZED ||
        a->source.loop->closed)
        sl_asocket_refuse(L, a);
    return a;
}

/* LuaSocket's name of the asocket's class. */
const char *sl_asocket_class(const sl_asocket *a);

/* Raises LuaSocket's error for a method that needs the other kind. */
void sl_asocket_misfit(lua_State *L, const sl_asocket *a, int kind);

/* Raises if the asocket is of another kind. */
static inline void sl_asocket_checkkind(lua_State *L, const sl_asocket *a,
                                        int kind)
{
    if (a->kind != kind)
        sl_asocket_misfit(L, a, kind);
}

/* [-0, +0, e] The driver takes over what others have done to its object. */
static inline void sl_asocket_resync(lua_State *L, sl_asocket *a)
{
    if (a->driver->resync != NULL)
        a->driver->resync(L, a);
}

/* [-0, +0, e] Begins an operation of sockets of that kind. */
static inline void sl_asocket_begin(lua_State *L, sl_asocket *a, int kind)
{
    sl_asocket_resync(L, a);
    sl_asocket_checkkind(L, a, kind);
}

/* [-0, +0, e] Gives the socket a first descriptor of that family. 0 or how it
 * failed. */
int sl_asocket_open(lua_State *L, sl_asocket *a, int family);

/* Whether the socket can still get its first descriptor. */
static inline int sl_asocket_isnew(const sl_asocket *a)
{
    return a->phase == SL_PHASE_NEW && a->source.fd < 0;
}

/* Enters the phase. A finalized socket stays one. */
static inline void sl_asocket_enter(sl_asocket *a, enum sl_phase phase)
{
    if (a->phase != SL_PHASE_FINALIZED)
        a->phase = (unsigned char)phase;
}

/* The descriptor was used by others, or is about to be in another way: each
 * direction may be ready. */
static inline void sl_asocket_assumeready(sl_asocket *a)
{
    a->source.readable = a->source.writable = 1;
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

/* The seconds that a call on the socket may take, or negative: the smaller one
 * of both limits. */
double sl_asocket_timeout(const sl_asocket *a);

#endif
