/*
 * record.c - see record.h.
 *
 * Each record has two slots (anchor.h): for the coroutine, and for the value
 * of its return target. Slots are made many at once, and live as long as the
 * threads' userdata, whose user value is a list of their coroutines.
 */

#include "thread/record.h"

#include "thread/hold.h"
#include "thread/hook.h"

#include <stdlib.h>

enum {
    DEPTH_MAX = 195,     /* of threads that run one another */
    SLOTS_MIN = 16,      /* slots made at once: as many as exist, */
    SLOTS_MAX = 1024     /* within these limits */
};

/* [-0, +0, e] Makes more slots. */
static void slots_make(lua_State *L, sl_threads *all)
{
    int n = all->slots < SLOTS_MIN ? SLOTS_MIN
          : all->slots < SLOTS_MAX ? all->slots : SLOTS_MAX;
    sl_thread_pushall(L);
    sl_getuservalue(L, -1);
    lua_State *anchors = sl_anchors_new(L, n);
    lua_rawseti(L, -2, (int)sl_rawlen(L, -2) + 1);    /* list[#list + 1] */
    all->anchors = anchors;
    all->next_slot = 1;
    all->slots += n;
    all->slots_left = n;
    lua_pop(L, 2);
}

/* [-0, +0, e] Makes an unused record with two slots. */
static void record_make(lua_State *L, sl_threads *all)
{
    if (all->slots_left == 0)
        slots_make(L, all);
    sl_thread *t = calloc(1, sizeof *t);
    if (t == NULL)
        luaL_error(L, "not enough memory");
    t->all = all;
    t->anchors = all->anchors;
    t->slot = all->next_slot;
    all->next_slot += 2;
    all->slots_left -= 2;
    t->next_record = all->records;
    all->records = t;
    /* The first light userdata in a segment of addresses may need memory in
     * LuaJIT. A wait yields this one where nothing may raise. */
    lua_pushlightuserdata(L, t);
    lua_pop(L, 1);
    sl_state_free(t);
}

/* Each step may run finalizers, which may take what a former step has made. In
 * LuaJIT a collection may also shrink the stack of co. So everything is checked
 * again. */
void sl_record_make(lua_State *L, sl_threads *all, lua_State *co, int n)
{
    do {
        if (all->closed)
            luaL_error(L, SL_STATE_CLOSED);
        if (all->free == NULL)
            record_make(L, all);
        if (!sl_stacks_isreserved(all))
            sl_stacks_reserve(L, all);
        if (!sl_thread_makeroom(L, all, co, n))
            luaL_error(L, "too many values");
    } while (!sl_record_isreserved(all));
}

sl_thread *sl_record_take(lua_State *L, sl_threads *all, void *loop)
{
    if (all->closed)
        luaL_error(L, SL_STATE_CLOSED);
    if (all->running != NULL && all->running->depth >= DEPTH_MAX)
        luaL_error(L, "C stack overflow: too many threads that run threads");
    if (all->free == NULL)
        record_make(L, all);
    sl_thread *t = all->free;
    all->free = t->next_free;
    t->co = lua_tothread(L, -1);
    t->stack = L;
    t->index = lua_gettop(L);
    t->anchored = 0;
    t->state = SL_RUNNING;
    t->return_to = SL_RETURN_TO_RUNNER;
    t->fiber = NULL;
    t->holder = NULL;
    t->on_bypassed = NULL;
    t->guest_in = NULL;
    t->loop = loop;
    t->wait = NULL;
    t->spent = 0;
    t->hook = SL_HOOK_OFF;
    return t;
}

sl_thread *sl_record_acquire(lua_State *L, sl_threads *all, void *loop)
{
    sl_thread *t = sl_record_take(L, all, loop);
    sl_anchor_set(L, t->anchors, t->slot);
    t->anchored = 1;
    return t;
}

void sl_record_anchor(lua_State *L, sl_thread *t)
{
    if (t->anchored)
        return;
    sl_thread_push(L, t);
    sl_anchor_set(L, t->anchors, t->slot);
    t->anchored = 1;
}

void sl_record_release(lua_State *L, sl_thread *t)
{
    if (t->holder != NULL)
        sl_hold_forget(L, t);
    if (t->anchored)
        sl_hold_clearslot(t);
    sl_target_clearvalue(t);
    sl_state_givefiber(t);
    sl_state_free(t);
}
