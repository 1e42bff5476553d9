/*
 * thread.c - runs Lua threads on fibers. See thread.h for the states.
 *
 * Two registry tables: the anchors (slot -> coroutine, or false), and the
 * stopped ones (weak keys: coroutine -> how to find its record):
 *
 *   frozen in suspend()  -> a userdata that gives the stack back when the
 *                           coroutine is collected;
 *   adopted, waiting     -> a table with the record and the arguments of the
 *                           C function that yielded.
 */

#include "thread.h"

#include <stdlib.h>
#include <string.h>

static const char threads_key = 0;    /* its address is the registry key */

enum {
    DEPTH_MAX = 160,    /* threads that start threads that start ... */
    FREE_SLOTS = LUA_MINSTACK    /* on every stopped coroutine */
};

/* What the stopped table holds for a thread frozen in suspend(). */
typedef struct holder {
    sl_threads *all;      /* borrowed */
    sl_thread *thread;    /* owned, until somebody resumes it */
} holder;

/* --- records ----------------------------------------------------------- */

/* [-1, +0, m] anchors[slot] = the value on the top. */
static void set_anchor(lua_State *L, sl_thread *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->all->anchors);
    lua_insert(L, -2);
    lua_rawseti(L, -2, t->slot);
    lua_pop(L, 1);
}

static void clear_anchor(lua_State *L, sl_thread *t)
{
    lua_pushboolean(L, 0);
    set_anchor(L, t);
}

/* A record with its slot in the anchors made. */
static sl_thread *new_record(lua_State *L, sl_threads *all)
{
    sl_thread *t = calloc(1, sizeof *t);
    if (t == NULL)
        luaL_error(L, "not enough memory");
    t->all = all;
    t->slot = ++all->count;
    t->next_record = all->records;
    all->records = t;
    t->next_free = all->free;
    all->free = t;
    clear_anchor(L, t);
    return t;
}

static void free_record(sl_thread *t)
{
    t->next_free = t->all->free;
    t->all->free = t;
}

/* The coroutine at index gets a record, running on behalf of loop. */
static sl_thread *acquire(lua_State *L, sl_threads *all, int index, void *loop)
{
    if (all->closed)
        luaL_error(L, "socketloop: the Lua state is being closed");
    if (all->running != NULL && all->running->depth >= DEPTH_MAX)
        luaL_error(L, "C stack overflow: too many threads that run threads");
    sl_thread *t = all->free != NULL ? all->free : new_record(L, all);
    lua_pushvalue(L, index);
    set_anchor(L, t);
    all->free = t->next_free;
    t->co = t->at = lua_tothread(L, index);
    t->state = SL_RUNNING;
    t->fiber = NULL;
    t->adopted = NULL;
    t->loop = loop;
    t->wait = NULL;
    t->spent = 0;
    return t;
}

static void release(lua_State *L, sl_thread *t)
{
    clear_anchor(L, t);
    free_record(t);
}

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

void sl_thread_settle(lua_State *L, sl_threads *all)
{
    if (SL_LUAJIT) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, all->nothing);
        lua_call(L, 0, 0);
    }
}

/* --- running ------------------------------------------------------------- */

static void resume_on_fiber(void *arg)
{
    sl_thread *t = arg;
    t->status = sl_resume(t->co, t->from, t->nargs, &t->nresults);
}

/* [-0, +3, m] Buries a failed thread: pushes it, its error, a traceback. */
static void bury(lua_State *L, sl_thread *t)
{
    lua_State *co = t->co;
    sl_thread_settle(L, t->all);
    sl_thread_push(L, t);
    release(L, t);
    lua_xmove(co, L, 1);
    sl_traceback(L, co);
    sl_reset(co);
}

int sl_thread_run(lua_State *L, sl_thread *t)
{
    sl_threads *all = t->all;
    t->resumer = all->running;
    t->depth = t->resumer != NULL ? t->resumer->depth + 1 : 1;
    t->state = SL_RUNNING;
    t->from = L;
    all->running = t;
    int frozen = sl_fiber_run(t->fiber, resume_on_fiber, t);
    all->running = t->resumer;
    if (frozen)
        return 0;
    sl_fiber_give(&all->fibers, t->fiber);
    t->fiber = NULL;
    if (t->status == LUA_YIELD) {
        if (t->state == SL_WAITING)
            return 0;
        lua_pop(t->co, t->nresults);
    } else if (t->status == LUA_OK) {
        lua_settop(t->co, 0);
    } else {
        bury(L, t);
        return 1;
    }
    release(L, t);
    return 0;
}

static void take_fiber(lua_State *L, sl_thread *t)
{
    t->fiber = sl_fiber_take(&t->all->fibers);
    if (t->fiber == NULL) {
        release(L, t);
        luaL_error(L, "not enough memory for a C stack");
    }
}

/* Makes room for n values on a stopped coroutine, if it can be had. */
static int has_room(lua_State *co, int n)
{
    return n < FREE_SLOTS || lua_checkstack(co, n);
}

int sl_thread_start(lua_State *L, sl_threads *all, int nargs, void *loop)
{
    luaL_checkstack(L, 5, "too many arguments");
    lua_State *co = lua_newthread(L);
    lua_insert(L, -(nargs + 2));
    if (!has_room(co, nargs + 1))
        luaL_error(L, "too many arguments");
    sl_thread *t = acquire(L, all, lua_gettop(L) - nargs - 1, loop);
    take_fiber(L, t);
    lua_xmove(L, co, nargs + 1);
    t->nargs = nargs;
    int failed = sl_thread_run(L, t);
    if (failed)
        lua_remove(L, -4);    /* the failure brings the thread, too */
    return failed;
}

/* --- waiting --------------------------------------------------------------- */

void sl_thread_check(lua_State *L, sl_threads *all, const char *what)
{
    if (all->running == NULL && sl_cannotyield(L))
        luaL_error(L, "%s must be called from a loop thread (see newthread)",
                   what);
}

sl_thread *sl_thread_current(lua_State *L, sl_threads *all)
{
    if (all->running != NULL)
        return all->running;
    lua_pushthread(L);
    sl_thread *t = acquire(L, all, lua_gettop(L), NULL);
    lua_pop(L, 1);
    return t;
}

/* The C function in which a coroutine is. */
static lua_CFunction innermost(lua_State *co)
{
    lua_Debug where;
    if (!lua_getstack(co, 0, &where) || !lua_getinfo(co, "f", &where))
        return NULL;
    lua_CFunction function = lua_tocfunction(co, -1);
    lua_pop(co, 1);
    return function;
}

/* stopped[co] = {record, arguments...}: nobody else may look at the values
 * that an adopted coroutine yields, as its resumer gets them. */
static int yield_to_user(lua_State *L, sl_thread *t)
{
    int n = lua_gettop(L);
    luaL_checkstack(L, 4, "too many arguments");
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->all->stopped);
    lua_pushthread(L);
    lua_createtable(L, n + 1, 0);
    lua_pushlightuserdata(L, t);
    lua_rawseti(L, -2, 1);
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_rawset(L, -3);
    t->adopted = innermost(L);
    return lua_yield(L, 0);
}

int sl_thread_wait(lua_State *L, sl_thread *t, sl_thread_results results,
                   void *arg)
{
    t->results = results;
    t->results_arg = arg;
    t->state = SL_WAITING;
    t->at = L;
    if (t->fiber == NULL)
        return yield_to_user(L, t);
    if (L == t->co && sl_isyieldable(L)) {
        /* All of the arguments stay on the stack, so they stay alive; the
         * record above them marks the wait. */
        lua_pushlightuserdata(L, t);
        return lua_yield(L, lua_gettop(L));
    }
    sl_fiber_freeze(t->fiber);
    sl_thread_settle(L, t->all);
    return results(L, arg);
}

void sl_thread_freeze(lua_State *L, sl_thread *t)
{
    t->state = SL_WAITING;
    sl_fiber_freeze(t->fiber);
    sl_thread_settle(L, t->all);
}

/* [-0, +1, -] Pushes stopped[the coroutine on the top]. */
static void get_stopped(lua_State *L, sl_threads *all)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, all->stopped);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

/* [-0, +0, m] Forgets what get_stopped gives for the coroutine on the top. */
static void clear_stopped(lua_State *L, sl_threads *all)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, all->stopped);
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Whether an adopted coroutine is still in the wait it yielded from. */
static int adopted_waits(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    get_stopped(L, t->all);
    int waits = lua_istable(L, -1);
    if (waits) {
        lua_rawgeti(L, -1, 1);
        waits = lua_touserdata(L, -1) == t && innermost(t->co) == t->adopted;
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return waits;
}

/* An adopted coroutine becomes one of ours. */
static void own(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    clear_stopped(L, t->all);
    lua_pop(L, 1);
    t->adopted = NULL;
}

int sl_thread_waits(lua_State *L, sl_thread *t)
{
    if (t->fiber != NULL)
        return 1;
    if (lua_status(t->co) != LUA_YIELD)
        return 0;
    if (t->adopted != NULL)
        return adopted_waits(L, t);
    return lua_gettop(t->co) > 0 && lua_touserdata(t->co, -1) == t;
}

int sl_thread_prepare(lua_State *L, sl_thread *t)
{
    if (t->fiber != NULL)
        return 1;
    if (!sl_thread_waits(L, t)) {
        release(L, t);
        return 0;
    }
    if (sl_fibers_reserve(&t->all->fibers) != 0)
        luaL_error(L, "not enough memory for a C stack");
    int n = t->results(L, t->results_arg);
    t->fiber = sl_fiber_take(&t->all->fibers);
    if (t->adopted != NULL)
        own(L, t);
    lua_settop(t->co, 0);
    lua_xmove(L, t->co, n);
    t->nargs = n;
    return 1;
}

/* --- suspending ------------------------------------------------------------ */

/* Called when a coroutine frozen in suspend() is collected. */
static int holder_gc(lua_State *L)
{
    holder *h = lua_touserdata(L, 1);
    sl_thread *t = h->thread;
    if (t != NULL && !h->all->closed) {
        sl_fiber_give(&h->all->fibers, t->fiber);
        t->fiber = NULL;
        free_record(t);
    }
    h->thread = NULL;
    return 0;
}

/* [-0, +0, m] stopped[t's coroutine] = a holder of t. */
static void hold(lua_State *L, sl_thread *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->all->stopped);
    sl_thread_push(L, t);
    holder *h = sl_newuserdata(L, sizeof *h);
    h->all = t->all;
    h->thread = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, holder_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    h->thread = t;
}

/* What resume() passed lies on its caller's stack. */
static int resumed_with(lua_State *L, sl_thread *t)
{
    luaL_checkstack(L, t->nargs, "too many arguments to resume");
    lua_xmove(t->from, L, t->nargs);
    return t->nargs;
}

int sl_thread_suspend(lua_State *L, sl_threads *all)
{
    sl_thread *t = all->running;
    lua_settop(L, 0);
    if (t == NULL || (L == t->co && sl_isyieldable(L)))
        return lua_yield(L, 0);
    hold(L, t);
    clear_anchor(L, t);
    t->state = SL_SUSPENDED;
    sl_fiber_freeze(t->fiber);
    sl_thread_settle(L, all);
    return resumed_with(L, t);
}

/* Takes the thread at index 1 out of its holder, if it is in one. */
static sl_thread *unhold(lua_State *L, sl_threads *all)
{
    sl_thread *t = NULL;
    lua_pushvalue(L, 1);
    get_stopped(L, all);
    if (lua_type(L, -1) == LUA_TUSERDATA) {
        holder *h = lua_touserdata(L, -1);
        t = h->thread;
        h->thread = NULL;
    }
    lua_pop(L, 1);
    if (t != NULL) {
        clear_stopped(L, all);
        lua_pushvalue(L, 1);
        set_anchor(L, t);
    }
    lua_pop(L, 1);
    return t;
}

/* Whether the coroutine at index 1 is anchored by a record. */
static int is_anchored(lua_State *L, sl_threads *all)
{
    int found = 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, all->anchors);
    for (int slot = 1; slot <= all->count && !found; slot++) {
        lua_rawgeti(L, -1, slot);
        found = lua_rawequal(L, -1, 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return found;
}

static int resume_error(lua_State *L, sl_threads *all)
{
    lua_State *co = lua_tothread(L, 1);
    for (sl_thread *t = all->running; t != NULL; t = t->resumer)
        if (t->co == co)
            return luaL_error(L, "trying to resume the running thread");
    if (co == L)
        return luaL_error(L, "trying to resume the running thread");
    if (is_anchored(L, all))
        return luaL_error(L, "trying to resume a thread that waits in I/O or "
                             "sleep; resume is for those in suspend()");
    lua_Debug unused;
    if (lua_status(co) <= LUA_YIELD && lua_getstack(co, 0, &unused))
        return luaL_error(L, "trying to resume a thread that is not "
                             "suspended");
    return luaL_error(L, "cannot resume dead thread");
}

/* Whether a coroutine can be resumed by lua_resume: it has not begun, or
 * has yielded and not in one of our waits. */
static int is_resumable(lua_State *L, sl_threads *all)
{
    lua_State *co = lua_tothread(L, 1);
    lua_Debug unused;
    if (lua_status(co) == LUA_YIELD) {
        lua_pushvalue(L, 1);
        get_stopped(L, all);
        int adopted = lua_istable(L, -1);
        lua_pop(L, 2);
        return !adopted && (lua_gettop(co) == 0 ||
                            lua_type(co, -1) != LUA_TLIGHTUSERDATA);
    }
    return lua_status(co) == LUA_OK && lua_gettop(co) > 0 &&
           !lua_getstack(co, 0, &unused);
}

int sl_thread_resume(lua_State *L, sl_threads *all, int nargs, void *loop)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_checkstack(L, 5, "too many arguments");
    sl_thread *t = unhold(L, all);
    if (t != NULL) {
        t->loop = loop;
    } else if (co != L && is_resumable(L, all)) {
        if (!has_room(co, nargs))
            return luaL_error(L, "too many arguments to resume");
        t = acquire(L, all, 1, loop);
        take_fiber(L, t);
        lua_xmove(L, co, nargs);
    } else {
        return resume_error(L, all);
    }
    t->nargs = nargs;
    return sl_thread_run(L, t);
}

/* --- about threads ------------------------------------------------------------ */

void sl_thread_push(lua_State *L, sl_thread *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->all->anchors);
    lua_rawgeti(L, -1, t->slot);
    lua_remove(L, -2);
}

void sl_thread_message(lua_State *L)
{
    if (lua_type(L, -2) == LUA_TSTRING &&
        strstr(lua_tostring(L, -2), "\nstack traceback:\n") == NULL) {
        lua_pushliteral(L, "\n");
        lua_insert(L, -2);
        lua_concat(L, 3);
    } else {
        lua_pop(L, 1);
    }
    lua_remove(L, -2);
}

/* --- making and unmaking ------------------------------------------------------ */

static int is_running(sl_threads *all, sl_thread *t)
{
    for (sl_thread *r = all->running; r != NULL; r = r->resumer)
        if (r == t)
            return 1;
    return 0;
}

/* The Lua state is being closed. Stacks we may be standing on (os.exit from
 * a thread) cannot be unmapped; they end with the process. */
static int threads_gc(lua_State *L)
{
    sl_threads *all = lua_touserdata(L, 1);
    all->closed = 1;
    sl_thread *next;
    for (sl_thread *t = all->records; t != NULL; t = next) {
        next = t->next_record;
        if (is_running(all, t))
            continue;
        if (t->fiber != NULL)
            sl_fiber_give(&all->fibers, t->fiber);
        free(t);
    }
    all->records = all->free = NULL;
    sl_fibers_free(&all->fibers);
    return 0;
}

sl_threads *sl_threads_get(lua_State *L)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &threads_key);
    sl_threads *all = lua_touserdata(L, -1);
    if (all != NULL) {
        lua_pop(L, 1);
        return all;
    }
    all = sl_newuserdata(L, sizeof *all);
    memset(all, 0, sizeof *all);
    sl_fibers_init(&all->fibers);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, threads_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_newtable(L);
    all->anchors = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    all->stopped = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, do_nothing);
    all->nothing = luaL_ref(L, LUA_REGISTRYINDEX);
    sl_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
    lua_pop(L, 1);
    return all;
}
