/*
 * asocket.h - the userdata of a loop socket: a source with a receive buffer
 * and the operations of its two directions. A driver does the I/O (driver.h).
 *
 * The user value of an asocket is a table with the driver's object and the
 * fields that users set. It is made when it is needed.
 *
 * A method that does I/O calls, in this order:
 *
 *   sl_asocket_check     is the first argument an asocket?
 *   sl_asocket_begin     resync with the driver's object; is it of the kind
 *                        that the method needs?
 *   sl_operation_check   after the arguments are read: is the direction free,
 *                        so that no other thread waits on it?
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

/* The default linger time: a closed socket's unsent bytes are dropped when the
 * peer has accepted none for this many seconds. */
enum { SL_LINGER = 60 };

/* The patterns of receive: rows of the table in pattern.c. */
enum { SL_LINE, SL_COUNT, SL_ALL };

/* The receive in progress. */
typedef struct sl_receive {
    unsigned char pattern; /* SL_LINE, SL_COUNT or SL_ALL */
    unsigned char less_is_ok;  /* any bytes that have arrived are enough */
    unsigned char taking;  /* results are being pushed: the buffer's memory
                              must not be freed */
    unsigned char locked;  /* bytes are being pushed from the buffer's own
                              memory: no receive may change the buffer */
    size_t wanted;         /* SL_COUNT: bytes to receive. SL_LINE: bytes up to
                              and with the line feed, 0 until that is found */
    const char *prefix;    /* borrowed from the caller's stack */
    size_t prefix_size;
} sl_receive;

/* The send in progress. */
typedef struct sl_send {
    const char *data;      /* borrowed from the caller's stack */
    size_t next, end;      /* data[next] to data[end - 1] are still to be
                              sent */
} sl_send;

/* The datagram being sent, or the path being connected to. All pointers are
 * borrowed from the caller's stack. */
typedef struct sl_datagram {
    const char *data;
    size_t size;
    const char *host;      /* the receiver's address or path; NULL: the peer */
    union {
        const char *port;      /* if host is an address */
        size_t path_size;      /* if host is a path */
    } to;
} sl_datagram;

typedef struct sl_connect sl_connect;              /* of connect.c */
typedef struct sl_client_limit sl_client_limit;    /* of client_limit.c */

/* The state of a foreign object's I/O (exchange.h). */
enum {
    SL_IO_GOES_ON,    /* no result is known in advance */
    SL_IO_DRAINED,    /* the object has no bytes left and has to read the
                         descriptor: the next receive waits first */
    SL_IO_ENDED,      /* the next receive fails with 'closed' at once */
    SL_IO_FAILED      /* every call fails, with the error in the user value */
};

/* Places in an asocket's user value: the driver's object, the table of fields,
 * the error of SL_IO_FAILED. */
enum { SL_AT_OBJECT = 1, SL_AT_FIELDS, SL_AT_FAILURE };

/* The metatable of asockets with fields or an object. It follows those of the
 * transports in the list of metatables (class.h). */
enum { SL_CLASS_OF_ALL = SL_TRANSPORTS };

/* The life of a socket. An open socket has no descriptor (source.fd < 0) if it
 * was closed elsewhere and another socket has got its number. */
enum sl_phase {
    SL_PHASE_NEW,          /* no descriptor yet, or one that connect tries */
    SL_PHASE_OPEN,         /* has got a descriptor, which may be lost */
    SL_PHASE_CLOSED,       /* until setfd or setsocket opens it again */
    SL_PHASE_FINALIZED     /* freed by the collector; source.loop is NULL */
};

/* The member of the union a->pending that is in use. */
enum sl_pending_kind {
    SL_PENDING_NONE, SL_PENDING_SEND, SL_PENDING_DATAGRAM, SL_PENDING_FILE
};

typedef struct sl_asocket {
    sl_source source;         /* the first member: a cast of &a->source gives
                                 the asocket */
    const void *mark;         /* &sl_asocket_mark: tells an asocket from other
                                 userdata of this size */
    sl_buffer buffer;         /* received bytes that no receive has taken */
    unsigned char transport;  /* SL_TCP..: the class's row in transport.h */
    unsigned char kind;       /* SL_MASTER..: the class's column there */
    unsigned char phase;      /* of enum sl_phase */
    unsigned char pending_kind;    /* of enum sl_pending_kind */
    unsigned char has_values; /* the user value exists */
    unsigned char has_fields; /* the user value has a table of fields */
    unsigned char handshaking;    /* starttls is in progress */
    unsigned char was_accepted;   /* made by accept: the server's side */
    unsigned char tried_again;    /* accept has failed, has had garbage
                                     collected, and tries a second time */
    unsigned char overlong;   /* a line exceeded max_line: every receive fails
                                 until setmaxline is called */
    unsigned char overfull;   /* a receive('*a') exceeded max_read: the next
                                 ones fail until setmaxread is called */
    unsigned char gave_up;    /* the last send timed out */
    unsigned char is_tls;     /* the foreign object is LuaSec's */
    unsigned char outcome;    /* SL_IO_*: state of the foreign object's I/O */
    unsigned char linger_in_all;  /* linger limits the time since close, not
                                     the time since the peer last accepted
                                     bytes */
    unsigned char dismissed;  /* guard.c has called the close method, since the
                                 handler of this client failed */
    unsigned short pending_forks;    /* sl_process_forks at the time when
                                        pending_fd was accepted */
    int pending_fd;           /* owned: an accepted descriptor that has no
                                 asocket yet; -1: none */
    const sl_driver *driver;
    char *host;               /* owned: the host that connect was called with,
                                 or NULL */
    double linger;            /* setlingertime, in seconds */
    double block, total;      /* settimeout: limits of one wait and of a whole
                                 call, in seconds; negative: no limit */
    double birthday;          /* time of creation, for getstats */
    double received, sent;    /* bytes, for getstats */
    size_t max_line;          /* setmaxline; 0: no limit */
    size_t max_read;          /* setmaxread; 0: no limit */
    sl_client_limit *clients; /* shared by a listening socket and its clients;
                                 NULL: no limit */
    sl_receive receive;       /* the reader's operation, unless it accepts */
    union {
        sl_send send;
        sl_datagram datagram;
        sl_path_file file;    /* the path of a listening unix socket */
    } pending;                /* the writer's operation, unless it connects */
    sl_connect *connect;      /* owned: the connect in progress, or NULL */
    struct sl_lookup *lookup; /* owned: the look-up for the writer, or NULL */
} sl_asocket;

extern const char sl_asocket_mark;    /* only its address is used */

/* Returns the asocket at index, of any loop, or NULL. Comparing metatables
 * instead of marks would cost twice as much in each receive and send. */
static inline sl_asocket *sl_asocket_test(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    return a != NULL && sl_rawlen(L, index) == sizeof *a &&
           a->mark == &sl_asocket_mark ? a : NULL;
}

/* Raises the error for a method's first argument: no asocket (a is NULL), a
 * finalized one, or one of a closed loop. */
void sl_asocket_refuse(lua_State *L, const sl_asocket *a);

/* Returns the asocket at index 1, a method's first argument. Raises if there is
 * none, if it is finalized, or if its loop is closed. */
static inline sl_asocket *sl_asocket_check(lua_State *L)
{
    sl_asocket *a = sl_asocket_test(L, 1);
    if (a == NULL || a->phase == SL_PHASE_FINALIZED ||
        a->source.loop->closed)
        sl_asocket_refuse(L, a);
    return a;
}

/* Returns the name of the asocket's class, for instance "tcp{client}". */
const char *sl_asocket_class(const sl_asocket *a);

/* Raises LuaSocket's error for a method that needs an asocket of that kind. */
void sl_asocket_misfit(lua_State *L, const sl_asocket *a, int kind);

/* Raises unless the asocket is of that kind. */
static inline void sl_asocket_checkkind(lua_State *L, const sl_asocket *a,
                                        int kind)
{
    if (a->kind != kind)
        sl_asocket_misfit(L, a, kind);
}

/* [-0, +0, e] Takes over a descriptor or class that the program has changed on
 * the driver's object. */
static inline void sl_asocket_resync(lua_State *L, sl_asocket *a)
{
    if (a->driver->resync != NULL)
        a->driver->resync(L, a);
}

/* [-0, +0, e] Resyncs, and raises unless the asocket is of that kind. Begins
 * each method that does I/O. */
static inline void sl_asocket_begin(lua_State *L, sl_asocket *a, int kind)
{
    sl_asocket_resync(L, a);
    sl_asocket_checkkind(L, a, kind);
}

/* [-0, +0, e] Gives a new asocket a descriptor of that family. Returns 0 or a
 * code (error.h). */
int sl_asocket_open(lua_State *L, sl_asocket *a, int family);

/* True if the asocket has not had a descriptor yet. */
static inline int sl_asocket_isnew(const sl_asocket *a)
{
    return a->phase == SL_PHASE_NEW && a->source.fd < 0;
}

/* Sets the phase. A finalized asocket stays finalized. */
static inline void sl_asocket_enter(sl_asocket *a, enum sl_phase phase)
{
    if (a->phase != SL_PHASE_FINALIZED)
        a->phase = (unsigned char)phase;
}

/* Marks the asocket as readable and writable, so that the next operation tries
 * before it waits. Needed when other code may have used the descriptor, or the
 * descriptor has become connected. */
static inline void sl_asocket_assumeready(sl_asocket *a)
{
    a->source.readable = a->source.writable = 1;
}

/* [-0, +1, e] Pushes a new asocket of that loop. */
sl_asocket *sl_asocket_new(lua_State *L, sl_loop *loop, int transport);

/* [-0, +0, -] Sets the metatable of the asocket at index to one of its loop's:
 * `which` is a transport or SL_CLASS_OF_ALL. */
void sl_asocket_setclass(lua_State *L, int index, int which);

/* [-0, +1, m] Pushes the value at a place (SL_AT_*) in the user value of the
 * asocket at index, or nil. */
void sl_asocket_pushvalue(lua_State *L, int index, int place);

/* [-0, +1, m] Pushes the user value of the asocket at index. Creates the user
 * value if there is none. */
void sl_asocket_pushvalues(lua_State *L, int index);

/* Returns the smaller one of a->block and a->total, in seconds; negative: no
 * limit. */
double sl_asocket_timeout(const sl_asocket *a);

#endif
