/*
 * loop.h - one loop: its poller, its deadlines, its descriptors, and the queue
 * of its threads that are ready.
 *
 * A source is a descriptor with two waits, one per direction (source.h). A
 * thread that waits is in a wait (wait.h); on a source it waits for an
 * operation (operation.h), which is first tried in the thread that calls it. If
 * it would block the thread waits; when the descriptor is ready the loop tries
 * it again (step.h), and only a finished one, or a timeout, close or error,
 * gives the thread a turn (turn.h).
 *
 * A few sources have no waits: the loop calls their function (sl_callback),
 * which may bring about that another source's operation is tried again.
 *
 * Every C function of the module has the loop as its first upvalue.
 */

#ifndef SL_LOOP_H
#define SL_LOOP_H

#include "loop/buffer.h"
#include "loop/reclaim.h"
#include "loop/timer.h"
#include "os/poller.h"
#include "os/process.h"
#include "thread/compat.h"
#include "thread/thread.h"

#include <stdint.h>

typedef struct sl_loop sl_loop;
typedef struct sl_source sl_source;
typedef struct sl_wait sl_wait;
typedef struct sl_resolver sl_resolver;
typedef struct sl_cork sl_cork;

/* Positions in the table that belongs to a loop (sl_loop_env). */
enum {
    SL_ENV_MODULE = 1,      /* the table of functions: has onerror */
    SL_ENV_CLASSES,         /* the metatables of asockets */
    SL_ENV_WRAPPERS,        /* weak: LuaSocket object -> asocket */
    SL_ENV_FAILURES,        /* threads whose errors are still to be reported */
    SL_ENV_GUARDED,         /* weak: thread -> its client: guard.h */
    SL_ENV_CLOSER,          /* sl_guard_closer */
    SL_ENV_WATCHERS         /* the function that makes them (watcher.h) */
};

/* What a file of this folder does for each loop in which it keeps something.
 * Any function may be NULL. */
typedef struct sl_part {
    int (*restart)(sl_loop *loop);    /* after a fork, in the child, before
                                     the loop gets a poller of its own: 0 or
                                     how it failed; may be called again */
    void (*restarted)(sl_loop *loop); /* the loop has its poller */
    void (*release)(sl_source *source);    /* a source with unsent bytes has
                                     lost its descriptor */
    void (*free)(sl_loop *loop);      /* the loop is about to go */
} sl_part;

enum {
    SL_PARTS_MAX = 4,
    SL_EVENTS_MAX = 256           /* taken from the poller at once */
};

struct sl_loop {
    sl_threads *threads;          /* borrowed */
    void (*failed)(lua_State *L, int thread);    /* [-0, +0, -] called first
                                     when the thread at that index failed */
    const sl_poller_type *type;
    void *poller;                 /* owned */
    sl_timers timers;
    void (*unparked)(sl_wait *wait);    /* a parked wait is over; NULL for
                                     edge-triggered pollers */
    sl_source **sources;          /* owned array: by fd, its one owner */
    int sources_size;
    uint32_t generation;          /* the last one given */
    sl_reclaim reclaim;           /* counts them */
    sl_event *events;             /* of this step; owned */
    int event, event_count;       /* the next to dispatch; how many */
    sl_thread *first, *last;      /* the ready queue */
    double looked;                /* when the last patrol was; how many */
    int unlooked;                 /* steps do not compare the time */
    int ready;                    /* threads in it */
    int waiting;                  /* threads that wait, ready ones excluded */
    int failures;                 /* in SL_ENV_FAILURES */
    int stepping, stop_asked, closed;
    int hook;                     /* is it run from one? of enum sl_hook */
    int has_sigint;               /* SIGINT had a handler when it was made */
    unsigned forks;               /* where the poller was opened: process.h */
    sl_scratch scratch;
    int max_lookups;              /* of names, at a time; 0: the default */
    const sl_part *parts[SL_PARTS_MAX];
    int part_count;
    sl_resolver *resolver;        /* owned; NULL until a name is looked up */
    sl_cork *gathering;           /* what sends are gathered in, or NULL */
    sl_cork *unsent;              /* list of what is sent in the background */
    sl_cork *spare;               /* owned: what to gather in next, or NULL */
};

/* Raises. */
int sl_loop_isclosed(lua_State *L);

/* The loop of the running C function. */
static inline sl_loop *sl_loop_check(lua_State *L)
{
    sl_loop *loop = lua_touserdata(L, lua_upvalueindex(1));
    if (loop->closed)
        sl_loop_isclosed(L);
    return loop;
}

/* [-0, +1, -] Pushes a value of the running C function's loop's table. */
void sl_loop_env(lua_State *L, int which);

/* [-0, +1, e] Pushes a new loop, its table still empty but for the lists. */
sl_loop *sl_loop_new(lua_State *L, const sl_poller_type *type,
                     void (*failed)(lua_State *L, int thread));

/* Adds the part to those of the loop, unless it is one already. */
void sl_loop_addpart(sl_loop *loop, const sl_part *part);

/* Whether this is a child of the process whose poller it is. Nothing may be
 * done to that one: it is the parent's, too. */
static inline int sl_loop_isforked(const sl_loop *loop)
{
    return loop->forks != sl_process_forks;
}

/* The loop gets a poller of its own, or child and parent would take each
 * other's events. 0, or how it failed, and then it is to be tried again. */
int sl_loop_afterfork(sl_loop *loop);

#endif
