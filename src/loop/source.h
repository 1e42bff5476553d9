/*
 * source.h - descriptors in the loop. A source owns a descriptor there, and
 * remembers the descriptor's readiness.
 */

#ifndef SL_SOURCE_H
#define SL_SOURCE_H

#include "loop/loop.h"
#include "loop/wait.h"

#include <stddef.h>

enum sl_source_kind {
    SL_SOURCE_SOCKET,       /* the first member of an asocket */
    SL_SOURCE_CALLBACK,     /* the first member of an sl_callback */
    SL_SOURCE_WATCHED,      /* on the heap; made for watches, freed with the
                               last one */
    SL_SOURCE_WATCHER       /* has no descriptor, only a wait (watcher.h) */
};

typedef struct sl_watch sl_watch;

/* Tries an operation: 0 when it is finished, SL_AGAIN when it must wait,
 * SL_BUSY when its share is used up, else how it failed (error.h). Must not
 * raise. L is the stack that runs: the thread's own in the first try, else the
 * loop's. */
typedef int (*sl_attempt)(lua_State *L, sl_source *source);

typedef struct sl_operation {
    sl_attempt attempt;
    int (*results)(lua_State *L, sl_wait *wait);    /* pushes the results;
                               NULL where a C function waits on its fiber */
} sl_operation;

/* How long a wait may take (timeout.h). */
typedef struct sl_timeout {
    sl_wait *wait;          /* borrowed */
    double block;           /* limit of one wait in seconds, or negative */
    double until;           /* deadline of the call, or negative */
    double deadline;        /* of this wait: the earlier one, or negative */
    sl_timer timer;         /* may fire early: it is moved lazily */
} sl_timeout;

/* The operation of one direction's wait, and its time limit. */
typedef struct sl_pending {
    const sl_operation *operation;
    sl_timeout *timeout;    /* owned; NULL until a wait has a time limit */
} sl_pending;

struct sl_source {
    sl_loop *loop;          /* borrowed; NULL once the loop is gone */
    int fd;                 /* -1 when closed */
    uint32_t generation;    /* distinguishes this use of the number from former
                               ones */
    uint32_t inode;         /* of the open file, if has_inode */
    unsigned char kind;     /* of enum sl_source_kind */
    unsigned char has_inode;    /* others may close the descriptor, so `inode`
                                   is set */
    unsigned char readable; /* remembered: a read may succeed */
    unsigned char writable;
    unsigned char hangup;   /* reported: a short read is not the last one */
    unsigned char watched;  /* the poller knows the descriptor */
    unsigned char interest; /* SL_READABLE or SL_WRITABLE, of a callback */
    unsigned short forks;   /* sl_process_forks when the source got the
                               descriptor */
    short lost;             /* the failure that broke the connection, in a
                               background send or elsewhere; or 0 */
    sl_cork *unsent;        /* owned: bytes still to be sent, or NULL */
    sl_wait reader, writer;
    sl_pending reading, writing;
    sl_watch *watches;      /* borrowed: list of the watches */
};

/* A source without waits. */
typedef struct sl_callback {
    sl_source source;       /* the first member */
    void (*on_ready)(sl_source *source);    /* must not raise */
} sl_callback;

/* Interest in a source that has another owner (watcher.h). A watch is notified
 * once. */
struct sl_watch {
    sl_source *source;      /* the source that has this in its list; NULL:
                               none */
    sl_watch *prev, *next;
    unsigned interest;      /* of SL_READABLE and SL_WRITABLE */
    void (*on_ready)(sl_watch *watch);    /* must not run threads */
    void *owner;
    int lost;               /* the descriptor is gone: why the watch is
                               notified */
};

/* The source of a wait that is a direction of one. */
static inline sl_source *sl_source_of(const sl_wait *wait)
{
    size_t offset = wait->kind == SL_WAIT_WRITER
                        ? offsetof(sl_source, writer)
                        : offsetof(sl_source, reader);
    return (sl_source *)((char *)wait - offset);
}

static inline sl_pending *sl_source_pending(const sl_wait *wait)
{
    sl_source *source = sl_source_of(wait);
    return wait->kind == SL_WAIT_WRITER ? &source->writing : &source->reading;
}

void sl_source_init(sl_source *source, sl_loop *loop,
                    enum sl_source_kind kind);
void sl_source_initcallback(sl_callback *callback, sl_loop *loop,
                            void (*on_ready)(sl_source *source));

/* Makes the source the owner of fd. A former owner of fd becomes closed, and
 * its waits end. 0; or ENOMEM or SL_TOO_BIG, and nothing has changed. */
int sl_source_claim(sl_source *source, int fd);

/* The source's descriptor, to be closed once the source has let go of it. -1 if
 * there is none, or if this is a child of fork(2) in which the number is
 * another open file's or none's by now. */
int sl_source_owned(const sl_source *source);

/* Takes the descriptor from a source, as its number belongs to another open
 * file now. */
void sl_source_dispossess(sl_source *source);

/* Notes which open file the descriptor is. For descriptors that others may
 * close without notice. */
void sl_source_noteinode(sl_source *source);

/* Whether the source's descriptor was closed without notice and its number is
 * another open file's by now. */
int sl_source_checkreused(const sl_source *source);

static inline int sl_source_isreused(const sl_source *source)
{
    return source->has_inode && sl_source_checkreused(source);
}

/* Gives the descriptor of one source to another. Needs no system call with an
 * edge-triggered poller. */
void sl_source_move(sl_source *from, sl_source *to);

/* The source lets go of its descriptor. closing: the descriptor will be closed
 * at once. release also ends the source's waits, notifies its watches and drops
 * its unsent bytes; it frees a source that was made for watches. detach leaves
 * waits and watches as they are. */
void sl_source_release(sl_source *source, int closing);
void sl_source_detach(sl_source *source, int closing);

/* fd is about to be closed: releases the source that owns fd, if there is
 * one. */
void sl_source_closing(sl_loop *loop, int fd);

/* Releases the source before its memory is freed. */
void sl_source_free(sl_source *source);

/* Sets the poller's interest to that of the source, its parked waits and its
 * watches. 0 or an errno. */
int sl_source_updatepoller(sl_source *source);

/* sl_source_updatepoller, unless an edge-triggered poller knows the descriptor:
 * such a poller always reports both directions. */
static inline int sl_source_update(sl_source *source)
{
    return source->watched && source->loop->type->edge_triggered
               ? 0 : sl_source_updatepoller(source);
}

/* Begins to watch fd, whether or not it has an owner in the loop. 0 or how it
 * failed. */
int sl_source_watch(sl_loop *loop, int fd, sl_watch *watch);

/* Ends a watch, if it was not notified yet. May free its source. */
void sl_source_unwatch(sl_watch *watch);

/* Notifies the watches that are interested in `ready`. May free a source that
 * was made for watches. */
void sl_source_notify(sl_source *source, unsigned ready);

#endif
