/*
 * record.h - the records of threads (sl_thread): a list of all, which only
 * grows, and one of those that are not in use.
 */

#ifndef SL_RECORD_H
#define SL_RECORD_H

#include "thread/stacks.h"

/* [-0, +0, e] The slow part of sl_record_reserve. */
void sl_record_make(lua_State *L, sl_threads *all, lua_State *co, int n);

/* Whether there are a record and a C stack to take. */
static inline int sl_record_isreserved(const sl_threads *all)
{
    return all->free != NULL && sl_stacks_isreserved(all);
}

/* [-0, +0, e] Makes sure that there are, and room for n values on the stopped
 * coroutine co. Finalizers may run meanwhile, and use co, too. */
static inline void sl_record_reserve(lua_State *L, sl_threads *all,
                                     lua_State *co, int n)
{
    if (!sl_record_isreserved(all) || n >= LUA_MINSTACK)
        sl_record_make(L, all, co, n);
}

/* [-0, +0, e] A record for the coroutine on the top, which stays there while
 * it runs; its target is the runner. loop: its loop, or NULL. Raises if too
 * many threads run one another. */
sl_thread *sl_record_take(lua_State *L, sl_threads *all, void *loop);

/* [-1, +0, e] The same, but the record anchors the coroutine. */
sl_thread *sl_record_acquire(lua_State *L, sl_threads *all, void *loop);

/* [-0, +0, -] Anchors the running thread, since it may stop from now on. */
void sl_record_anchor(lua_State *L, sl_thread *t);

/* [-0, +0, -] The record is not needed any more. */
void sl_record_release(lua_State *L, sl_thread *t);

#endif
