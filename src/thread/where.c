/*
 * where.c - see where.h. The cheapest questions come first: Lua's (lua_status,
 * lua_getstack) before those about records.
 */

#include "thread/where.h"

#include "thread/hold.h"

/* [-0, +0, -] Whether a coroutine that has yielded may be in a function of this
 * module: those have upvalues, coroutine.yield has none. */
static int where_maywait(lua_State *co)
{
    lua_Debug innermost;
    if (!lua_getstack(co, 0, &innermost) || !lua_getinfo(co, "f", &innermost))
        return 0;
    int is_ours = lua_iscfunction(co, -1) && lua_getupvalue(co, -1, 1) != NULL;
    lua_pop(co, is_ours ? 2 : 1);    /* the function, and its upvalue */
    return is_ours;
}

/* [-0, +0, -] The record of a coroutine that has yielded, if it may be in a
 * wait; or NULL. Without SL_CONTINUES a guest has a holder. */
static sl_thread *where_findyielded(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    if (!SL_CONTINUES)
        return sl_hold_stopped(L, all, index);
    return where_maywait(co) ? sl_thread_find(all, co) : NULL;
}

/* [-0, +0, -] sl_where_get for a coroutine that has yielded. */
static enum sl_where where_yielded(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    if (lua_gettop(co) > 0 && lua_islightuserdata(co, -1))
        return SL_IS_WAITING;    /* its record: see sl_stop_wait */
    const sl_thread *t = where_findyielded(L, all, index);
    if (t == NULL || t->state != SL_WAITING)
        return SL_IS_SUSPENDED;
    if (!SL_CONTINUES && !sl_state_isguest(t))
        return SL_IS_SUSPENDED;    /* it has left the wait: its record is not on
                                      the top */
    return sl_thread_waits(t) ? SL_IS_WAITING : SL_IS_SUSPENDED;
}

int sl_where_isbelow(sl_threads *all, lua_State *co)
{
    if (all->running == NULL)
        return 0;
    for (sl_thread *t = all->running->resumer; t != NULL; t = t->resumer)
        if (t->co == co)
            return 1;
    return sl_thread_ismainframe(all, co);
}

/* [-0, +0, -] sl_where_get for a coroutine that has begun and, according to
 * Lua, runs or has resumed another. */
static enum sl_where where_begun(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    const sl_thread *t = all->running;
    if (co == L || (t != NULL ? t->co == co : sl_ismain(co)))
        return SL_IS_RUNNING;
    if (sl_where_isbelow(all, co))
        return SL_IS_BELOW;
    t = sl_hold_find(L, all, index);
    if (t == NULL)
        t = sl_thread_find(all, co);
    if (t == NULL)    /* not a thread, or one that failed */
        return lua_status(co) == LUA_OK ? SL_IS_NORMAL : SL_IS_DEAD;
    return t->state == SL_SUSPENDED ? SL_IS_SUSPENDED
         : t->state == SL_CALLING ? SL_IS_CALLING : SL_IS_WAITING;
}

enum sl_where sl_where_get(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    lua_Debug unused;
    const sl_thread *t = sl_hold_recent(all, co);
    if (t != NULL && t->state == SL_SUSPENDED)    /* the usual case */
        return SL_IS_SUSPENDED;
    if (lua_status(co) == LUA_YIELD)
        return where_yielded(L, all, index);
    if (co == L || lua_getstack(co, 0, &unused))    /* co has a frame */
        return where_begun(L, all, index);
    /* Without a frame: a value on its stack is the function to be called. */
    return lua_status(co) == LUA_OK && lua_gettop(co) > 0 ? SL_IS_FRESH
                                                          : SL_IS_DEAD;
}

static const char *const not_resumable[] = {
    [SL_IS_WAITING] = "trying to resume a thread that waits in I/O or sleep; "
                      "resume is for those in suspend()",
    [SL_IS_DEAD] = "cannot resume dead thread",
    [SL_IS_RUNNING] = "trying to resume the running thread",
    [SL_IS_BELOW] = "trying to resume the running thread: it runs this one",
    [SL_IS_CALLING] = "trying to resume a thread that has resumed another",
    [SL_IS_NORMAL] = "trying to resume a thread that is not suspended",
};

enum sl_where sl_where_checkresumable(lua_State *L, sl_threads *all,
                                      int index)
{
    enum sl_where where = sl_where_get(L, all, index);
    if (where != SL_IS_FRESH && where != SL_IS_SUSPENDED)
        luaL_error(L, "%s", not_resumable[where]);
    return where;
}

void sl_where_checktarget(lua_State *L, sl_threads *all, int index)
{
    switch (sl_where_get(L, all, index)) {
    case SL_IS_FRESH: case SL_IS_SUSPENDED: case SL_IS_BELOW:
    case SL_IS_CALLING:
        return;
    case SL_IS_RUNNING:
        luaL_error(L, "trying to transfer to the running thread");
        return;
    case SL_IS_WAITING:
        luaL_error(L, "trying to transfer to a thread that waits in I/O or "
                      "sleep");
        return;
    case SL_IS_DEAD:
        luaL_error(L, "cannot resume dead coroutine");
        return;
    case SL_IS_NORMAL:
        luaL_error(L, "trying to transfer to a thread that is not suspended");
    }
}
