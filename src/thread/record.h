/*
 * record.h - the records of threads (sl_thread): a list of all records, which
 * only grows, and a list of those not in use.
 */

#ifndef SL_RECORD_H
#define SL_RECORD_H

#include "thread/stacks.h"

/* [-0, +0, e] Slow path of sl_record_reserve. */
void sl_record_make(lua_State *L, sl_threads *all, lua_State *co, int n);

/* Whether an unused record and an idle C stack exist. */
static inline int sl_record_isreserved(const sl_threads *all)
{
    return all->free != NULL && sl_stacks_isreserved(all);
}

/* [-0, +0, e] Makes sure that an unused record, an idle C stack and room for n
 * values on the stopped coroutine co exist. Finalizers may run before that, and
 * use co, too. */
static inline void sl_record_reserve(lua_State *L, sl_threads *all,
                                     lua_State *co, int n)
{
    if (!sl_record_isreserved(all) || n >= LUA_MINSTACK)
        sl_record_make(L, all, co, n);
}

/* [-0, +0, e] Takes a record for the coroutine on the top, which has to stay
 * there while it runs. Its target is the runner. loop is its loop, or NULL.
 * Raises if too many threads run one another. */
sl_thread *sl_record_take(lua_State *L, sl_threads *all, void *loop);

/* [-1, +0, e] sl_record_take, with the coroutine anchored by the record. */
sl_thread *sl_record_acquire(lua_State *L, sl_threads *all, void *loop);

/* [-0, +0, -] Anchors the running thread, unless it is anchored. It may stop
 * after this. */
void sl_record_anchor(lua_State *L, sl_thread *t);

/* [-0, +0, -] Frees a record with all that it owns. */
void sl_record_release(lua_State *L, sl_thread *t);

#endif
