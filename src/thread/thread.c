/*
 * thread.c - functions for any thread, and for the running stack. See thread.h.
 */

#include "thread/thread.h"

#include "thread/mute.h"
#include "thread/room.h"

static const char threads_key = 0;    /* its address is the registry key */

void sl_thread_pushall(lua_State *L)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &threads_key);
}

void sl_thread_setall(lua_State *L)
{
    sl_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
}

sl_threads *sl_thread_all(lua_State *L)
{
    sl_thread_pushall(L);
    sl_threads *all = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return all;
}

void sl_thread_push(lua_State *L, sl_thread *t)
{
    if (t->anchored) {
        sl_anchor_push(L, t->anchors, t->slot);
        return;
    }
    lua_pushvalue(t->stack, t->index);    /* it lies on the stack of its
                                             runner */
    if (t->stack != L)
        lua_xmove(t->stack, L, 1);
}

lua_CFunction sl_thread_function(lua_State *co)
{
    lua_Debug where;
    if (!lua_getstack(co, 0, &where) || !lua_getinfo(co, "f", &where))
        return NULL;
    lua_CFunction function = lua_tocfunction(co, -1);
    lua_pop(co, 1);
    return function;
}

int sl_thread_isinwait(const sl_thread *t)
{
    if (t->guest_in != NULL)
        return t->holder != NULL && sl_thread_function(t->co) == t->guest_in;
    /* A wait yields the record as the last value: see sl_stop_wait. */
    return lua_gettop(t->co) > 0 && lua_touserdata(t->co, -1) == t;
}

sl_thread *sl_thread_find(sl_threads *all, lua_State *co)
{
    for (sl_thread *t = all->records; t != NULL; t = t->next_record)
        if (t->co == co && (t->state == SL_RUNNING ||
                            (t->state == SL_WAITING && sl_thread_waits(t))))
            return t;
    return NULL;
}

void sl_thread_sync_vm(lua_State *L, sl_threads *all)
{
    if (SL_LUAJIT) {
        sl_anchor_push(L, all->values, SL_VALUE_NOTHING);
        lua_call(L, 0, 0);
    }
}

int sl_thread_makeroom(lua_State *L, sl_threads *all, lua_State *co, int n)
{
    if (n < LUA_MINSTACK)    /* every stack that stopped has that much room */
        return 1;
    sl_muted muted = sl_mute_begin(L);    /* an error is no lack of room */
    sl_anchor_push(co, all->values, SL_VALUE_ROOM);
    int is_made = sl_room_make(L, co, n);
    sl_thread_sync_vm(L, all);
    sl_mute_end(L, muted);
    return is_made;
}
