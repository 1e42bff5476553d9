/*
 * watch.c - waiting for any of many descriptors, and asking which are ready.
 *
 * A descriptor that no socket of the loop owns is told to the poller when it
 * is watched and forgotten afterwards: we could not know when it is closed.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/watch.h"

#include "loop/result.h"
#include "loop/source.h"
#include "loop/operation.h"
#include "os/error.h"
#include "os/fd.h"
#include "thread/arg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sl_watcher {
    sl_source self;       /* has no descriptor; its reader is the wait */
    sl_watch *watches;    /* owned array */
    int count, size;
    int fired;            /* one of them was told */
    int lost;             /* whose descriptor is gone */
};

/* --- lists of descriptors ---------------------------------------------- */

/* The number at index. */
static int check_descriptor(lua_State *L, int index)
{
    int fd;
    if (!sl_arg_toint(lua_tonumber(L, index), &fd))
        luaL_error(L, "descriptor out of range");
    return fd;
}

/* The arguments are numbers, arrays of numbers, or nil for none. */
static int count_descriptors(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return 0;
    if (lua_isnumber(L, index)) {
        check_descriptor(L, index);
        return 1;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (int n = 0;; n++) {
        lua_rawgeti(L, index, n + 1);
        int is_number = lua_isnumber(L, -1);
        if (is_number)
            check_descriptor(L, -1);
        lua_pop(L, 1);
        if (!is_number)
            return n;
    }
}

static int descriptor_at(lua_State *L, int index, int i)
{
    if (!lua_istable(L, index))
        return check_descriptor(L, index);
    lua_rawgeti(L, index, i + 1);
    int fd = check_descriptor(L, -1);
    lua_pop(L, 1);
    return fd;
}

/* --- watchers ---------------------------------------------------------- */

static sl_watcher *check_watcher(lua_State *L)
{
    sl_loop_check(L);
    int is_watcher = lua_getmetatable(L, 1) &&
                     lua_rawequal(L, -1, lua_upvalueindex(2));
    luaL_argcheck(L, is_watcher, 1, "watcher expected");
    return lua_touserdata(L, 1);
}

static void unwatch(sl_watcher *w)
{
    for (int i = 0; i < w->count; i++)
        sl_source_unwatch(&w->watches[i]);
    w->count = 0;
}

static void told(sl_watch *watch)
{
    sl_watcher *w = watch->owner;
    w->fired = 1;
    w->lost |= watch->lost;
    sl_wait_finish(&w->self.reader, 0);
}

static int reserve(sl_watcher *w, int size)
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
static int watch_one(sl_watcher *w, int fd, unsigned interest)
{
    sl_watch *watch = &w->watches[w->count++];
    *watch = (sl_watch){NULL, NULL, NULL, interest, told, w, 0};
    return fd < 0 ? EBADF : sl_source_watch(w->self.loop, fd, watch);
}

/* Watches the descriptors of the argument at index. 0 or how it failed. */
static int watch_all(lua_State *L, sl_watcher *w, int index, int n,
                     unsigned interest)
{
    for (int i = 0; i < n; i++) {
        int err = watch_one(w, descriptor_at(L, index, i), interest);
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

/* Ends the last wait; 0 or ENOMEM: there's no room for so many. */
static int begin(sl_watcher *w, int count)
{
    unwatch(w);
    w->fired = w->lost = 0;
    return reserve(w, count);
}

/* true if something happened, false if the time is over; nil, error */
static int watch_results(lua_State *L, sl_wait *wait)
{
    unwatch((sl_watcher *)sl_source_of(wait));
    if (wait->status != 0 && wait->status != SL_TIMEOUT)
        return sl_result_fail(L, wait->status);
    lua_pushboolean(L, wait->status == 0);
    return 1;
}

static const sl_operation watching = {try_watching, watch_results};

/* wait(seconds, reads, writes) -> whether one of the descriptors became
 * ready, or may have; or nil, error. Seconds negative: no limit. */
static int meth_wait(lua_State *L)
{
    sl_watcher *w = check_watcher(L);
    double seconds = sl_arg_seconds(L, 2);
    int reads = count_descriptors(L, 3);
    int writes = count_descriptors(L, 4);
    sl_operation_check(L, &w->self.reader, "wait");
    int err = begin(w, reads + writes);
    if (err == 0)
        err = watch_all(L, w, 3, reads, SL_READABLE);
    if (err == 0)
        err = watch_all(L, w, 4, writes, SL_WRITABLE);
    if (err != 0) {
        unwatch(w);
        return sl_result_fail(L, err);
    }
    return sl_operation_run(L, &w->self.reader, &watching, seconds, -1);
}

/* waits() -> whether a thread waits with it */
static int meth_waits(lua_State *L)
{
    sl_watcher *w = check_watcher(L);
    lua_pushboolean(L, sl_operation_occupied(L, &w->self.reader));
    return 1;
}

/* left() -> whether the last wait ended without being over, as somebody else
 * resumed the coroutine */
static int meth_left(lua_State *L)
{
    sl_watcher *w = check_watcher(L);
    int has_left = w->self.reader.thread != NULL &&
                   !sl_operation_occupied(L, &w->self.reader);
    if (has_left)
        unwatch(w);
    lua_pushboolean(L, has_left);
    return 1;
}

/* wake(): who waits with it looks again */
static int meth_wake(lua_State *L)
{
    sl_watcher *w = check_watcher(L);
    w->fired = 1;
    sl_wait_finish(&w->self.reader, 0);
    return 0;
}

static int meth_gc(lua_State *L)
{
    sl_watcher *w = lua_touserdata(L, 1);
    unwatch(w);
    sl_source_free(&w->self);
    free(w->watches);
    w->watches = NULL;
    w->size = 0;
    return 0;
}

static const luaL_Reg methods[] = {
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

/* [-0, +1, m] Makes such a function for the loop at index. The class and its
 * finalizer are out of a program's reach: they trust what they are given. */
static void new_maker(lua_State *L, int loop)
{
    lua_pushvalue(L, loop);
    lua_newtable(L);                 /* loop class */
    lua_newtable(L);                 /* loop class methods */
    lua_pushvalue(L, loop);
    lua_pushvalue(L, -3);
    sl_setfuncs(L, methods, 2);
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
        new_maker(L, loop);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, SL_ENV_WATCHERS);
    }
    lua_remove(L, -2);
}

/* --- for straight-line C ----------------------------------------------- */

sl_watcher *sl_watcher_push(lua_State *L)
{
    sl_watcher_pushmaker(L);
    lua_call(L, 0, 1);
    return lua_touserdata(L, -1);
}

int sl_watcher_block(lua_State *L, sl_watcher *w, int fd, unsigned interest,
                     double seconds)
{
    int err = begin(w, 1);
    if (err == 0)
        err = watch_one(w, fd, interest);
    if (err == 0)
        err = sl_operation_block(L, &w->self.reader, &watching, seconds);
    unwatch(w);
    return w->lost ? SL_CLOSED : err;
}

/* --- asking ------------------------------------------------------------ */

static void fill(lua_State *L, struct pollfd *set, int index, int n,
                 short events)
{
    for (int i = 0; i < n; i++)
        set[i] = (struct pollfd){descriptor_at(L, index, i), events, 0};
}

/* [-0, +1, m] Pushes an array of booleans: which of them are ready. */
static void push_ready(lua_State *L, const struct pollfd *set, int n)
{
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushboolean(L, set[i].revents != 0);
        lua_rawseti(L, -2, i + 1);
    }
}

/* ready(reads, writes) -> how many descriptors are ready now, and two arrays
 * that say which */
int sl_watch_ready(lua_State *L)
{
    int reads = count_descriptors(L, 1);
    int writes = count_descriptors(L, 2);
    int count = reads + writes;
    struct pollfd *set = lua_newuserdata(L, (size_t)(count + 1) * sizeof *set);
    fill(L, set, 1, reads, POLLIN);
    fill(L, set + reads, 2, writes, POLLOUT);
    int n = sl_fd_poll(set, (size_t)count);
    if (n < 0)
        return luaL_error(L, "poll: %s", strerror(errno));
    lua_pushinteger(L, n);
    push_ready(L, set, reads);
    push_ready(L, set + reads, writes);
    return 3;
}
