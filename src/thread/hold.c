/*
 * hold.c - see hold.h.
 */

#include "thread/hold.h"

int sl_hold_gc(lua_State *L)
{
    sl_holder *h = lua_touserdata(L, 1);
    sl_thread *t = h->thread;
    h->thread = NULL;
    if (t == NULL || h->all->closed)    /* while the state is closed, the thread
                                           may be in use */
        return 0;
    t->holder = NULL;
    if (sl_state_isheld(t)) {
        sl_state_givefiber(t);
        sl_state_free(t);
    }
    return 0;
}

void sl_hold_link(sl_holder *holder, sl_thread *t)
{
    holder->thread = t;
    t->holder = holder;
}

/* [-1, +3, m] Pops a coroutine; pushes the stopped table, the coroutine, and a
 * new holder, which is not in the table yet. */
static sl_holder *holder_new(lua_State *L, sl_threads *all)
{
    sl_anchor_push(L, all->values, SL_VALUE_STOPPED);
    lua_insert(L, -2);    /* below the coroutine */
    sl_holder *h = sl_newuserdata(L, sizeof *h);
    h->all = all;
    h->thread = NULL;
    sl_anchor_push(L, all->values, SL_VALUE_HOLDER_CLASS);
    lua_setmetatable(L, -2);
    return h;
}

/* [-3, +0, m] Pops the stopped table, a coroutine and a holder: puts the holder
 * into the table. An older thread of the coroutine loses its holder. */
static void holder_set(lua_State *L)
{
    lua_pushvalue(L, -2);
    lua_rawget(L, -4);    /* stopped, coroutine, holder, old holder or nil */
    sl_holder *old = lua_touserdata(L, -1);
    if (old != NULL && old->thread != NULL) {
        old->thread->holder = NULL;
        old->thread = NULL;
    }
    lua_pop(L, 1);
    lua_rawset(L, -3);    /* stopped[coroutine] = holder */
    lua_pop(L, 1);
}

void sl_hold_makeholder(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    sl_holder *h = holder_new(L, t->all);
    holder_set(L);
    sl_hold_link(h, t);
}

sl_holder *sl_hold_keepvalues(lua_State *L, sl_threads *all, int n)
{
    sl_holder *h = holder_new(L, all);
    lua_createtable(L, n, 0);
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, i);
    }
    sl_setuservalue(L, -2);    /* the holder's */
    holder_set(L);
    return h;
}

void sl_hold_forget(lua_State *L, sl_thread *t)
{
    t->holder->thread = NULL;
    t->holder = NULL;
    sl_anchor_push(L, t->all->values, SL_VALUE_STOPPED);
    sl_thread_push(L, t);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

sl_thread *sl_hold_stopped(lua_State *L, sl_threads *all, int index)
{
    lua_pushvalue(L, index);
    sl_anchor_push(L, all->values, SL_VALUE_STOPPED);
    lua_insert(L, -2);    /* below the coroutine */
    lua_rawget(L, -2);
    const sl_holder *h = lua_touserdata(L, -1);
    lua_pop(L, 2);
    return h != NULL ? h->thread : NULL;
}

sl_thread *sl_hold_find(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    sl_thread *t = sl_hold_recent(all, co);
    if (t != NULL)
        return t;
    t = sl_hold_stopped(L, all, index);
    if (t == NULL || !sl_state_isheld(t))
        return NULL;
    *sl_hold_remembered(all, co) = t;
    return t;
}
