/*
 * thread.h - running Lua threads so that they can stop anywhere, and hand
 * control to one another.
 *
 * A thread is a Lua coroutine that runs on a C stack of its own (fiber.h).
 * It stops in one of two ways:
 *
 *   yielded  its C stack is empty again and serves the next thread; the
 *            coroutine is suspended in Lua's eyes;
 *   frozen   the C stack stays as it is, bound to the thread; in Lua's eyes
 *            the coroutine is running another one.
 *
 * And it stops for one of two reasons:
 *
 *   waiting    for something its loop will tell it (sl_run_wake). It is
 *              anchored: we keep its coroutine alive (anchor.h). It yields
 *              where Lua allows that, since many wait; it freezes everywhere
 *              else (in a metamethod, a sort, a nested coroutine, in pcall on
 *              5.1, ...);
 *   suspended  until somebody resumes it or hands control to it. It freezes
 *              always: to switch C stacks is faster than Lua's own yield and
 *              resume. It is not anchored: it is collected with its stack
 *              when nobody refers to it.
 *
 * A record (sl_thread) exists while a thread runs, waits or is frozen. A
 * coroutine that the user made yield, by coroutine.yield, has none.
 *
 * Whoever runs threads (a loop's step, newthread, coro.resume, the main
 * program in coro.transfer) is a base. The thread that a base runs may hand
 * control to another one, and that to a third: the base runs each of them, so
 * no stack grows. Handed to the base itself, control returns to its caller;
 * handed to somebody below the base, the base's own thread freezes and passes
 * it on.
 *
 * Where a thread returns to when it ends or fails is its home, one of enum
 * sl_home. An error for nobody goes to the bottom, the base below which there
 * is no thread.
 *
 * Rules: an error is thrown only on the stack that is running, so nothing
 * here may raise on the lua_State of another thread. What a yielded thread
 * gets is pushed on the base's stack and moved; a frozen one, once switched
 * to, takes it itself. There is one sl_threads for a whole Lua state, shared
 * by all loops and coro; it knows nothing about them.
 */

#ifndef SL_THREAD_H
#define SL_THREAD_H

#include "os/fiber.h"
#include "thread/anchor.h"
#include "thread/compat.h"

typedef struct sl_threads sl_threads;
typedef struct sl_thread sl_thread;
typedef struct sl_holder sl_holder;

/* [-0, +n, e] Pushes what a wait (sl_thread.wait) gives to the thread; returns
 * n, at most LUA_MINSTACK. May raise before it changes anything, and is then
 * called again later. */
typedef int (*sl_thread_results)(lua_State *L, void *wait);

/* Called without arguments; returns how many results. */
typedef int (*sl_pcall_function)(lua_State *L, void *arg);

enum sl_home {
    SL_HOME_BASE,              /* the base that runs it, which gets no values */
    SL_HOME_NOBODY,            /* to end without a hand-over is an error */
    SL_HOME_CALLER,            /* the base that runs it, with its values; if
                                  it stops before, this becomes: */
    SL_HOME_VALUE,             /* a thread, or a table whose [1] is a thread;
                                  its [2] is cleared at the end */
    SL_HOME_KINDS
};

enum { SL_RECENT = 256 };

/* The error where a thread would stop while lua_close runs. */
#define SL_STATE_CLOSED "the Lua state is being closed"

/* The status of a thread that failed and closes its variables: failure.h. */
enum { SL_CLOSING = -1 };

enum sl_thread_state {
    SL_RUNNING, SL_WAITING,
    SL_SUSPENDED,              /* in suspend, coro.transfer, coro.yield */
    SL_CALLING                 /* as a base, waiting for control's return */
};

/* What goes from the thread that stopped to the base. */
enum sl_passing {
    SL_NOTHING,                /* it waits or is suspended */
    SL_CONTROL,                /* to a thread, with values */
    SL_FAILURE                 /* to a thread: thread, error, traceback */
};

/* What the loop keeps in a thread. */
typedef struct sl_thread_own {
    void *words[4];
} sl_thread_own;

struct sl_thread {
    sl_threads *all;           /* borrowed */
    lua_State *co;             /* the coroutine; NULL: record not in use */
    lua_State *stack;          /* while it runs, of who runs it; when it has
                                  stopped, of whose C function did: co or
                                  nested */
    sl_thread *resumer;        /* the thread below, which runs it; if not in
                                  use, the next one that isn't */
    sl_fiber *fiber;           /* runs or is frozen on it, or is about to run;
                                  else NULL */
    sl_thread_results results; /* of its wait, which they get */
    sl_holder *holder;         /* of its stack, once it froze; see record.c */
    void (*left)(sl_thread *t);    /* it is a base, and control goes to
                                  somebody below: brings about that the thread
                                  is woken. NULL: it waits for control */
    lua_CFunction adopted;     /* in which it waits, if the user, not we,
                                  resumed the coroutine; else NULL */
    lua_State *anchors;        /* borrowed; where the coroutine is anchored, */
    int place;                 /* and the value of its home one place above */
    int index;                 /* see anchored; if it yielded to wait, of the
                                  top of its stack */
    int nargs;                 /* on the stack (frozen) or on co's */
    int nresults;              /* of the last lua_resume */
    signed char status;        /* likewise; or SL_CLOSING */
    unsigned char state;       /* of enum sl_thread_state */
    unsigned char home;        /* of enum sl_home */
    unsigned char anchored;    /* it is in its place; if it runs and is not, it
                                  lies on the stack, at index */
    unsigned char anchors_home;    /* there is a value in its place */
    unsigned char depth;       /* threads that run threads */
    unsigned char got;         /* of enum sl_passing, when frozen */
    unsigned char hook;        /* how it stops, of enum sl_hook (hook.h), */
    unsigned char base_hook;   /* and where it was as a base */
    unsigned char spent;       /* the loop's: operations since it stopped */
    sl_thread *next_record;    /* in the list of all records */

    /* The loop's, as those above that are said to be; untouched here. */
    void *loop;                /* whose it is: that made it, or in which it
                                  waited first; NULL: none yet, or gone */
    void *wait;                /* the operation it waits for, or NULL */
    sl_thread_own own;
};

enum sl_threads_value {
    SL_VALUE_STOPPED = 1,      /* a table; see record.c */
    SL_VALUE_HOLDER_CLASS,
    SL_VALUE_NOTHING,          /* a function that does it */
    SL_VALUE_ROOM,             /* sl_giveroom */
    SL_VALUE_CALLER,           /* sl_pcall_body's */
    SL_VALUE_LOST,             /* the error of who ended without a home */
    SL_VALUE_FAILURES,         /* a table with weak keys; see failure.c */
    SL_VALUE_LEFT,             /* the error of who will not go on: likewise */
    SL_VALUE_PROBER,           /* see hook.h */
    SL_VALUE_PROBE,            /* sl_hook_probe */
    SL_VALUE_LEAVE,            /* sl_hook_leave */
    SL_VALUE_HOOK_ERROR,       /* which is still to be raised */
    SL_VALUES = SL_VALUE_HOOK_ERROR
};

struct sl_threads {
    sl_fibers fibers;          /* owned */
    sl_thread *running;        /* the innermost of those that run */
    lua_State *bottom;         /* the base below all threads, if any runs */
    lua_State *main;           /* the main program's; NULL: not known */
    int passing;               /* of enum sl_passing: what is on its way */
    int nvalues;               /* with it, besides whom it is for */
    int base_hook;             /* where the bottom is, of enum sl_hook */
    lua_State *prober;         /* anchored; NULL until it is needed */
    sl_thread *records;        /* owned; all of them */
    sl_thread *free;           /* the unused ones */
    sl_thread *recent[SL_RECENT];    /* looked up before; see record.c */
    size_t stacks_limit;       /* of C stacks, at which garbage is collected */
    lua_State *values;         /* at the places of enum sl_threads_value */
    lua_State *anchors;        /* where the next record's places will be, */
    int place;                 /* the first of them, */
    int places_left;           /* and how many are left */
    int places;                /* that were made */
    int closed;                /* the Lua state is being closed */
};

/* [-0, +0, m] The threads of this Lua state, made at the first call. */
sl_threads *sl_threads_get(lua_State *L);

/* That loop is collected: its threads belong to no loop. */
void sl_threads_forgetloop(sl_threads *all, const void *loop);

/* [-0, +1, -] Pushes the coroutine of a running or waiting thread. */
void sl_thread_push(lua_State *L, sl_thread *t);

/* The loop of the thread, or of the nearest one below it that has one; NULL if
 * none has. */
static inline void *sl_thread_loop(const sl_thread *t)
{
    while (t != NULL && t->loop == NULL)
        t = t->resumer;
    return t != NULL ? t->loop : NULL;
}

/* --- waiting, suspending, handing over --------------------------------- */

/* Whether L can stop: raises the misuse error in the main program. */
void sl_stop_check(lua_State *L, sl_threads *all, const char *what);

/* [-0, +0, e] The thread that is running, or L's coroutine made one. Only
 * after sl_stop_check, where sl_hook_refuses nothing, and only to wait with it
 * at once. */
sl_thread *sl_stop_current(lua_State *L, sl_threads *all);

/* Ends the running C function in a wait: `return sl_stop_wait(...)`. What
 * somebody else who resumes the coroutine meanwhile passes is dropped, and the
 * wait goes on; without SL_CONTINUES it ends the wait. */
int sl_stop_wait(lua_State *L, sl_thread *t, sl_thread_results results);

/* For straight-line C: waits with the C stack frozen; returns after it. Only
 * where a thread is running. */
void sl_stop_freeze(lua_State *L, sl_thread *t);

/* Whether what it does lies on a fiber, which it does while it runs, too. */
static inline int sl_thread_isfrozen(const sl_thread *t)
{
    return t->fiber != NULL && sl_fiber_isfrozen(t->fiber);
}

/* How many records there are, in all->records. */
static inline int sl_threads_count(const sl_threads *all)
{
    return (all->places - all->places_left) / 2;
}

/* Whether a waiting thread is still in its wait: its coroutine may have been
 * closed, or, without SL_CONTINUES, resumed by somebody else. */
int sl_thread_waits(const sl_thread *t);

/* Readies a waiting thread: gives a yielded one its results. Raises before
 * it changes anything. False if it does not wait any more. */
int sl_run_prepare(lua_State *L, sl_thread *t);

/* The thread will not wait, which matters if sl_stop_current made it of L's
 * coroutine. */
void sl_stop_disown(lua_State *L, sl_thread *t);

/* Ends the running C function in a suspension: `return sl_stop_suspend`. */
int sl_stop_suspend(lua_State *L, sl_threads *all);

/* A suspended thread becomes one that waits, frozen, for its loop's word: it is
 * anchored, and its suspension will bring no values. False if the thread is
 * not suspended. */
int sl_stop_wake(sl_thread *t);

/* Ends the running C function in handing control over: above its first
 * argument, which may be anything, lie n values and the thread they are for
 * (true: the base). When control comes back it brings values; is_protected:
 * true before them. Only where a thread is running. */
int sl_stop_transfer(lua_State *L, sl_threads *all, int n,
                     int is_protected);

/* The same for few values above the first argument, which is a thread that is
 * held and suspended: directly from one C stack to the other. */
int sl_stop_switch(lua_State *L, sl_thread *to, int n, int is_protected);

/* Where a coroutine is. */
enum sl_where {
    SL_IS_FRESH, SL_IS_SUSPENDED, SL_IS_WAITING, SL_IS_DEAD,
    SL_IS_RUNNING,             /* it is the one that runs */
    SL_IS_BELOW,               /* it is a base's: control can return to it */
    SL_IS_CALLING,             /* a base's, frozen */
    SL_IS_NORMAL               /* it has resumed another by Lua's means */
};

/* [-0, +0, -] Of the coroutine at index. */
enum sl_where sl_where_get(lua_State *L, sl_threads *all, int index);

/* --- errors ------------------------------------------------------------ */

/* After threads have run, and before anything is thrown on L: LuaJIT's VM
 * learns that it is L's turn only when a C function returns or calls. */
void sl_thread_sync_vm(lua_State *L, sl_threads *all);

/* [-0, +(nresults|1), -] lua_pcall of a C function that isn't made first, so
 * that it can be called when there is no memory. */
int sl_pcall_body(lua_State *L, sl_threads *all, sl_pcall_function body,
                  void *arg, int nresults);

/* [-3, +1, m] Makes of thread, error and traceback the one error value: the
 * error itself, or a string with the traceback if it has none yet. */
void sl_failure_message(lua_State *L);

#endif
