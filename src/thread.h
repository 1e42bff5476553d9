/*
 * thread.h - running Lua threads so that they can stop anywhere.
 *
 * A thread is a Lua coroutine that runs on a C stack of its own (fiber.h).
 * It stops in one of two ways:
 *
 *   yielded  where Lua allows it: its C stack is empty again and serves the
 *            next thread; the coroutine is suspended in Lua's eyes;
 *   frozen   everywhere else (in a metamethod, a sort, a nested coroutine, in
 *            pcall on 5.1, ...): the C stack stays as it is, bound to the
 *            thread; in Lua's eyes the coroutine is running another one.
 *
 * And it stops for one of two reasons:
 *
 *   waiting    for something its loop will tell it (sl_thread_wake). It is
 *              anchored: referenced from the anchors table, so it lives;
 *   suspended  until somebody resumes it. It is not anchored, and collected
 *              with its stack when nobody refers to it.
 *
 * A record (sl_thread) exists while a thread runs, waits or is frozen. It
 * has a slot in the anchors table, which holds the coroutine except while it
 * is suspended. A coroutine that is suspended and yielded has no record.
 *
 * Rules: an error is thrown only on the stack that is running, so nothing
 * here may raise on the lua_State of another thread. What a yielded thread
 * gets is pushed on the waker's stack and moved; a frozen one, once switched
 * to, pushes its own. There is one sl_threads for a whole Lua state, shared
 * by all loops; it knows nothing about them.
 */

#ifndef SL_THREAD_H
#define SL_THREAD_H

#include "compat.h"
#include "fiber.h"
#include "timer.h"

typedef struct sl_threads sl_threads;
typedef struct sl_thread sl_thread;

/* [-0, +n, e] Pushes what a wait gives to the thread; returns n, at most
 * LUA_MINSTACK. May raise before it changes anything, and is then called
 * again later. */
typedef int (*sl_thread_results)(lua_State *L, void *arg);

enum sl_thread_state { SL_RUNNING, SL_WAITING, SL_SUSPENDED };

struct sl_thread {
    sl_threads *all;           /* borrowed */
    lua_State *co;             /* the coroutine */
    lua_State *at;             /* whose C function stopped: co or nested */
    lua_State *from;           /* who runs it; only while it runs */
    sl_thread *resumer;        /* the thread that runs it, if one does */
    sl_fiber *fiber;           /* runs or is frozen on it; else NULL */
    sl_thread_results results; /* of its wait */
    void *results_arg;
    int state;                 /* of enum sl_thread_state */
    int slot;                  /* in the anchors table */
    int depth;                 /* threads that run threads */
    int nargs;                 /* on from's (frozen) or co's stack */
    int status, nresults;      /* of the last lua_resume */
    lua_CFunction adopted;     /* in which it waits, if the user, not we,
                                  resumed the coroutine; else NULL */
    sl_thread *next_record;    /* in the list of all records */
    sl_thread *next_free;      /* in the list of unused ones */

    /* The loop's, untouched here. */
    void *loop;                /* that runs it or in which it waits */
    void *wait;                /* the operation it waits for, or NULL */
    sl_timer timer;            /* of a sleep */
    sl_thread *prev, *next;    /* in the loop's ready queue */
    int spent;                 /* operations since it last stopped */
};

struct sl_threads {
    sl_fibers fibers;          /* owned */
    sl_thread *running;        /* the innermost of those that run */
    sl_thread *records;        /* owned; all of them */
    sl_thread *free;           /* the unused ones */
    int count;                 /* of records */
    int anchors;               /* registry reference: slot -> coroutine */
    int stopped;               /* registry reference: see thread.c */
    int nothing;               /* registry reference: a function */
    int closed;                /* the Lua state is being closed */
};

/* [-0, +0, m] The threads of this Lua state, made at the first call. */
sl_threads *sl_threads_get(lua_State *L);

/* [-(nargs + 1), +1, e] Runs the function and its arguments as a new thread
 * until it first stops or ends, for the given loop. Pushes the thread. True
 * if it failed, and then pushes also the error and a traceback. */
int sl_thread_start(lua_State *L, sl_threads *all, int nargs, void *loop);

/* Whether L can stop: raises the misuse error in the main program. */
void sl_thread_check(lua_State *L, sl_threads *all, const char *what);

/* [-0, +0, e] The thread that is running, or L's coroutine made one. Only
 * after sl_thread_check, and only to wait with it at once. */
sl_thread *sl_thread_current(lua_State *L, sl_threads *all);

/* Ends the running C function in a wait: `return sl_thread_wait(...)`. */
int sl_thread_wait(lua_State *L, sl_thread *t, sl_thread_results results,
                   void *arg);

/* For straight-line C: waits with the C stack frozen; returns after it. Only
 * where a thread is running. */
void sl_thread_freeze(lua_State *L, sl_thread *t);

/* Whether a waiting thread is still in its wait: its coroutine may have been
 * closed, or resumed by somebody else. */
int sl_thread_waits(lua_State *L, sl_thread *t);

/* Readies a waiting thread: gives a yielded one its results. Raises before
 * it changes anything. False if it does not wait any more; then the record
 * is gone. */
int sl_thread_prepare(lua_State *L, sl_thread *t);

/* Runs a thread that was prepared until it stops or ends. True if it failed,
 * and then pushes the thread, the error and a traceback. */
int sl_thread_run(lua_State *L, sl_thread *t);

/* Ends the running C function in a suspension: `return sl_thread_suspend`. */
int sl_thread_suspend(lua_State *L, sl_threads *all);

/* [-nargs, +0, e] Resumes the suspended thread at index 1 with the nargs
 * values on the top, which are all that lies above it. True if it failed,
 * and then pushes as sl_thread_run does. */
int sl_thread_resume(lua_State *L, sl_threads *all, int nargs, void *loop);

/* After threads have run, and before anything is thrown on L: LuaJIT's VM
 * learns that it is L's turn only when a C function returns or calls. */
void sl_thread_settle(lua_State *L, sl_threads *all);

/* [-0, +1, -] Pushes the coroutine of a running or waiting thread. */
void sl_thread_push(lua_State *L, sl_thread *t);

/* [-3, +1, m] Makes of thread, error and traceback the one error value: the
 * error itself, or a string with the traceback if it has none yet. */
void sl_thread_message(lua_State *L);

#endif
