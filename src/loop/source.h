/*
 * source.h - descriptors in the loop. A source owns its descriptor there, and
 * remembers whether it is ready.
 */

#ifndef SL_SOURCE_H
#define SL_SOURCE_H

#include "loop/loop.h"
#include "loop/wait.h"

#include <stddef.h>

enum sl_source_kind {
    SL_SOURCE_SOCKET,       /* the first member of an asocket */
    SL_SOURCE_CALLBACK,     /* of an sl_callback: the loop calls a function */
    SL_SOURCE_WATCHED,      /* made for its watches, and freed with the last */
    SL_SOURCE_WATCHER       /* has no descriptor, only a wait (watcher.h) */
};

typedef struct sl_watch sl_watch;

/* Tries an operation: 0 when it is finished, SL_AGAIN when it must wait,
 * SL_BUSY when it used up its share, else how it failed (error.h). It must
 * not raise, and L is not its thread's. */
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

/* What the wait of one direction is for. */
typedef struct sl_pending {
    const sl_operation *operation;
    sl_timeout *timeout;    /* owned; NULL until a wait has a time limit */
} sl_pending;

struct sl_source {
    sl_loop *loop;          /* borrowed; NULL once the loop is gone */
    int fd;                 /* -1 when closed */
    uint32_t generation;    /* of the descriptor's use */
    uint32_t inode;         /* of the descriptor, where it was asked for */
    unsigned char kind;     /* of enum sl_source_kind */
    unsigned char has_inode;    /* noted, as others may close the descriptor */
    unsigned char readable; /* remembered: a read may succeed */
    unsigned char writable;
    unsigned char hangup;   /* seen: a short read is not the last */
    unsigned char watched;  /* the poller knows it */
    unsigned char interest; /* SL_READABLE or SL_WRITABLE, of a callback */
    unsigned short forks;   /* sl_process_forks when it got the descriptor */
    short lost;             /* how sending failed in the background, or as the
                               connection broke; or 0 */
    sl_cork *unsent;        /* owned: what is still to be sent, or NULL */
    sl_wait reader, writer;
    sl_pending reading, writing;
    sl_watch *watches;      /* borrowed: who else is notified of readiness */
};

/* A source without waits. */
typedef struct sl_callback {
    sl_source source;       /* the first member */
    void (*on_ready)(sl_source *source);    /* must not raise */
} sl_callback;

/* Interest in a source from outside (watcher.h). It is notified once. */
struct sl_watch {
    sl_source *source;      /* in whose list it is; NULL: in none */
    sl_watch *prev, *next;
    unsigned interest;      /* of SL_READABLE and SL_WRITABLE */
    void (*on_ready)(sl_watch *watch);    /* must not run threads */
    void *owner;
    int lost;               /* notified since the descriptor is gone, or will
                               be */
};

/* The source that the wait is in. */
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

/* The source becomes the owner of fd; who owned it before becomes closed and
 * its waiters are woken. 0, ENOMEM or SL_TOO_BIG, and then nothing changed. */
int sl_source_claim(sl_source *source, int fd);

/* The source's descriptor, for whoever is to close it once the source has let
 * go; -1 if there is none, or the number is not the source's any more: this is
 * a child of fork(2), where it was closed. */
int sl_source_owned(const sl_source *source);

/* The number of the source's descriptor is another one's now. */
void sl_source_dispossess(sl_source *source);

/* Others may close the descriptor from now on: notes which one it is. */
void sl_source_noteinode(sl_source *source);

/* Whether the number is another descriptor's by now: the source's own was
 * closed without notice, and the loop does not know the new owner. */
int sl_source_checkreused(const sl_source *source);

static inline int sl_source_isreused(const sl_source *source)
{
    return source->has_inode && sl_source_checkreused(source);
}

/* The descriptor of one source goes over to another, without a system call. */
void sl_source_move(sl_source *from, sl_source *to);

/* The source lets go of its descriptor; closing: the descriptor will be closed
 * at once. release also ends its waits, notifies its watches and frees a source
 * that was made for watches; detach leaves them waiting. */
void sl_source_release(sl_source *source, int closing);
void sl_source_detach(sl_source *source, int closing);

/* fd is about to be closed, whoever owns it: those that wait are woken. */
void sl_source_closing(sl_loop *loop, int fd);

/* The source's memory is about to go. */
void sl_source_free(sl_source *source);

/* Sets the poller's interest to that of the source, its waits and its watches;
 * 0 or an errno. */
int sl_source_updatepoller(sl_source *source);

/* sl_source_updatepoller, unless an edge-triggered poller knows the source:
 * that always reports both directions. */
static inline int sl_source_update(sl_source *source)
{
    return source->watched && source->loop->type->edge_triggered
               ? 0 : sl_source_updatepoller(source);
}

/* Begins to watch fd, whoever owns it; 0 or how it failed. */
int sl_source_watch(sl_loop *loop, int fd, sl_watch *watch);

/* Ends a watch. Nothing to do if the watch was notified. */
void sl_source_unwatch(sl_watch *watch);

/* Notifies the watches that are interested, each once. May free a source that
 * was made for watches. */
void sl_source_notify(sl_source *source, unsigned ready);

#endif
