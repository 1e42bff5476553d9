/*
 * loop.c - making and unmaking a loop, and what becomes of it in a child of
 * fork(2). See loop.h.
 */

#include "loop/loop.h"

#include "loop/interrupt.h"
#include "thread/anchor.h"
#include "thread/threads.h"

#include <stdlib.h>
#include <string.h>

int sl_loop_isclosed(lua_State *L)
{
    return luaL_error(L, "socketloop: the loop is closed");
}

void sl_loop_env(lua_State *L, int which)
{
    sl_getuservalue(L, lua_upvalueindex(1));
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
}

void sl_loop_addpart(sl_loop *loop, const sl_part *part)
{
    for (int i = 0; i < loop->part_count; i++)
        if (loop->parts[i] == part)
            return;
    loop->parts[loop->part_count++] = part;
}

/* --- after a fork ------------------------------------------------------ */

/* 0 or how a part failed. The parts before that one have restarted, and do
 * nothing when this is called again. */
static int restart_parts(sl_loop *loop)
{
    int err = 0;
    for (int i = 0; err == 0 && i < loop->part_count; i++)
        if (loop->parts[i]->restart != NULL)
            err = loop->parts[i]->restart(loop);
    return err;
}

int sl_loop_afterfork(sl_loop *loop)
{
    void *poller;
    int err = loop->type->open(&poller);
    if (err != 0)
        return err;
    err = restart_parts(loop);
    if (err != 0) {
        loop->type->close(poller);
        return err;
    }
    if (loop->type->is_inherited)
        loop->type->close(loop->poller);
    loop->poller = poller;
    loop->forks = sl_process_forks;
    loop->event = loop->event_count = 0;
    for (int i = 0; i < loop->part_count; i++)
        if (loop->parts[i]->restarted != NULL)
            loop->parts[i]->restarted(loop);
    return 0;
}

/* --- making and unmaking ----------------------------------------------- */

static int loop_gc(lua_State *L)
{
    sl_loop *loop = lua_touserdata(L, 1);
    if (loop->closed)
        return 0;
    for (int i = 0; i < loop->part_count; i++)
        if (loop->parts[i]->free != NULL)
            loop->parts[i]->free(loop);
    /* The parts' functions use the poller and the timers, which are freed
     * below. */
    loop->closed = 1;
    if (loop->type != NULL &&
        (loop->type->is_inherited || !sl_loop_isforked(loop)))
        loop->type->close(loop->poller);
    sl_timers_free(&loop->timers);
    free(loop->sources);
    free(loop->events);
    sl_scratch_free(&loop->scratch);
    sl_threads_forgetloop(loop->threads, loop);
    return 0;
}

/* [-0, +0, m] Makes the table of the loop on the top. */
static void make_env(lua_State *L)
{
    lua_createtable(L, SL_ENV_WATCHERS, 0);
    sl_anchor_newweak(L, "kv");
    lua_rawseti(L, -2, SL_ENV_WRAPPERS);
    lua_newtable(L);
    lua_rawseti(L, -2, SL_ENV_FAILURES);
    sl_anchor_newweak(L, "kv");
    lua_rawseti(L, -2, SL_ENV_GUARDED);
    sl_setuservalue(L, -2);
}

sl_loop *sl_loop_new(lua_State *L, const sl_poller_type *type,
                     void (*failed)(lua_State *L, int thread))
{
    sl_threads *threads = sl_threads_get(L);
    sl_loop *loop = sl_newuserdata(L, sizeof *loop);
    memset(loop, 0, sizeof *loop);
    loop->threads = threads;
    loop->failed = failed;
    loop->forks = sl_process_forks;
    loop->has_sigint = sl_interrupt_handled();
    sl_timers_init(&loop->timers);
    sl_reclaim_init(&loop->reclaim);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, loop_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    make_env(L);
    loop->events = malloc(SL_EVENTS_MAX * sizeof *loop->events);
    if (loop->events == NULL || sl_scratch_init(&loop->scratch) != 0)
        luaL_error(L, "not enough memory");
    int err;
    do
        err = type->open(&loop->poller);
    while (sl_reclaim_retry(L, &loop->reclaim, err));
    if (err != 0)
        luaL_error(L, "%s: %s", type->name, strerror(err));
    loop->type = type;
    return loop;
}
