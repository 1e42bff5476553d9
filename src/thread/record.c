/*
 * record.c - records, and what is kept of their coroutines: two places for
 * each record, which anchor the coroutine and the value of its home; and a
 * table with weak keys of those that stopped, coroutine -> holder. One of a
 * thread that froze gives the stack back when the coroutine is collected while
 * it is held. One of an adopted thread that waits keeps the arguments of the C
 * function that yielded, where they don't stay on the coroutine's stack.
 */

#include "thread/record.h"

#include "thread/hook.h"

#include <stdlib.h>
#include <string.h>

static const char threads_key = 0;    /* its address is the registry key */

enum {
    DEPTH_MAX = 195,      /* threads that run threads that run ... */
    STACKS_MIN = 1024,    /* before they are a reason to collect garbage */
    STACK_KIB = 8,        /* what one takes, about */
    PLACES_MIN = 16,      /* made at once: as many as there are, */
    PLACES_MAX = 1024     /* within these limits */
};

/* --- anchors ----------------------------------------------------------- */

void sl_thread_push(lua_State *L, sl_thread *t)
{
    if (t->anchored) {
        sl_anchor_push(L, t->anchors, t->place);
        return;
    }
    lua_pushvalue(t->stack, t->index);
    if (t->stack != L)
        lua_xmove(t->stack, L, 1);
}

void sl_record_anchor(lua_State *L, sl_thread *t)
{
    if (t->anchored)
        return;
    sl_thread_push(L, t);
    sl_anchor_set(L, t->anchors, t->place);
    t->anchored = 1;
}

void sl_record_pushhome(lua_State *L, sl_thread *t)
{
    if (t->home == SL_HOME_VALUE)
        sl_anchor_push(L, t->anchors, t->place + 1);
    else
        lua_pushnil(L);
}

void sl_record_sethome(lua_State *L, sl_thread *t)
{
    t->home = SL_HOME_VALUE;
    t->anchors_home = 1;
    sl_anchor_set(L, t->anchors, t->place + 1);
}

/* --- records ----------------------------------------------------------- */

/* [-0, +1, -] Pushes the userdata of sl_threads, or nil. */
static void push_threads(lua_State *L)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &threads_key);
}

/* [-0, +0, e] Makes new places, which live as long as the threads' userdata:
 * it has them in a list. */
static void make_places(lua_State *L, sl_threads *all)
{
    int n = all->places < PLACES_MIN ? PLACES_MIN
          : all->places < PLACES_MAX ? all->places : PLACES_MAX;
    push_threads(L);
    sl_getuservalue(L, -1);
    lua_State *anchors = sl_anchors_new(L, n);
    lua_rawseti(L, -2, (int)sl_rawlen(L, -2) + 1);
    all->anchors = anchors;
    all->place = 1;
    all->places += n;
    all->places_left = n;
    lua_pop(L, 2);
}

/* [-0, +0, e] A record with its places; in the list of unused. */
static void new_record(lua_State *L, sl_threads *all)
{
    if (all->places_left == 0)
        make_places(L, all);
    sl_thread *t = calloc(1, sizeof *t);
    if (t == NULL)
        luaL_error(L, "not enough memory");
    t->all = all;
    t->anchors = all->anchors;
    t->place = all->place;
    all->place += 2;
    all->places_left -= 2;
    t->next_record = all->records;
    all->records = t;
    lua_pushlightuserdata(L, t);    /* the first time LuaJIT may need memory */
    lua_pop(L, 1);
    t->resumer = all->free;
    all->free = t;
}

/* [-0, +0, e] Lua's collector does not see how much memory stacks take, so
 * those of abandoned threads could pile up: collects now, and again when the
 * stacks in use have doubled and take as much as all of Lua's objects. */
static void collect_stacks(lua_State *L, sl_threads *all)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    size_t used = all->fibers.count - all->fibers.idle_count;
    size_t affordable = (size_t)lua_gc(L, LUA_GCCOUNT, 0) / STACK_KIB;
    all->stacks_limit = 2 * used > affordable ? 2 * used : affordable;
    if (all->stacks_limit < STACKS_MIN)
        all->stacks_limit = STACKS_MIN;
}

static void reserve_stack(lua_State *L, sl_threads *all)
{
    if (all->fibers.count >= all->stacks_limit)
        collect_stacks(L, all);
    if (sl_fibers_reserve(&all->fibers) == 0)
        return;
    collect_stacks(L, all);
    if (sl_fibers_reserve(&all->fibers) != 0)
        sl_thread_nomemory(L, all);
}

/* One of the two may go to a finalizer while the other is made. */
void sl_record_reserve(lua_State *L, sl_threads *all)
{
    if (all->closed)
        luaL_error(L, SL_STATE_CLOSED);
    while (!sl_record_isreserved(all)) {
        if (all->free == NULL)
            new_record(L, all);
        else
            reserve_stack(L, all);
    }
}

sl_thread *sl_record_take(lua_State *L, sl_threads *all, void *loop)
{
    if (all->closed)
        luaL_error(L, SL_STATE_CLOSED);
    if (all->running != NULL && all->running->depth >= DEPTH_MAX)
        luaL_error(L, "C stack overflow: too many threads that run threads");
    if (all->free == NULL)
        new_record(L, all);
    sl_thread *t = all->free;
    t->co = lua_tothread(L, -1);
    t->stack = L;
    t->anchored = 0;
    t->index = lua_gettop(L);
    all->free = t->resumer;
    t->state = SL_RUNNING;
    t->home = SL_HOME_BASE;
    t->fiber = NULL;
    t->holder = NULL;
    t->left = NULL;
    t->adopted = NULL;
    t->loop = loop;
    t->wait = NULL;
    t->spent = 0;
    t->hook = SL_HOOK_OFF;
    return t;
}

sl_thread *sl_record_acquire(lua_State *L, sl_threads *all, void *loop)
{
    sl_thread *t = sl_record_take(L, all, loop);
    sl_anchor_set(L, t->anchors, t->place);
    t->anchored = 1;
    return t;
}

void sl_threads_forgetloop(sl_threads *all, const void *loop)
{
    for (sl_thread *t = all->records; t != NULL; t = t->next_record)
        if (t->loop == loop)
            t->loop = NULL;
}

static void free_record(sl_thread *t)
{
    t->co = NULL;
    t->resumer = t->all->free;
    t->all->free = t;
}

/* [-0, +0, -] A thread that has a holder: stopped[its coroutine] = nil. */
static void forget_holder(lua_State *L, sl_thread *t)
{
    t->holder->thread = NULL;
    t->holder = NULL;
    sl_anchor_push(L, t->all->values, SL_VALUE_STOPPED);
    sl_thread_push(L, t);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

void sl_record_release(lua_State *L, sl_thread *t)
{
    if (t->holder != NULL)
        forget_holder(L, t);
    if (t->anchored)
        sl_record_clear(t);
    if (t->anchors_home)
        sl_record_clearhome(t);
    if (t->fiber != NULL)
        sl_fiber_give(&t->all->fibers, t->fiber);
    t->fiber = NULL;
    free_record(t);
}

/* --- holding ----------------------------------------------------------- */

/* [-0, +1, -] Pushes stopped[the coroutine at index]. */
static void get_stopped(lua_State *L, sl_threads *all, int index)
{
    lua_pushvalue(L, index);
    sl_anchor_push(L, all->values, SL_VALUE_STOPPED);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

/* A coroutine was collected; if its thread was held, so is its stack. When the
 * Lua state is being closed the thread may be in use. */
static int holder_gc(lua_State *L)
{
    sl_holder *h = lua_touserdata(L, 1);
    sl_thread *t = h->thread;
    h->thread = NULL;
    if (t == NULL || h->all->closed)
        return 0;
    t->holder = NULL;
    if (sl_record_isheld(t)) {
        sl_fiber_give(&h->all->fibers, t->fiber);
        t->fiber = NULL;
        free_record(t);
    }
    return 0;
}

static void link_holder(sl_holder *h, sl_thread *t)
{
    h->thread = t;
    t->holder = h;
}

/* [-1, +3, m] For the coroutine on the top: pushes the stopped table, the
 * coroutine, and a holder that is still to be set. */
static sl_holder *new_holder(lua_State *L, sl_threads *all)
{
    sl_anchor_push(L, all->values, SL_VALUE_STOPPED);
    lua_insert(L, -2);
    sl_holder *h = sl_newuserdata(L, sizeof *h);
    h->all = all;
    h->thread = NULL;
    sl_anchor_push(L, all->values, SL_VALUE_HOLDER_CLASS);
    lua_setmetatable(L, -2);
    return h;
}

/* [-3, +0, m] Sets it, in the place of an older thread's. */
static void set_holder(lua_State *L)
{
    lua_pushvalue(L, -2);
    lua_rawget(L, -4);
    sl_holder *old = lua_touserdata(L, -1);
    if (old != NULL && old->thread != NULL) {
        old->thread->holder = NULL;
        old->thread = NULL;
    }
    lua_pop(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

void sl_record_makeholder(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    sl_holder *h = new_holder(L, t->all);
    set_holder(L);
    link_holder(h, t);
}

sl_thread *sl_record_stopped(lua_State *L, sl_threads *all, int index)
{
    get_stopped(L, all, index);
    const sl_holder *h = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return h != NULL ? h->thread : NULL;
}

sl_thread *sl_record_held(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    sl_thread *t = sl_record_recent(all, co);
    if (t != NULL)
        return t;
    t = sl_record_stopped(L, all, index);
    if (t == NULL || !sl_record_isheld(t))
        return NULL;
    *sl_record_slot(all, co) = t;
    return t;
}

/* [-0, +0, m] The holder on the top keeps the n values at the bottom. */
static void keep_values(lua_State *L, int n)
{
    lua_createtable(L, n, 0);
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, i);
    }
    sl_setuservalue(L, -2);
}

sl_thread *sl_record_adopt(lua_State *L, sl_threads *all)
{
    int n = lua_gettop(L);
    sl_holder *h = NULL;
    luaL_checkstack(L, 6, "too many arguments");
    if (!SL_CONTINUES) {
        lua_pushthread(L);
        h = new_holder(L, all);
        keep_values(L, n);
        set_holder(L);
    }
    lua_pushthread(L);
    sl_thread *t = sl_record_acquire(L, all, NULL);
    if (h != NULL)
        link_holder(h, t);
    lua_settop(L, n);
    return t;
}

void sl_record_own(lua_State *L, sl_thread *t)
{
    if (t->holder != NULL)
        forget_holder(L, t);
    t->adopted = NULL;
}

/* --- all of them ------------------------------------------------------- */

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
    memset(all->recent, 0, sizeof all->recent);
    sl_fibers_free(&all->fibers);
    return 0;
}

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

typedef struct call {
    sl_pcall_function body;
    void *arg;
} call;

/* [-0, +1, -] Pushes its address. LuaJIT may need memory for a light userdata
 * from where it has had none yet, and its addresses have 47 bits. */
static void push_call(lua_State *L, call *c)
{
    if (SL_LUAJIT)
        lua_pushnumber(L, (lua_Number)(uintptr_t)c);
    else
        lua_pushlightuserdata(L, c);
}

static const call *to_call(lua_State *L, int index)
{
    return SL_LUAJIT ? (const call *)(uintptr_t)lua_tonumber(L, index)
                     : lua_touserdata(L, index);
}

static int call_body(lua_State *L)
{
    const call *c = to_call(L, 1);
    lua_settop(L, 0);
    return c->body(L, c->arg);
}

int sl_pcall_body(lua_State *L, sl_threads *all, sl_pcall_function body,
                  void *arg, int nresults)
{
    call c = {body, arg};
    sl_anchor_push(L, all->values, SL_VALUE_CALLER);
    push_call(L, &c);
    return lua_pcall(L, 1, nresults, 0);
}

/* [-0, +1, m] Pushes a metatable with that finalizer. */
static void push_class(lua_State *L, lua_CFunction gc)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
}

/* [-0, +1, m] Pushes a table with weak keys. */
static void push_weak(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

/* [-0, +0, e] Makes the values of the threads whose userdata is on the top. */
static void make_values(lua_State *L, sl_threads *all)
{
    lua_newtable(L);
    all->values = sl_anchors_new(L, SL_VALUES);
    lua_rawseti(L, -2, 1);
    sl_setuservalue(L, -2);
    push_weak(L);
    sl_anchor_set(L, all->values, SL_VALUE_STOPPED);
    push_class(L, holder_gc);
    sl_anchor_set(L, all->values, SL_VALUE_HOLDER_CLASS);
    lua_pushcfunction(L, do_nothing);
    sl_anchor_set(L, all->values, SL_VALUE_NOTHING);
    lua_pushcfunction(L, sl_giveroom);
    sl_anchor_set(L, all->values, SL_VALUE_ROOM);
    lua_pushcfunction(L, call_body);
    sl_anchor_set(L, all->values, SL_VALUE_CALLER);
    lua_pushliteral(L, "coroutine ended without transferring control");
    sl_anchor_set(L, all->values, SL_VALUE_LOST);
    push_weak(L);
    sl_anchor_set(L, all->values, SL_VALUE_FAILURES);
    lua_pushliteral(L, "the coroutine was closed, or resumed by somebody else");
    sl_anchor_set(L, all->values, SL_VALUE_LEFT);
    lua_pushcfunction(L, sl_hook_probe);
    sl_anchor_set(L, all->values, SL_VALUE_PROBE);
    lua_pushcfunction(L, sl_hook_leave);
    sl_anchor_set(L, all->values, SL_VALUE_LEAVE);
}

sl_threads *sl_threads_get(lua_State *L)
{
    push_threads(L);
    sl_threads *all = lua_touserdata(L, -1);
    if (all == NULL) {
        lua_pop(L, 1);
        if (sl_fibers_shadowed())
            luaL_error(L, "this program has a shadow stack (SHSTK), with which "
                       "the threads of socketloop cannot run");
        all = sl_newuserdata(L, sizeof *all);
        memset(all, 0, sizeof *all);
        sl_fibers_init(&all->fibers, SL_STACK_SIZE);
        all->stacks_limit = STACKS_MIN;
        all->main = sl_mainthread(L);
        push_class(L, threads_gc);
        lua_setmetatable(L, -2);
        make_values(L, all);
        lua_pushvalue(L, -1);
        sl_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
    }
    lua_pop(L, 1);
    return all;
}
