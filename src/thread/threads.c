/*
 * threads.c - see threads.h.
 */

#include "thread/threads.h"

#include "thread/hold.h"
#include "thread/hook.h"
#include "thread/pcall.h"
#include "thread/room.h"
#include "thread/stacks.h"

#include <stdlib.h>
#include <string.h>

void sl_threads_forgetloop(sl_threads *all, const void *loop)
{
    for (sl_thread *t = all->records; t != NULL; t = t->next_record)
        if (t->loop == loop)
            t->loop = NULL;
}

/* Whether a thread runs, or runs another that does. */
static int threads_isrunning(sl_threads *all, sl_thread *t)
{
    for (sl_thread *r = all->running; r != NULL; r = r->resumer)
        if (r == t)
            return 1;
    return 0;
}

/* The finalizer of sl_threads: the Lua state is being closed. os.exit may have
 * been called in a thread. The stacks of running threads cannot be unmapped;
 * they end with the process. */
static int threads_gc(lua_State *L)
{
    sl_threads *all = lua_touserdata(L, 1);
    all->closed = 1;
    sl_thread *next;
    for (sl_thread *t = all->records; t != NULL; t = next) {
        next = t->next_record;
        if (threads_isrunning(all, t))
            continue;
        sl_state_givefiber(t);
        free(t);
    }
    all->records = all->free = NULL;
    memset(all->recent, 0, sizeof all->recent);
    sl_fibers_free(&all->fibers);
    return 0;
}

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

/* [-0, +1, m] Pushes a metatable with gc as the finalizer. */
static void push_class(lua_State *L, lua_CFunction gc)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
}

static void set_function(lua_State *L, sl_threads *all,
                         enum sl_threads_value value, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    sl_anchor_set(L, all->values, value);
}

static void set_string(lua_State *L, sl_threads *all,
                       enum sl_threads_value value, const char *string)
{
    lua_pushstring(L, string);
    sl_anchor_set(L, all->values, value);
}

/* [-0, +0, e] Makes the values of the sl_threads whose userdata is on the
 * top. */
static void threads_makevalues(lua_State *L, sl_threads *all)
{
    lua_newtable(L);    /* the list of coroutines with slots (record.c) */
    all->values = sl_anchors_new(L, SL_VALUES);
    lua_rawseti(L, -2, 1);
    sl_setuservalue(L, -2);
    sl_anchor_newweak(L, "k");
    sl_anchor_set(L, all->values, SL_VALUE_STOPPED);
    sl_anchor_newweak(L, "k");
    sl_anchor_set(L, all->values, SL_VALUE_FAILURES);
    push_class(L, sl_hold_gc);
    sl_anchor_set(L, all->values, SL_VALUE_HOLDER_CLASS);
    set_function(L, all, SL_VALUE_NOTHING, do_nothing);
    set_function(L, all, SL_VALUE_ROOM, sl_room_fill);
    set_function(L, all, SL_VALUE_CALLER, sl_pcall_call);
    set_function(L, all, SL_VALUE_PROBE, sl_hook_probe);
    set_function(L, all, SL_VALUE_LEAVE, sl_hook_leave);
    lua_pushlightuserdata(L, all);    /* sl_hook_isclosing looks for it */
    lua_pushcclosure(L, sl_hook_visit, 1);
    sl_anchor_set(L, all->values, SL_VALUE_VISIT);
    set_string(L, all, SL_VALUE_LOST,
               "coroutine ended without transferring control");
    set_string(L, all, SL_VALUE_LEFT,
               "the coroutine was closed, or resumed by somebody else");
}

/* [-0, +1, e] Pushes the userdata of a new sl_threads. */
static sl_threads *threads_new(lua_State *L)
{
    if (sl_fibers_shadowed())
        luaL_error(L, "this program has a shadow stack (SHSTK), with which "
                   "the threads of socketloop cannot run");
    sl_threads *all = sl_newuserdata(L, sizeof *all);
    memset(all, 0, sizeof *all);
    sl_stacks_init(all);
    all->main = sl_mainthread(L);
    all->gc_restarts = sl_hook_restartsgc();
    push_class(L, threads_gc);
    lua_setmetatable(L, -2);
    threads_makevalues(L, all);
    return all;
}

sl_threads *sl_threads_get(lua_State *L)
{
    sl_threads *all = sl_thread_all(L);
    if (all == NULL) {
        all = threads_new(L);
        sl_thread_setall(L);    /* pops it */
    }
    return all;
}
