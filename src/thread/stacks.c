/*
 * stacks.c - see stacks.h.
 */

#include "thread/stacks.h"

enum {
    COLLECT_MIN = 1024,    /* fewer stacks in use never cause a collection */
    STACK_KIB = 8          /* roughly the memory of a stack in use */
};

void sl_stacks_init(sl_threads *all)
{
    sl_fibers_init(&all->fibers, SL_STACK_SIZE);
    all->stacks_limit = COLLECT_MIN;
}

/* [-0, +0, e] Collects the stacks of abandoned threads. The next collection is
 * due when the stacks in use have doubled and take as much memory as all of
 * Lua's objects. */
static void stacks_collect(lua_State *L, sl_threads *all)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    size_t used = all->fibers.count - all->fibers.idle_count;
    size_t affordable = (size_t)lua_gc(L, LUA_GCCOUNT, 0) / STACK_KIB;
    all->stacks_limit = 2 * used > affordable ? 2 * used : affordable;
    if (all->stacks_limit < COLLECT_MIN)
        all->stacks_limit = COLLECT_MIN;
}

static void stacks_raise(lua_State *L, sl_threads *all)
{
    sl_thread_sync_vm(L, all);
    luaL_error(L, "not enough memory for another C stack of %d KiB: "
               "raise the limits ('ulimit -v', vm.max_map_count), or "
               "build socketloop with a smaller SL_STACK_SIZE",
               (int)(SL_STACK_SIZE / 1024));
}

void sl_stacks_reserve(lua_State *L, sl_threads *all)
{
    if (all->fibers.count >= all->stacks_limit)
        stacks_collect(L, all);
    if (sl_fibers_reserve(&all->fibers) == 0)
        return;
    stacks_collect(L, all);
    if (sl_fibers_reserve(&all->fibers) != 0)
        stacks_raise(L, all);
}
