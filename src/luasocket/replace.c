/*
 * replace.c - replaces functions wherever the program refers to them.
 *
 * Modules keep LuaSocket's functions and methods in locals (`local sleep =
 * socket.sleep`), and may have done so before install was called. So a walk
 * visits each value that can be reached from the registry, the globals, the
 * metatables of types and the stacks of coroutines, as a collector does.
 *
 * The walk calls no function of Lua's that runs a step of the collector. So no
 * finalizer changes the values that are being visited.
 */

#include "luasocket/replace.h"

#include "thread/thread.h"
#include "thread/threads.h"

#include <stdint.h>
#include <string.h>

static const char main_key = 0;    /* its address is a registry key */

/* Places on the stack of the walk. */
enum {
    MAP = 1,      /* function -> replacement */
    OURS,         /* a table that must not be changed */
    FUNCTION,     /* one of socketloop's Lua functions */
    POINTERS,     /* C function's address, as a light userdata -> replacement */
    SEEN,         /* value -> true, if the value is or was in the queue */
    QUEUE,        /* a list of the values that are still to be visited */
    PLACES = QUEUE
};

typedef struct walk {
    lua_State *L;
    int count;             /* values in the queue */
    const char *folder;    /* borrowed: the folder of socketloop's Lua files,
                              which has no others; NULL: unknown */
    size_t length;         /* of folder */
} walk;

/* --- one value --------------------------------------------------------- */

/* [-0, +(0|1), -] Pushes the replacement of the function at the top; false if
 * it has none. */
static int push_replacement(lua_State *L)
{
    lua_pushvalue(L, -1);
    lua_rawget(L, MAP);
    if (lua_isnil(L, -1) && lua_iscfunction(L, -2)) {
        lua_pop(L, 1);
        lua_pushlightuserdata(L, (void *)(uintptr_t)lua_tocfunction(L, -1));
        lua_rawget(L, POINTERS);
    }
    if (!lua_isnil(L, -1))
        return 1;
    lua_pop(L, 1);
    return 0;
}

/* True if values of that type refer to other values. */
static int has_parts(int type)
{
    return type == LUA_TTABLE || type == LUA_TFUNCTION ||
           type == LUA_TUSERDATA || type == LUA_TTHREAD;
}

/* [-0, +0, m] Puts the value at the top into the queue, once. */
static void enqueue(walk *w)
{
    lua_State *L = w->L;
    lua_pushvalue(L, -1);
    lua_rawget(L, SEEN);
    int was_seen = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (was_seen)
        return;
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, SEEN);
    lua_pushvalue(L, -1);
    lua_rawseti(L, QUEUE, ++w->count);
}

/* [-1, +(0|1), m] Pops a value. True: its replacement is pushed instead.
 * False: the value will be visited. */
static int look(walk *w)
{
    lua_State *L = w->L;
    int type = lua_type(L, -1);
    if (type == LUA_TFUNCTION && push_replacement(L)) {
        lua_remove(L, -2);
        return 1;
    }
    if (has_parts(type))
        enqueue(w);
    lua_pop(L, 1);
    return 0;
}

/* [-1, +0, m] Visits a value that has no replacement. */
static void visit(walk *w)
{
    if (look(w))
        lua_pop(w->L, 1);
}

/* --- parts of values --------------------------------------------------- */

static void visit_metatable(walk *w, int index)
{
    if (lua_getmetatable(w->L, index))
        visit(w);
}

/* [-0, +0, m] Finds a key of the table that has a replacement, and moves the
 * key's value to the replacement. Skips a key whose replacement is a key
 * already. False: there is no key to move. */
static int move_key(walk *w, int t)
{
    lua_State *L = w->L;
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        if (!lua_isfunction(L, -1) || !push_replacement(L)) {
            lua_pop(L, 1);
            continue;
        }
        /* key, value, key, replacement */
        lua_pushvalue(L, -1);
        lua_rawget(L, t);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_pushvalue(L, -3);
            lua_rawset(L, t);
            lua_pushnil(L);
            lua_rawset(L, t);
            lua_pop(L, 2);
            return 1;
        }
        lua_pop(L, 3);
    }
    return 0;
}

/* [-0, +0, m] Replaces values first, then keys: assigning to a new key during
 * lua_next is not allowed. */
static void visit_table(walk *w, int t)
{
    lua_State *L = w->L;
    int has_key = 0;
    visit_metatable(w, t);
    lua_pushnil(L);
    while (lua_next(L, t)) {
        if (look(w)) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, t);
        }
        lua_pushvalue(L, -1);
        if (look(w)) {
            has_key = 1;
            lua_pop(L, 1);
        }
    }
    while (has_key && move_key(w, t))
        continue;
}

/* True for a Lua function of socketloop. These functions use the originals, and
 * must go on doing so. */
static int is_ours(const walk *w, const lua_Debug *ar)
{
    return *ar->what != 'C' &&
           (w->folder == NULL ||
            strncmp(ar->source, w->folder, w->length) == 0);
}

static void visit_function(walk *w, int f)
{
    lua_State *L = w->L;
    lua_Debug ar;
    lua_pushvalue(L, f);
    lua_getinfo(L, ">Su", &ar);
    if (is_ours(w, &ar))
        return;
    if (sl_getfenv(L, f))
        visit(w);
    for (int i = 1; i <= ar.nups && sl_hasupvalue(L, f, i); i++) {
        if (lua_getupvalue(L, f, i) == NULL)
            return;
        if (look(w))
            lua_setupvalue(L, f, i);
    }
}

static void visit_userdata(walk *w, int u)
{
    visit_metatable(w, u);
    for (int n = 1; sl_getnthuservalue(w->L, u, n); n++) {
        if (look(w))
            sl_setnthuservalue(w->L, u, n);
    }
}

/* --- stacks ------------------------------------------------------------ */

/* [-0, +0, m] Visits or replaces local n of a function that runs or is
 * suspended. Includes values without a name, as lua_getlocal does. False: there
 * is no local n. */
static int visit_local(walk *w, lua_State *co, const lua_Debug *ar, int n)
{
    if (lua_getlocal(co, ar, n) == NULL)
        return 0;
    lua_xmove(co, w->L, 1);
    if (look(w)) {
        lua_xmove(w->L, co, 1);
        lua_setlocal(co, ar, n);
    }
    return 1;
}

/* [-0, +0, m] Visits one level of a coroutine's stack: the function and its
 * locals. Variable arguments have negative numbers; Lua 5.1 gives no access to
 * them. */
static void visit_level(walk *w, lua_State *co, lua_Debug *ar)
{
    lua_getinfo(co, "fS", ar);
    lua_xmove(co, w->L, 1);
    visit(w);
    if (is_ours(w, ar))
        return;
    for (int n = 1; visit_local(w, co, ar, n); n++)
        continue;
    for (int n = -1; visit_local(w, co, ar, n); n--)
        continue;
}

/* [-0, +0, m] Visits the stack of a coroutine that runs no function. It may
 * have the function that the coroutine will run, with arguments; or values that
 * C code keeps there. */
static void visit_values(walk *w, lua_State *co)
{
    int count = lua_gettop(co);
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(co, i);
        lua_xmove(co, w->L, 1);
        if (look(w)) {
            lua_xmove(w->L, co, 1);
            lua_replace(co, i);
        }
    }
}

static void visit_thread(walk *w, int index)
{
    lua_State *co = lua_tothread(w->L, index);
    lua_Debug ar;
    if (sl_getfenv(w->L, index))
        visit(w);
    if (!lua_getstack(co, 0, &ar))
        visit_values(w, co);
    /* Level 0 of the running coroutine is sl_replace itself. */
    for (int level = co == w->L; lua_getstack(co, level, &ar); level++)
        visit_level(w, co, &ar);
}

/* --- the walk ---------------------------------------------------------- */

static void visit_value(walk *w, int index)
{
    switch (lua_type(w->L, index)) {
    case LUA_TTABLE:
        visit_table(w, index);
        break;
    case LUA_TFUNCTION:
        visit_function(w, index);
        break;
    case LUA_TUSERDATA:
        visit_userdata(w, index);
        break;
    default:
        visit_thread(w, index);
    }
}

/* [-0, +0, m] Visits the values in the queue until the queue is empty. */
static void visit_all(walk *w)
{
    lua_State *L = w->L;
    while (w->count > 0) {
        lua_rawgeti(L, QUEUE, w->count);
        lua_pushnil(L);
        lua_rawseti(L, QUEUE, w->count--);
        visit_value(w, PLACES + 1);
        lua_pop(L, 1);
    }
}

/* [-0, +0, m] Visits the metatables of types: of values that are neither tables
 * nor userdata. */
static void visit_types(walk *w)
{
    lua_State *L = w->L;
    int first = lua_gettop(L) + 1;
    lua_pushnil(L);
    lua_pushboolean(L, 1);
    lua_pushinteger(L, 0);
    lua_pushlightuserdata(L, NULL);
    lua_pushcfunction(L, sl_replace);
    lua_pushthread(L);
    lua_pushliteral(L, "");
    for (int index = lua_gettop(L); index >= first; index--) {
        visit_metatable(w, index);
        lua_pop(L, 1);
    }
}

/* [-0, +0, m] Visits the values from which all others are reached. */
static void visit_roots(walk *w, const sl_threads *all)
{
    lua_State *L = w->L;
    visit_types(w);
    lua_pushvalue(L, LUA_REGISTRYINDEX);
    visit(w);
    lua_pushthread(L);
    visit(w);
    if (all->running != NULL) {
        lua_pushthread(all->main_frame);    /* perhaps a coroutine that the
                                               registry does not have */
        lua_xmove(all->main_frame, L, 1);
        visit(w);
    }
}

/* [-0, +1, m] Pushes the table POINTERS. */
static void push_pointers(lua_State *L)
{
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, MAP); lua_pop(L, 1)) {
        if (!lua_iscfunction(L, -2))
            continue;
        lua_pushlightuserdata(L, (void *)(uintptr_t)lua_tocfunction(L, -2));
        lua_pushvalue(L, -2);
        lua_rawset(L, POINTERS);
    }
}

/* [-0, +1, m] Pushes the table SEEN. It begins with MAP and OURS, so that the
 * walk does not visit them. */
static void push_seen(lua_State *L)
{
    lua_newtable(L);
    for (int place = MAP; place <= OURS; place++) {
        lua_pushvalue(L, place);
        lua_pushboolean(L, 1);
        lua_rawset(L, SEEN);
    }
}

/* Sets the folder to that of FUNCTION's source. */
static void find_folder(walk *w)
{
    lua_Debug ar;
    lua_pushvalue(w->L, FUNCTION);
    lua_getinfo(w->L, ">S", &ar);
    const char *slash = strrchr(ar.source, '/');
    if (slash != NULL) {
        w->folder = ar.source;
        w->length = (size_t)(slash + 1 - ar.source);
    }
}

/* replace(map, ours, f): replaces each function that is a key of map by its
 * value there, and also other closures of a C function that is a key. Does not
 * change the table ours, nor upvalues and locals of socketloop's Lua functions:
 * those with sources in the folder of f's source. If the folder is unknown
 * changes those of no Lua function. */
int sl_replace(lua_State *L)
{
    luaL_checktype(L, MAP, LUA_TTABLE);
    luaL_checktype(L, OURS, LUA_TTABLE);
    luaL_checktype(L, FUNCTION, LUA_TFUNCTION);
    lua_settop(L, FUNCTION);
    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    const sl_threads *all = sl_threads_get(L);
    walk w = {L, 0, NULL, 0};
    find_folder(&w);
    push_pointers(L);
    push_seen(L);
    lua_newtable(L);    /* QUEUE */
    visit_roots(&w, all);
    visit_all(&w);
    return 0;
}

void sl_replace_notemain(lua_State *L)
{
    if (lua_pushthread(L))
        sl_rawsetp(L, LUA_REGISTRYINDEX, &main_key);
    else
        lua_pop(L, 1);
}
