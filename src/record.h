/*
 * record.h - the records of threads, and what keeps their coroutines alive.
 * For thread.c only.
 */

#ifndef SL_RECORD_H
#define SL_RECORD_H

#include "thread.h"

/* [-1, +0, e] A record for the coroutine on the top, which it anchors; its
 * home is the base. Raises if too many threads run each other. */
sl_thread *sl_record_acquire(lua_State *L, sl_threads *all, void *loop);

/* Where in the anchors the coroutine of a record is. */
int sl_record_place(const sl_thread *t);

/* The record is not needed any more. */
void sl_record_release(lua_State *L, sl_thread *t);

/* [-1, +0, -] Sets the home of a thread to a value: see thread.h. */
void sl_record_sethome(lua_State *L, sl_thread *t);

/* [-0, +1, -] Pushes that value, or nil. */
void sl_record_pushhome(lua_State *L, sl_thread *t);

/* [-0, +0, m] The running thread is about to freeze for others' sake: it is
 * not anchored any more. Its home goes where the caller keeps it. */
void sl_record_hold(lua_State *L, sl_thread *t);

/* The record of the held thread at index, or NULL. */
sl_thread *sl_record_held(lua_State *L, sl_threads *all, int index);

/* [-1, +0, -] A held thread, whose coroutine is on the top, is anchored. */
void sl_record_unhold(lua_State *L, sl_thread *t);

/* [-1, +0, m] Keeps a table under the coroutine of an adopted thread. */
void sl_record_setadopted(lua_State *L, sl_threads *all);

/* [-0, +1, -] Pushes that table for the coroutine at index, or nil. */
void sl_record_getadopted(lua_State *L, sl_threads *all, int index);

/* [-0, +0, m] An adopted thread becomes one of ours: its table goes. */
void sl_record_own(lua_State *L, sl_thread *t);

/* The record of that coroutine if it runs or waits, or NULL. Slow. */
sl_thread *sl_record_find(sl_threads *all, lua_State *co);

#endif
