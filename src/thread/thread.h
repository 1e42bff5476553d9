/*
 * thread.h - Lua threads that can stop anywhere and hand control to one
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
 * coroutine that stopped in coroutine.yield has none. A guest is a waiting
 * coroutine that the program resumed; it has a record while it waits (guest.h).
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
 * Errors are thrown only on the running stack: nothing here may raise on the
 * lua_State of another thread. Values for a yielded thread are pushed on the
 * runner's stack and moved. A frozen thread, once switched to, takes its values
 * itself. One sl_threads exists for a whole Lua state. All loops and coro share
 * it; it does not know them.
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
 * returns n, at most LUA_MINSTACK. May raise before it changes anything; then
 * it is called again later. */
typedef int (*sl_thread_results)(lua_State *L, void *wait);

/* States of a thread. The transitions are in state.h:
 *
 *   UNUSED -> RUNNING -> WAITING or SUSPENDED or CALLING -> RUNNING
 *   SUSPENDED -> WAITING, by sl_stop_wake
 *   each of them -> UNUSED */
enum sl_thread_state {
    SL_UNUSED,                 /* the record has no thread */
    SL_RUNNING,                /* or about to run, when its runner switches */
    SL_WAITING,
    SL_SUSPENDED,              /* in suspend, coro.transfer, coro.yield */
    SL_CALLING                 /* its runner unwound, until control comes
                                  back */
};

/* Return targets: where the values or the error of a thread go when it ends. */
enum sl_return_to {
    SL_RETURN_TO_RUNNER,       /* the runner, which gets no values */
    SL_RETURN_TO_NONE,       /* ending without a handover is an error */
    SL_RETURN_TO_CALLER,       /* the runner, with the values. When the thread
                                  stops before it ends, this becomes VALUE: the
                                  runner's own thread */
    SL_RETURN_TO_VALUE         /* a thread, or a table whose [1] is a thread and
                                  whose [2] is cleared at the end */
};

/* The handover of a thread that stops or ends. On the top of a stack lie its
 * values, and above them the target: a thread, true for the runner, or another
 * value for none. */
enum sl_handover_kind {
    SL_NOTHING,                /* it waits or is suspended: no values, no
                                  target */
    SL_CONTROL,                /* values */
    SL_FAILURE                 /* three values: thread, error, traceback */
};

typedef struct sl_handover {
    unsigned kind : 8;         /* of enum sl_handover_kind */
    unsigned nvalues : 24;     /* without the target; a Lua stack has fewer */
} sl_handover;

/* The number of values for which every stack that stopped has room. */
enum { SL_FAST_VALUES_MAX = LUA_MINSTACK / 3 };

/* The size of the cache of held threads (hold.h). */
enum { SL_RECENT = 256 };

/* The error of a function that would stop while lua_close runs. */
#define SL_STATE_CLOSED "the Lua state is being closed"

/* The status of a thread that failed and closes its variables (failure.h). */
enum { SL_CLOSING = -1 };

/* Memory for the loop's data in a thread (sl_own). */
typedef struct sl_thread_own {
    void *pointers[3];
    char bytes[8];
} sl_thread_own;

struct sl_thread {
    sl_threads *all;           /* borrowed */
    lua_State *co;             /* the coroutine; NULL: record not in use */
    lua_State *stack;          /* of the runner, while the thread runs; else of
                                  the C function in which the thread stopped: co
                                  or a nested coroutine */
    sl_thread *resumer;        /* the runner's own thread; NULL: none */
    sl_fiber *fiber;           /* the C stack on which it runs, will run or is
                                  frozen; or NULL */
    sl_thread_results results; /* pushes the results of its wait */
    sl_holder *holder;         /* in the stopped table; or NULL (hold.h) */
    void (*on_bypassed)(sl_thread *t);    /* see sl_run_onbypass */
    lua_CFunction guest_in;    /* of a guest: the function in which it waits; or
                                  NULL */
    lua_State *anchors;        /* borrowed; has the record's two slots */
    int slot;                  /* of the coroutine; slot + 1 has the target's
                                  value */
    int index;                 /* of the coroutine on the runner's stack, if not
                                  anchored; in a yielded wait, of the record on
                                  co */
    sl_handover got;           /* brought by control; the values lie on `stack`
                                  (if it is frozen) or on co */
    sl_handover given;         /* once it has stopped; nvalues is also the
                                  number of results of the last lua_resume */
    signed char status;        /* of the last lua_resume; or SL_CLOSING */
    unsigned char state;       /* of enum sl_thread_state */
    unsigned char return_to;   /* of enum sl_return_to */
    unsigned char anchored;    /* the coroutine is in its slot; else it lies on
                                  the runner's stack, at index */
    unsigned char depth;       /* number of threads that run one another, up to
                                  this one */
    unsigned char hook;        /* of enum sl_hook: how it stops (hook.h) */
    unsigned char runner_hook;   /* of enum sl_hook: where its own runner is */
    unsigned char spent;       /* for the loop: operations in this turn */
    sl_thread *next_record;    /* in the list of all records */
    sl_thread *next_free;      /* in the list of unused records */

    /* For the loop, like spent; set here only when the thread begins. */
    void *loop;                /* the loop that made it or in which it waited
                                  first; NULL: none yet, or collected */
    void *wait;                /* the thread's current wait, or NULL */
    sl_thread_own own;
};

/* Slots of sl_threads.values. */
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
    SL_VALUE_HOOK_ERROR,       /* an error still to be raised (hook.c) */
    SL_VALUES = SL_VALUE_HOOK_ERROR
};

struct sl_threads {
    sl_fibers fibers;          /* owned */
    sl_thread *running;        /* the innermost running thread, or NULL */
    lua_State *main_frame;     /* the stack of the lowest runner, if any runs */
    lua_State *main;           /* the main program's stack; NULL: unknown */
    int runner_hook;             /* of enum sl_hook: where the main frame is */
    int gc_restarts;           /* see sl_hook_restartsgc */
    lua_State *prober;         /* anchored; NULL until it is needed */
    sl_thread *records;        /* owned list of all records */
    sl_thread *free;           /* list of the unused records */
    sl_thread *recent[SL_RECENT];    /* see hold.h */
    size_t stacks_limit;       /* number of C stacks at which garbage is
                                  collected */
    lua_State *values;         /* anchors the values of enum sl_threads_value */
    lua_State *anchors;        /* has the slots of the next records */
    int next_slot;             /* the first unused slot there */
    int slots_left;            /* number of unused slots there */
    int slots;                 /* number of all slots */
    int closed;                /* the Lua state is being closed */
};

/* [-0, +1, -] Pushes the userdata of the sl_threads; nil before
 * sl_thread_setall. */
void sl_thread_pushall(lua_State *L);

/* [-1, +0, m] Sets the userdata of the sl_threads to the value on the top. */
void sl_thread_setall(lua_State *L);

/* [-0, +0, -] Returns the sl_threads of this Lua state; NULL before it is
 * made. */
sl_threads *sl_thread_all(lua_State *L);

/* [-0, +1, -] Pushes the coroutine of a running or waiting thread. */
void sl_thread_push(lua_State *L, sl_thread *t);

/* The loop of the thread, or of the nearest thread below it that has one; NULL
 * if none has. */
static inline void *sl_thread_loop(const sl_thread *t)
{
    while (t != NULL && t->loop == NULL)
        t = t->resumer;
    return t != NULL ? t->loop : NULL;
}

/* Whether a thread that stopped is frozen. Also true of a running thread. */
static inline int sl_thread_isfrozen(const sl_thread *t)
{
    return t->fiber != NULL && sl_fiber_isfrozen(t->fiber);
}

/* [-0, +0, -] The innermost function of co, if that is a C function; else
 * NULL. */
lua_CFunction sl_thread_function(lua_State *co);

/* [-0, +0, -] Slow path of sl_thread_waits, without SL_CONTINUES: whether a
 * thread that has yielded has done that to wait. */
int sl_thread_isinwait(const sl_thread *t);

/* [-0, +0, -] Whether a thread whose state is SL_WAITING still is in its wait:
 * its coroutine may have been closed or resumed by Lua's means. With
 * SL_CONTINUES no other resume gets it out of its wait. */
static inline int sl_thread_waits(const sl_thread *t)
{
    return sl_thread_isfrozen(t) ||
           (lua_status(t->co) == LUA_YIELD &&
            (SL_CONTINUES || sl_thread_isinwait(t)));
}

/* [-0, +0, -] Returns the record of a coroutine that runs or waits, or NULL.
 * Takes time in proportion to all records. The record of a held thread may be
 * freed: see hold.h. */
sl_thread *sl_thread_find(sl_threads *all, lua_State *co);

/* [-0, +0, -] Calls an empty function, so that LuaJIT's VM notes that L is the
 * running stack: it does when a C function returns or calls, but not when one
 * throws. To be called after threads have run and before anything is thrown on
 * L. */
void sl_thread_sync_vm(lua_State *L, sl_threads *all);

/* [-0, +0, e] Makes room for n values on co, which need not be running. False
 * if there is no memory. */
int sl_thread_makeroom(lua_State *L, sl_threads *all, lua_State *co, int n);

/* [-0, +0, -] Whether co is the main frame's stack, or the main program's. The
 * main frame acts for the main program when it runs in a coroutine of the
 * program's. */
static inline int sl_thread_ismainframe(sl_threads *all, lua_State *co)
{
    return co == all->main_frame || sl_ismain(co);
}

#endif
