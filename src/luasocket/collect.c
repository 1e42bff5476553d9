/*
 * collect.c - see collect.h. The state of a receive is an asocket of which only
 * the buffer and the pattern are used. The program never gets it.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/collect.h"

#include "loop/operation.h"
#include "loop/result.h"
#include "luasocket/exchange.h"
#include "luasocket/look.h"
#include "os/error.h"
#include "socket/pattern.h"
#include "socket/receive.h"
#include "thread/arg.h"

#include <errno.h>

enum { CHUNK = 64 * 1024 };    /* the most bytes that one call asks for */

/* The upvalues of collect_step; 1 is the loop. */
enum { DIRTY = 2, GETFD, BUFFERED };

/* The arguments of collect_step. */
enum {
    STATE = 1, OBJECT, PREFIX, RECEIVE, IS_VISIBLE, FAILURE, IS_GOODBYE
};

/* [-0, +0, e] Returns the state at index 1. Sets its prefix to the string at
 * index prefix. */
static sl_asocket *check_state(lua_State *L, int prefix)
{
    sl_asocket *a = sl_asocket_test(L, STATE);
    luaL_argcheck(L, a != NULL, STATE, "state expected");
    a->receive.prefix = luaL_checklstring(L, prefix, &a->receive.prefix_size);
    return a;
}

/* [-0, +0, e] Collects the bytes at index. */
static void append_bytes(lua_State *L, sl_asocket *a, int index)
{
    size_t n = sl_exchange_collect(L, a, index);
    sl_exchange_charge(a->source.loop->threads->running, n);
}

/* [-0, +0, e] Collects the line at index and its line feed, which the object
 * has dropped. */
static void collect_line(lua_State *L, sl_asocket *a, int index)
{
    append_bytes(L, a, index);
    lua_pushliteral(L, "\n");
    append_bytes(L, a, lua_gettop(L));
    lua_pop(L, 1);
}

int sl_collect_begin(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    sl_receive r = {SL_COUNT, 0, 0, 0, 0, "", 0};
    if (lua_type(L, 1) == LUA_TNUMBER)
        r.wanted = sl_arg_tosize(lua_tonumber(L, 1));
    else
        r.pattern = *luaL_checkstring(L, 1) == 'a' ? SL_ALL : SL_LINE;
    lua_settop(L, 2);
    sl_asocket *a = sl_asocket_new(L, loop, SL_TCP);
    a->receive = r;
    append_bytes(L, a, 2);
    return 1;
}

/* [-0, +4, e] Ends the receive: pushes true, data, nil, nil. Returns 4. */
static int give_data(lua_State *L, sl_asocket *a)
{
    lua_pushboolean(L, 1);
    return 1 + sl_receive_give(L, a);
}

/* [-1, +3, e] Ends the receive: pops an error and pushes nil, the error,
 * partial. Returns 3. */
static int fail_collecting(lua_State *L, sl_asocket *a)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    sl_receive_take(L, a, 0);
    return 3;
}

int sl_collect_giveup(lua_State *L)
{
    sl_asocket *a = check_state(L, 2);
    lua_settop(L, 3);
    return fail_collecting(L, a);
}

/* [-1, +4, e] Ends the receive: pops an error and pushes true, nil, the error,
 * partial. Returns 4. */
static int give_failure(lua_State *L, sl_asocket *a)
{
    lua_pushboolean(L, 1);
    lua_insert(L, -2);
    return 1 + fail_collecting(L, a);
}

/* [-0, +1, e] Calls the function in that upvalue with the object. */
static void call_upvalue(lua_State *L, int function)
{
    lua_pushvalue(L, lua_upvalueindex(function));
    lua_pushvalue(L, OBJECT);
    lua_call(L, 1, 1);
}

/* [-0, +1, -] Pushes LuaSocket's name of the pattern, '*l' or '*a'. True if it
 * is a line. */
static int push_pattern_name(lua_State *L, const sl_asocket *a)
{
    lua_pushfstring(L, "*%c", sl_patterns[a->receive.pattern].letter);
    return sl_patterns[a->receive.pattern].is_line;
}

/* [-0, +0, e] Collects the bytes in the object's own buffer. */
static void collect_buffered(lua_State *L, sl_asocket *a)
{
    lua_pushvalue(L, lua_upvalueindex(BUFFERED));
    lua_pushvalue(L, OBJECT);
    int is_line = push_pattern_name(L, a);
    lua_call(L, 2, 2);
    int partial = lua_gettop(L), data = partial - 1;
    if (!lua_toboolean(L, data))
        append_bytes(L, a, partial);
    else if (is_line)
        collect_line(L, a, data);
    else
        append_bytes(L, a, data);
    lua_settop(L, IS_GOODBYE);
}

/* [-0, +4, e] Ends the receive at the end of the stream: give_data or
 * give_failure. */
static int end_stream(lua_State *L, sl_asocket *a)
{
    if (!lua_isnil(L, FAILURE)) {
        lua_pushvalue(L, FAILURE);
        return give_failure(L, a);
    }
    if (sl_pattern_endswithstream(a))
        return give_data(L, a);
    lua_pushliteral(L, "closed");
    return give_failure(L, a);
}

/* [-0, +n, e] Peeks at the descriptor. Returns 0 if there are bytes, and pushes
 * the argument for the object's receive: the number of bytes, or the pattern's
 * name if they have a line. Else pushes the results of collect_step and returns
 * their number. */
static int push_visible(lua_State *L, sl_asocket *a)
{
    size_t n;
    int found = 0, fd, is_line = sl_patterns[a->receive.pattern].is_line;
    call_upvalue(L, GETFD);
    if (!lua_isnumber(L, -1) || !sl_arg_toint(lua_tonumber(L, -1), &fd))
        fd = -1;
    int err = fd < 0 ? EBADF
            : is_line ? sl_look_forline(a->source.loop, fd, &n, &found)
                      : sl_look_count(fd, &n);
    if (err == EAGAIN)
        return 1;    /* the descriptor */
    if (err != 0) {
        lua_pushstring(L, sl_error_message(sl_error_ofstream(err)));
        return give_failure(L, a);
    }
    if (n == 0)
        return end_stream(L, a);
    if (found)
        push_pattern_name(L, a);
    else
        lua_pushinteger(L, (lua_Integer)n);
    return 0;
}

/* [-0, +1, -] Pushes the argument for the receive of an object whose bytes
 * cannot be peeked at: the pattern's name or a number of bytes. */
static void push_blindly(lua_State *L, const sl_asocket *a)
{
    size_t missing = sl_pattern_missing(a);
    int is_counted = a->receive.pattern == SL_COUNT && missing <= CHUNK;
    if (sl_patterns[a->receive.pattern].is_line)
        push_pattern_name(L, a);
    else
        lua_pushinteger(L, is_counted ? (lua_Integer)missing : CHUNK);
}

/* [-0, +n, e] Collects the bytes of a call of the object's receive that has
 * failed, whose results nil, error, partial are on the top. Pushes the results
 * of collect_step and returns n. */
static int judge_failure(lua_State *L, sl_asocket *a)
{
    int error = lua_gettop(L) - 1;
    append_bytes(L, a, error + 1);
    lua_settop(L, error);
    if (sl_exchange_wanted(L, error, SL_READABLE) != 0)
        return 1;
    if (!sl_exchange_isclosed(L, error))
        return give_failure(L, a);
    if (sl_patterns[a->receive.pattern].is_unbounded &&
        !lua_isnil(L, IS_GOODBYE)) {
        lua_pushvalue(L, IS_GOODBYE);
        lua_call(L, 0, 1);
        int is_goodbye = lua_toboolean(L, -1);
        lua_settop(L, error);
        if (!is_goodbye)
            return give_failure(L, a);
    }
    return end_stream(L, a);
}

/* [-1, +n, e] Calls the object's receive with the value on the top, and
 * collects the bytes. Returns 0 if the receive may go on, or pushes the results
 * of collect_step and returns n. */
static int receive_asked(lua_State *L, sl_asocket *a)
{
    int asked = lua_gettop(L);
    int is_line = lua_type(L, asked) == LUA_TSTRING;
    lua_pushvalue(L, RECEIVE);
    lua_pushvalue(L, OBJECT);
    lua_pushvalue(L, asked);
    lua_call(L, 2, 3);
    if (!lua_toboolean(L, asked + 1))
        return judge_failure(L, a);
    if (is_line)
        collect_line(L, a, asked + 1);
    else
        append_bytes(L, a, asked + 1);
    size_t n = sl_rawlen(L, asked + 1);
    lua_settop(L, IS_GOODBYE);
    if (n > 0 || is_line)
        return 0;
    return a->receive.pattern == SL_COUNT ? give_data(L, a)
                                          : end_stream(L, a);
}

/* [-0, +n, e] Collects bytes once. Returns 0 if the receive may go on, or
 * pushes the results of collect_step and returns n. */
static int collect_once(lua_State *L, sl_asocket *a)
{
    if (!lua_toboolean(L, IS_VISIBLE) || a->receive.pattern == SL_COUNT) {
        push_blindly(L, a);
        return receive_asked(L, a);
    }
    call_upvalue(L, DIRTY);
    if (lua_toboolean(L, -1)) {
        collect_buffered(L, a);
        return 0;
    }
    int n = push_visible(L, a);
    return n != 0 ? n : receive_asked(L, a);
}

/* True if the collected bytes finish the receive. A receive of zero bytes also
 * calls the object, which may fail. */
static int is_enough(sl_asocket *a)
{
    return (a->receive.pattern != SL_COUNT || a->receive.wanted > 0) &&
           sl_pattern_find(a) == 0;
}

static int collect_step(lua_State *L)
{
    const sl_loop *loop = sl_loop_check(L);
    sl_asocket *a = check_state(L, PREFIX);
    int n = 0;
    lua_settop(L, IS_GOODBYE);
    while (n == 0) {
        sl_thread *t = loop->threads->running;
        if (is_enough(a))
            return give_data(L, a);
        if (t == NULL || t->spent >= SL_OPERATIONS_MAX)
            return 0;
        t->spent++;
        n = collect_once(L, a);
    }
    return n;
}

int sl_collect_collector(lua_State *L)
{
    lua_settop(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_pushcclosure(L, collect_step, 4);
    return 1;
}
