/*
 * watcher.c - watchers, as Lua objects and for C functions on fibers. See
 * watcher.h.
 *
 * A descriptor without an owner in the loop is registered with the poller only
 * while it is watched. Registered for longer, it could be closed without
 * notice.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/watcher.h"

#include "loop/operation.h"
#include "loop/result.h"
#include "loop/watch.h"
#include "os/error.h"
#include "thread/arg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sl_watcher {
    sl_source self;       /* has no descriptor; its reader is the wait */
    sl_watch *watches;    /* owned array */
    int count, size;
    int fired;            /* a watch was notified */
    int lost;             /* a watched descriptor is gone */
};

/* --- watches ----------------------------------------------------------- */

static sl_watcher *watcher_check(lua_State *L)
{
    sl_loop_check(L);
    int is_watcher = lua_getmetatable(L, 1) &&
                     lua_rawequal(L, -1, lua_upvalueindex(2));
    luaL_argcheck(L, is_watcher, 1, "watcher expected");
    return lua_touserdata(L, 1);
}

static void watcher_unwatch(sl_watcher *w)
{
    for (int i = 0; i < w->count; i++)
        sl_source_unwatch(&w->watches[i]);
    w->count = 0;
}

static void watch_ready(sl_watch *watch)
{
    sl_watcher *w = watch->owner;
    w->fired = 1;
    w->lost |= watch->lost;
    sl_wait_finish(&w->self.reader, 0);
}

static int watcher_reserve(sl_watcher *w, int size)
{
    if (size <= w->size)
        return 0;
    sl_watch *watches = realloc(w->watches, (size_t)size * sizeof *watches);
    if (watches == NULL)
        return ENOMEM;
    w->watches = watches;
    w->size = size;
    return 0;
}

/* Watches one more descriptor; 0 or how it failed. */
static int watcher_add(sl_watcher *w, int fd, unsigned interest)
{
    sl_watch *watch = &w->watches[w->count++];
    *watch = (sl_watch){NULL, NULL, NULL, interest, watch_ready, w, 0};
    return fd < 0 ? EBADF : sl_source_watch(w->self.loop, fd, watch);
}

/* Watches the descriptors of the argument at index. 0 or how it failed. */
static int watcher_addall(lua_State *L, sl_watcher *w, int index, int n,
                          unsigned interest)
{
    for (int i = 0; i < n; i++) {
        int err = watcher_add(w, sl_watch_descriptor(L, index, i), interest);
        if (err == EPERM || err == EBADF)    /* epoll refuses files, which are
                                                always ready */
            w->fired = 1;
        else if (err != 0)
            return err;
    }
    return 0;
}

static int try_watching(lua_State *L, sl_source *source)
{
    (void)L;
    return ((sl_watcher *)source)->fired ? 0 : SL_AGAIN;
}

/* Removes the watches of the last wait and makes room for `count` new ones. 0
 * or ENOMEM. */
static int watcher_begin(sl_watcher *w, int count)
{
    watcher_unwatch(w);
    w->fired = w->lost = 0;
    return watcher_reserve(w, count);
}

/* Results: true if a watch was notified, false after a timeout; or nil,
 * error. */
static int watch_results(lua_State *L, sl_wait *wait)
{
    watcher_unwatch((sl_watcher *)sl_source_of(wait));
    if (wait->status != 0 && wait->status != SL_TIMEOUT)
        return sl_result_fail(L, wait->status);
    lua_pushboolean(L, wait->status == 0);
    return 1;
}

static const sl_operation watching = {try_watching, watch_results};

/* wait(seconds, reads, writes) -> true if a descriptor may be ready, false
 * after a timeout; or nil, error. Negative seconds: no limit. */
static int meth_wait(lua_State *L)
{
    sl_watcher *w = watcher_check(L);
    double seconds = sl_arg_seconds(L, 2);
    int reads = sl_watch_count(L, 3);
    int writes = sl_watch_count(L, 4);
    sl_operation_check(L, &w->self.reader, "wait");
    int err = watcher_begin(w, reads + writes);
    if (err == 0)
        err = watcher_addall(L, w, 3, reads, SL_READABLE);
    if (err == 0)
        err = watcher_addall(L, w, 4, writes, SL_WRITABLE);
    if (err != 0) {
        watcher_unwatch(w);
        return sl_result_fail(L, err);
    }
    return sl_operation_run(L, &w->self.reader, &watching, seconds, -1);
}

/* waits() -> whether a thread waits with this watcher */
static int meth_waits(lua_State *L)
{
    sl_watcher *w = watcher_check(L);
    lua_pushboolean(L, sl_operation_occupied(L, &w->self.reader));
    return 1;
}

/* left() -> whether the thread has left the last wait without notice, as when
 * its coroutine was resumed by other means */
static int meth_left(lua_State *L)
{
    sl_watcher *w = watcher_check(L);
    int has_left = w->self.reader.thread != NULL &&
                   !sl_operation_occupied(L, &w->self.reader);
    if (has_left)
        watcher_unwatch(w);
    lua_pushboolean(L, has_left);
    return 1;
}

/* wake(): ends the wait of the thread that waits with this watcher */
static int meth_wake(lua_State *L)
{
    sl_watcher *w = watcher_check(L);
    w->fired = 1;
    sl_wait_finish(&w->self.reader, 0);
    return 0;
}

static int meth_gc(lua_State *L)
{
    sl_watcher *w = lua_touserdata(L, 1);
    watcher_unwatch(w);
    sl_source_free(&w->self);
    free(w->watches);
    w->watches = NULL;
    w->size = 0;
    return 0;
}

static const luaL_Reg watcher_methods[] = {
    {"left", meth_left},
    {"wait", meth_wait},
    {"waits", meth_waits},
    {"wake", meth_wake},
    {NULL, NULL}
};

/* Upvalues: loop, the class of watchers. */
static int func_watcher(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    sl_watcher *w = lua_newuserdata(L, sizeof *w);
    memset(w, 0, sizeof *w);
    sl_source_init(&w->self, loop, SL_SOURCE_WATCHER);
    w->self.reader.interest = 0;
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setmetatable(L, -2);
    return 1;
}

/* [-0, +1, m] Pushes a func_watcher for the loop at index. Programs cannot
 * reach the class and its finalizer, so these do not check their arguments. */
static void push_newmaker(lua_State *L, int loop)
{
    lua_pushvalue(L, loop);
    lua_newtable(L);                 /* loop class */
    lua_newtable(L);                 /* loop class methods */
    lua_pushvalue(L, loop);
    lua_pushvalue(L, -3);
    sl_setfuncs(L, watcher_methods, 2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, meth_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushliteral(L, "socketloop_watcher");
    lua_setfield(L, -2, "__metatable");
    lua_pushcclosure(L, func_watcher, 2);
}

void sl_watcher_pushmaker(lua_State *L)
{
    int loop = lua_gettop(L);
    sl_getuservalue(L, loop);
    lua_rawgeti(L, -1, SL_ENV_WATCHERS);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        push_newmaker(L, loop);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, SL_ENV_WATCHERS);
    }
    lua_remove(L, -2);
}

/* --- for C functions on fibers ----------------------------------------- */

sl_watcher *sl_watcher_push(lua_State *L)
{
    sl_watcher_pushmaker(L);
    lua_call(L, 0, 1);
    return lua_touserdata(L, -1);
}

int sl_watcher_block(lua_State *L, sl_watcher *w, int fd, unsigned interest,
                     double seconds)
{
    int err = watcher_begin(w, 1);
    if (err == 0)
        err = watcher_add(w, fd, interest);
    if (err == 0)
        err = sl_operation_block(L, &w->self.reader, &watching, seconds);
    watcher_unwatch(w);
    return w->lost ? SL_CLOSED : err;
}
