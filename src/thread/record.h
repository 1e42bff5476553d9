/*
 * record.h - the records of threads, what keeps their coroutines alive, and
 * what else thread.c and run.c share. For the files about threads only.
 */

#ifndef SL_RECORD_H
#define SL_RECORD_H

#include "thread/thread.h"

#include <stdint.h>

/* [-0, +0, e] Makes sure that there is a record to take and a C stack. */
void sl_record_reserve(lua_State *L, sl_threads *all);

/* Whether there are. */
static inline int sl_record_isreserved(const sl_threads *all)
{
    return all->free != NULL && all->fibers.idle != NULL;
}

/* [-0, +0, e] A record for the coroutine on the top, which stays there while
 * it runs; its home is the base. Raises if too many threads run each other. */
sl_thread *sl_record_take(lua_State *L, sl_threads *all, void *loop);

/* [-1, +0, e] The same, but it anchors the coroutine. */
sl_thread *sl_record_acquire(lua_State *L, sl_threads *all, void *loop);

/* The record is not needed any more. */
void sl_record_release(lua_State *L, sl_thread *t);

/* [-0, +0, -] The running thread may stop from now on: anchors it. */
void sl_record_anchor(lua_State *L, sl_thread *t);

/* [-1, +0, -] Sets the home of a thread to a value: see thread.h. */
void sl_record_sethome(lua_State *L, sl_thread *t);

/* [-0, +1, -] Pushes that value, or nil. */
void sl_record_pushhome(lua_State *L, sl_thread *t);

/* --- holding ----------------------------------------------------------- */

/* What the stopped table has for a coroutine. A thread and its holder know
 * each other as long as the holder is in the table: the coroutine's next
 * thread may put its own there. */
struct sl_holder {
    sl_threads *all;      /* borrowed */
    sl_thread *thread;    /* owned while that is held; or NULL */
};

/* Whether a thread is held. */
static inline int sl_record_isheld(const sl_thread *t)
{
    return t->state >= SL_SUSPENDED;
}

/* [-0, +0, m] Gives the running thread a holder. */
void sl_record_makeholder(lua_State *L, sl_thread *t);

/* The thread is not anchored any more. */
static inline void sl_record_clear(sl_thread *t)
{
    sl_anchor_clear(t->anchors, t->place);
    t->anchored = 0;
}

/* The value of its home is not anchored any more. */
static inline void sl_record_clearhome(sl_thread *t)
{
    sl_anchor_clear(t->anchors, t->place + 1);
    t->anchors_home = 0;
}

/* [-0, +0, m] The running thread is about to freeze for others' sake: it is
 * not anchored any more. Its home goes where the caller keeps it. */
static inline void sl_record_hold(lua_State *L, sl_thread *t)
{
    if (t->holder == NULL)
        sl_record_makeholder(L, t);
    if (t->anchors_home)
        sl_record_clearhome(t);
    if (t->anchored)
        sl_record_clear(t);
}

/* [-1, +0, -] A held thread, whose coroutine is on the top, is anchored. */
static inline void sl_record_unhold(lua_State *L, sl_thread *t)
{
    t->state = SL_RUNNING;
    t->anchored = 1;
    sl_anchor_set(L, t->anchors, t->place);
}

/* [-1, +0, m] Both at once: the one that is held from now on gives its place
 * to the other. */
static inline void sl_record_relieve(lua_State *L, sl_thread *held,
                                     sl_thread *other)
{
    if (held->holder == NULL)
        sl_record_makeholder(L, held);
    if (held->anchors_home)
        sl_record_clearhome(held);
    if (held->anchored) {
        lua_State *anchors = held->anchors;
        int place = held->place;
        held->anchors = other->anchors;
        held->place = other->place;
        other->anchors = anchors;
        other->place = place;
        held->anchored = 0;
    }
    sl_record_unhold(L, other);
}

/* Where a look-up of that coroutine is remembered. */
static inline sl_thread **sl_record_slot(sl_threads *all, lua_State *co)
{
    return &all->recent[(uintptr_t)co / 64 % SL_RECENT];
}

/* The number by which a held thread can be told from another coroutine at the
 * same address, as it lies at the first index of the C function in which the
 * thread is. It is of the record's address, which doesn't change owners, and
 * not whole; a light userdata would take LuaJIT three times as long. */
static inline double sl_record_mark(const sl_thread *t)
{
    return (double)(uintptr_t)t + 0.5;
}

/* The record that has that mark. */
static inline sl_thread *sl_record_ofmark(double mark)
{
    return (sl_thread *)(uintptr_t)mark;
}

/* [-0, +1, -] Pushes it. */
static inline void sl_record_pushmark(lua_State *L, const sl_thread *t)
{
    lua_pushnumber(L, sl_record_mark(t));
}

/* [-0, +0, -] The record of a held thread that was looked up lately, or NULL.
 * What is remembered may be about a coroutine that was collected, and another
 * one at its address: only one that is held has its record's mark. */
static inline sl_thread *sl_record_recent(sl_threads *all, lua_State *co)
{
    sl_thread *t = *sl_record_slot(all, co);
    return t != NULL && t->co == co && sl_record_isheld(t) &&
           lua_tonumber(co, 1) == sl_record_mark(t) ? t : NULL;
}

/* [-0, +0, -] The record of the held thread at index, or NULL. */
sl_thread *sl_record_held(lua_State *L, sl_threads *all, int index);

/* --- adopting ---------------------------------------------------------- */

/* [-0, +0, e] A record for L's coroutine, which somebody else resumed. What
 * lies on L stays alive while the thread waits. */
sl_thread *sl_record_adopt(lua_State *L, sl_threads *all);

/* [-0, +0, -] An adopted thread becomes one of ours. */
void sl_record_own(lua_State *L, sl_thread *t);

/* [-0, +0, -] The record that has its holder in the stopped table for the
 * coroutine at index, or NULL. */
sl_thread *sl_record_stopped(lua_State *L, sl_threads *all, int index);

/* --- of thread.c, for run.c -------------------------------------------- */

/* Values for which there is room on every stack that stopped. */
enum { SL_FEW = LUA_MINSTACK / 3 };

/* [-0, +0, e] Makes room for n values on a stopped coroutine, if it can be
 * had. */
int sl_thread_hasroom(lua_State *L, sl_threads *all, lua_State *co, int n);

/* [-0, +0, e] Makes sure that there are a record and a C stack for co, and room
 * for n values on it. Who else uses co may have changed that meanwhile. */
void sl_thread_reserve(lua_State *L, sl_threads *all, lua_State *co, int n);

/* A thread will run on top of resumer, or of the main program (NULL), where L
 * runs; what it gets is of enum sl_passing. */
static inline void sl_thread_rise(lua_State *L, sl_thread *t,
                                  sl_thread *resumer, int got)
{
    sl_threads *all = t->all;
    t->resumer = resumer;
    t->depth = resumer != NULL ? resumer->depth + 1 : 1;
    t->state = SL_RUNNING;
    t->stack = L;
    t->got = got;
    all->running = t;
}

/* [-0, +0, -] A held thread has the value of its home on its own stack. */
static inline void sl_thread_gethome(lua_State *L, sl_thread *t)
{
    if (t->home == SL_HOME_VALUE) {
        lua_xmove(t->stack, L, 1);
        sl_record_sethome(L, t);
    }
}

/* [-1, +0, -] The held thread, whose coroutine is on the top, will run, and
 * take n values when it does. */
static inline void sl_thread_revive(lua_State *L, sl_thread *t, int n)
{
    sl_record_unhold(L, t);
    sl_thread_gethome(L, t);
    t->nargs = n;
}

/* The record of that coroutine if it runs or waits, or NULL. Slow. Not of one
 * that is held, which may be gone already: see sl_record_held. */
sl_thread *sl_thread_find(sl_threads *all, lua_State *co);

/* Whether co is the bottom, which answers for the main program, also when it
 * is a coroutine of its. */
int sl_thread_isbottom(sl_threads *all, lua_State *co);

/* Raises. */
int sl_thread_nomemory(lua_State *L, sl_threads *all);

/* What is on its way lies on the top of a stack: n values, and above them
 * whom they are for: a thread, nil for nobody, or true for the base. */
static inline void sl_thread_pass(sl_threads *all, int what, int n)
{
    all->passing = what;
    all->nvalues = n;
}

/* Freezes the running thread t, whose C function runs on L, until control
 * comes back to it; what it passes on lies on the top of L. With
 * SL_HOME_VALUE its home lies below that. */
void sl_thread_hold(lua_State *L, sl_thread *t, int state, int what, int n);

/* [-0, +n, e] Takes what control brought to a frozen thread. */
int sl_thread_take(lua_State *L, sl_thread *t);

#endif
