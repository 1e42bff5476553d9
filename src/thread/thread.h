/*
 * thread.h - Lua threads that can stop anywhere, and hand control to one
 * another: the terms and the data.
 *
 * A thread is a Lua coroutine that runs on a C stack of its own (os/fiber.h).
 * It stops in one of two ways:
 *
 *   yielded  the coroutine is suspended in Lua's eyes; its C stack is empty
 *            and serves the next thread;
 *   frozen   the C stack stays as it is, bound to the thread; in Lua's eyes
 *            the coroutine is running another one.
 *
 * And it stops for one of two reasons:
 *
 *   waiting  for an event of its loop, which wakes it (run.h). The record
 *            anchors the coroutine, that is, keeps it alive (anchor.h). A
 *            thread that waits yields where Lua allows that, since many wait;
 *            it freezes everywhere else (in a metamethod, a sort, a nested
 *            coroutine, in pcall on 5.1, ...);
 *   held     suspended, or as a runner, until control comes to it. It always
 *            freezes: a switch of C stacks is faster than Lua's own yield and
 *            resume. The record does not anchor it: a held thread to which
 *            nothing refers is collected with its C stack (hold.h).
 *
 * A record (sl_thread) exists while a thread runs, waits or is frozen. A
 * coroutine that stopped in coroutine.yield has none. A guest is the record
 * of a coroutine that the user resumed, and that waits (guest.h).
 *
 * A runner is a C function that runs threads: a loop's step, newthread,
 * coro.resume, coro.transfer in the main program. The runner's own thread is
 * the one that called it. The main frame is the runner below which no thread
 * runs. Threads that a runner runs hand control to one another through it, so
 * no C stack grows. Control for the runner's own thread makes the runner
 * return. Control for a thread further below makes it unwind: its own thread
 * freezes and hands over to the next runner (run.h).
 *
 * A thread has a return target: where its values or its error go when it ends
 * (target.h). An error without a target goes to the main frame.
 *
 * Errors are thrown only on the stack that is running; so nothing here may
 * raise on the lua_State of another thread. Values for a yielded thread are
 * pushed on the runner's stack and moved; a frozen thread, once switched to,
 * takes them itself. There is one sl_threads for a whole Lua state, shared by
 * all loops and coro; it knows nothing about them.
 */

#ifndef SL_THREAD_H
#define SL_THREAD_H

#include "os/fiber.h"
#include "thread/anchor.h"
#include "thread/compat.h"

typedef struct sl_threads sl_threads;
typedef struct sl_thread sl_thread;
typedef struct sl_holder sl_holder;

/* [-0, +n, e] Pushes the results of a wait (sl_thread.wait) for the thread;
 * returns n, at most LUA_MINSTACK. May raise before it changes anything, and
 * is then called again later. */
typedef int (*sl_thread_results)(lua_State *L, void *wait);

/* What a thread does. The transitions are in state.h:
 *
 *   UNUSED -> RUNNING -> WAITING or SUSPENDED or CALLING -> RUNNING
 *   SUSPENDED -> WAITING, by sl_stop_wake
 *   any of them -> UNUSED */
enum sl_thread_state {
    SL_UNUSED,                 /* the record has no thread */
    SL_RUNNING,                /* or will, as soon as its runner switches */
    SL_WAITING,
    SL_SUSPENDED,              /* in suspend, coro.transfer, coro.yield */
    SL_CALLING                 /* its runner unwound: for control's return */
};

/* Where the values or the error of a thread go when it ends. */
enum sl_return_to {
    SL_RETURN_TO_RUNNER,       /* the runner, which gets no values */
    SL_RETURN_TO_NOBODY,       /* to end without a hand-over is an error */
    SL_RETURN_TO_CALLER,       /* the runner, with the values; a thread that
                                  stops before it ends changes that to VALUE:
                                  the runner's own thread */
    SL_RETURN_TO_VALUE         /* a thread, or a table whose [1] is a thread;
                                  its [2] is cleared at the end */
};

/* What a thread hands over when it stops or ends. It lies on the top of a
 * stack: the values, and above them the target: a thread, true for the runner,
 * or another value for nobody. */
enum sl_handover_kind {
    SL_NOTHING,                /* it waits or is suspended: no target either */
    SL_CONTROL,                /* values */
    SL_FAILURE                 /* three values: thread, error, traceback */
};

typedef struct sl_handover {
    unsigned kind : 2;         /* of enum sl_handover_kind */
    unsigned nvalues : 30;     /* without the target */
} sl_handover;

/* Values for which there is room on every stack that stopped. */
enum { SL_FAST_VALUES_MAX = LUA_MINSTACK / 3 };

/* Held threads that were looked up lately: see hold.h. */
enum { SL_RECENT = 256 };

/* The error where a thread would stop while lua_close runs. */
#define SL_STATE_CLOSED "the Lua state is being closed"

/* The status of a thread that failed and closes its variables: failure.h. */
enum { SL_CLOSING = -1 };

/* What the loop keeps in a thread. */
typedef struct sl_thread_own {
    void *words[4];
} sl_thread_own;

struct sl_thread {
    sl_threads *all;           /* borrowed */
    lua_State *co;             /* the coroutine; NULL: record not in use */
    lua_State *stack;          /* while it runs, its runner's; when it has
                                  stopped, that of the C function in which it
                                  did: co or a nested coroutine */
    sl_thread *resumer;        /* the runner's own thread; NULL: none */
    sl_fiber *fiber;           /* runs or is frozen on it, or is about to run;
                                  else NULL */
    sl_thread_results results; /* of its wait */
    sl_holder *holder;         /* in the stopped table; or NULL (hold.h) */
    void (*on_bypassed)(sl_thread *t);    /* see sl_run_onbypass */
    lua_CFunction guest_in;    /* a guest: the function in which it waits;
                                  else NULL */
    lua_State *anchors;        /* borrowed; anchors the coroutine in a slot, */
    int slot;                  /* and the value of its target in the next */
    int index;                 /* see anchored; if it yielded to wait, of the
                                  top of its stack */
    sl_handover got;           /* brought by control; the values lie on the
                                  stack (frozen) or on co */
    sl_handover given;         /* once it stopped; its values are also the
                                  results of the last lua_resume */
    signed char status;        /* of the last lua_resume; or SL_CLOSING */
    unsigned char state;       /* of enum sl_thread_state */
    unsigned char return_to;   /* of enum sl_return_to */
    unsigned char anchored;    /* the coroutine is in its slot; else, while it
                                  runs, on the stack, at index */
    unsigned char depth;       /* threads that run threads */
    unsigned char hook;        /* how it stops, of enum sl_hook (hook.h), */
    unsigned char base_hook;   /* and where its own runner is */
    unsigned char spent;       /* the loop's: operations since it stopped */
    sl_thread *next_record;    /* in the list of all records */
    sl_thread *next_free;      /* in the list of unused records */

    /* The loop's, as spent; untouched here but for the beginning. */
    void *loop;                /* whose it is: that made it, or in which it
                                  waited first; NULL: none yet, or gone */
    void *wait;                /* the wait it is in, or NULL */
    sl_thread_own own;
};

/* What sl_threads.values anchors. */
enum sl_threads_value {
    SL_VALUE_STOPPED = 1,      /* a table with weak keys: see hold.h */
    SL_VALUE_HOLDER_CLASS,     /* the metatable of sl_holder */
    SL_VALUE_NOTHING,          /* a function that does nothing */
    SL_VALUE_ROOM,             /* sl_room_fill */
    SL_VALUE_CALLER,           /* sl_pcall_call */
    SL_VALUE_LOST,             /* the error of a thread without a target */
    SL_VALUE_FAILURES,         /* a table with weak keys: see failure.c */
    SL_VALUE_LEFT,             /* the error of a thread that will not go on */
    SL_VALUE_PROBER,           /* see hook.h */
    SL_VALUE_PROBE,            /* sl_hook_probe */
    SL_VALUE_LEAVE,            /* sl_hook_leave */
    SL_VALUE_VISIT,            /* sl_hook_visit */
    SL_VALUE_HOOK_ERROR,       /* which is still to be raised */
    SL_VALUES = SL_VALUE_HOOK_ERROR
};

struct sl_threads {
    sl_fibers fibers;          /* owned */
    sl_thread *running;        /* the innermost of those that run, or NULL */
    lua_State *main_frame;     /* where the lowest runner is, if any runs */
    lua_State *main;           /* the main program's; NULL: not known */
    int base_hook;             /* where the main frame is, of enum sl_hook */
    lua_State *prober;         /* anchored; NULL until it is needed */
    sl_thread *records;        /* owned; all of them */
    sl_thread *free;           /* the unused ones */
    sl_thread *recent[SL_RECENT];    /* see hold.h */
    size_t stacks_limit;       /* of C stacks, at which garbage is collected */
    lua_State *values;         /* anchors the values of enum sl_threads_value */
    lua_State *anchors;        /* where the next record's slots will be, */
    int next_slot;             /* the first of them, */
    int slots_left;            /* and how many are left */
    int slots;                 /* that were made */
    int closed;                /* the Lua state is being closed */
};

/* [-0, +1, -] Pushes the userdata of the threads, or nil before it is made. */
void sl_thread_pushall(lua_State *L);

/* [-1, +0, m] Sets it. */
void sl_thread_setall(lua_State *L);

/* [-0, +0, -] The threads of this Lua state, which were made before. */
sl_threads *sl_thread_all(lua_State *L);

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

/* Whether it stopped, if it stopped, with its C stack as it is. Also true of a
 * thread that runs. */
static inline int sl_thread_isfrozen(const sl_thread *t)
{
    return t->fiber != NULL && sl_fiber_isfrozen(t->fiber);
}

/* [-0, +0, -] The innermost function of co, if that is a C function; else
 * NULL. */
lua_CFunction sl_thread_function(lua_State *co);

/* [-0, +0, -] Whether a thread whose state is SL_WAITING still is in its wait:
 * its coroutine may have been closed or resumed by Lua's means. */
int sl_thread_waits(const sl_thread *t);

/* [-0, +0, -] The record of that coroutine if it runs or waits, or NULL. Takes
 * time in proportion to all records. A held one's may be gone: see hold.h. */
sl_thread *sl_thread_find(sl_threads *all, lua_State *co);

/* [-0, +0, -] LuaJIT's VM notes the running stack when a C function returns or
 * calls, but not when it throws. So this calls a function, after threads have
 * run and before anything is thrown on L. */
void sl_thread_sync_vm(lua_State *L, sl_threads *all);

/* [-0, +0, e] Makes room for n values on co, which may not be running; false
 * if there is none. */
int sl_thread_makeroom(lua_State *L, sl_threads *all, lua_State *co, int n);

/* [-0, +0, -] Whether co is the main frame's stack, or the main program's,
 * which the main frame answers for when it is in a coroutine of the user's. */
static inline int sl_thread_ismainframe(sl_threads *all, lua_State *co)
{
    return co == all->main_frame || sl_ismain(co);
}

#endif
