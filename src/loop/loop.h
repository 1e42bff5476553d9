/*
 * loop.h - one loop: its poller, its deadlines, its descriptors, and the queue
 * of its threads that are ready.
 *
 * A source is a descriptor with two waits, one per direction (source.h). A
 * waiting thread is in a wait (wait.h). In a wait of a source, the thread waits
 * for an operation (operation.h), which is first tried in the calling thread.
 * If the operation would block, the thread waits, and the loop tries the
 * operation again each time the descriptor is ready (step.h). The thread gets a
 * turn (turn.h) only when the operation is finished, or after a timeout, a
 * close or an error.
 *
 * A few sources have no waits: the loop calls their function (sl_callback),
 * which may queue waits of other sources.
 *
 * The first upvalue of the functions in the module's table, and of all methods
 * that need a loop, is the loop.
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
    SL_ENV_FAILURES,        /* failed threads that are not reported yet */
    SL_ENV_GUARDED,         /* weak: thread -> its client (guard.h) */
    SL_ENV_CLOSER,          /* sl_guard_closer */
    SL_ENV_WATCHERS         /* the function that makes watchers (watcher.h) */
};

/* The functions that a file with data in a loop has for that. Any of them may
 * be NULL. */
typedef struct sl_part {
    int (*restart)(sl_loop *loop);    /* in the child after a fork, before the
                                         loop has a poller of its own. 0 or how
                                         it failed; may be called again */
    void (*restarted)(sl_loop *loop); /* after a fork: the loop has its own
                                         poller */
    void (*release)(sl_source *source);    /* a source with unsent bytes has
                                              lost its descriptor */
    void (*free)(sl_loop *loop);      /* the loop is about to be freed */
} sl_part;

enum {
    SL_PARTS_MAX = 4,
    SL_EVENTS_MAX = 256           /* that the poller reports at once */
};

struct sl_loop {
    sl_threads *threads;          /* borrowed */
    void (*failed)(lua_State *L, int thread);    /* [-0, +0, -] called before a
                                                    failure is reported; the
                                                    failed thread is at that
                                                    index */
    const sl_poller_type *type;
    void *poller;                 /* owned */
    sl_timers timers;
    void (*unparked)(sl_wait *wait);    /* a parked wait is over; NULL for
                                     edge-triggered pollers */
    sl_source **sources;          /* owned array: the source of each fd */
    int sources_size;
    uint32_t generation;          /* the last one given */
    sl_reclaim reclaim;           /* counts the sources' descriptors */
    sl_event *events;             /* reported by the poller; owned array */
    int event, event_count;       /* the next event to dispatch; the number of
                                     events */
    sl_thread *first, *last;      /* the ready queue */
    double looked;                /* the time of the last patrol */
    int unlooked;                 /* steps left without a look at the clock */
    int ready;                    /* threads in the ready queue */
    int waiting;                  /* parked threads and blocks of unsent bytes;
                                     they keep the loop running */
    int failures;                 /* length of the list SL_ENV_FAILURES */
    int stepping, stop_asked, closed;
    int hook;                     /* the hook that the loop is run from (enum
                                     sl_hook) */
    int has_sigint;               /* SIGINT had a handler when the loop was
                                     made */
    unsigned forks;               /* sl_process_forks when the poller was
                                     opened */
    sl_scratch scratch;
    int max_lookups;              /* at a time; 0: the default */
    const sl_part *parts[SL_PARTS_MAX];
    int part_count;
    sl_resolver *resolver;        /* owned; NULL until a name is looked up */
    sl_cork *gathering;           /* the block that gathers sends, or NULL */
    sl_cork *unsent;              /* list of the blocks sent in the
                                     background */
    sl_cork *spare;               /* owned: an unused block, or NULL */
};

/* Raises: the loop is closed. */
int sl_loop_isclosed(lua_State *L);

/* Returns the loop of the running C function. Raises if the loop is closed. */
static inline sl_loop *sl_loop_check(lua_State *L)
{
    sl_loop *loop = lua_touserdata(L, lua_upvalueindex(1));
    if (loop->closed)
        sl_loop_isclosed(L);
    return loop;
}

/* [-0, +1, -] Pushes one value of the loop's table, for the loop of the running
 * C function. */
void sl_loop_env(lua_State *L, int which);

/* [-0, +1, e] Pushes a new loop. Of its table only the lists are there. */
sl_loop *sl_loop_new(lua_State *L, const sl_poller_type *type,
                     void (*failed)(lua_State *L, int thread));

/* Adds a part to the loop's, unless it is there already. */
void sl_loop_addpart(sl_loop *loop, const sl_part *part);

/* Whether this process is a child of the one that opened the poller. A child
 * must not change the poller, which the parent shares. */
static inline int sl_loop_isforked(const sl_loop *loop)
{
    return loop->forks != sl_process_forks;
}

/* Opens another poller for the loop, in a child process: with the parent's one,
 * each would get the other's events. 0 or how it failed; after a failure the
 * call is to be repeated. */
int sl_loop_afterfork(sl_loop *loop);

#endif
