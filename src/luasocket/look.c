/*
 * look.c - peeking at a descriptor, and receives that need only one call of the
 * object. See look.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/look.h"

#include "loop/loop.h"
#include "loop/operation.h"
#include "loop/result.h"
#include "luasocket/exchange.h"
#include "os/error.h"
#include "os/fd.h"
#include "thread/arg.h"

#include <errno.h>
#include <string.h>

enum {
    BYTES_MAX = 64 * 1024,
    SIGHT = 8 * 1024    /* bytes that are searched for a line feed */
};

int sl_look_forline(sl_loop *loop, int fd, size_t *n, int *found)
{
    sl_buffer buffer = {NULL};
    char *bytes = sl_buffer_room(&buffer, &loop->scratch, SIGHT);
    *n = 0;
    if (bytes == NULL)
        return ENOMEM;
    int err = sl_fd_peek(fd, bytes, SIGHT, n);
    *found = memchr(bytes, '\n', *n) != NULL;
    sl_buffer_free(&buffer, &loop->scratch);
    return err;
}

int sl_look_count(int fd, size_t *n)
{
    char first;
    int err = sl_fd_peek(fd, &first, 1, n);
    if (err == 0 && *n > 0)
        *n = sl_fd_pending(fd);
    if (*n > BYTES_MAX)
        *n = BYTES_MAX;
    return err;
}

/* --- receive ----------------------------------------------------------- */

/* The upvalues of try_one_call: LuaSocket's methods; 1 is the loop. */
enum { RECEIVE = 2, DIRTY, GETFD };

/* The stack of try_one_call: its arguments and the results of call_receive. */
enum { OBJECT = 1, PATTERN, STATUS, DATA, WHY, PARTIAL };

/* [-0, +1, e] Calls the method in that upvalue with the object. */
static void call_own(lua_State *L, int method)
{
    lua_pushvalue(L, lua_upvalueindex(method));
    lua_pushvalue(L, OBJECT);
    lua_call(L, 1, 1);
}

/* [-0, +4, e] Calls the object's receive once. Pushes true if it has returned
 * data, else false, and its three results. Returns 4. */
static int call_receive(lua_State *L, const sl_loop *loop)
{
    size_t size;
    lua_settop(L, PATTERN);
    lua_pushboolean(L, 0);
    lua_pushvalue(L, lua_upvalueindex(RECEIVE));
    lua_pushvalue(L, OBJECT);
    lua_pushvalue(L, PATTERN);
    lua_call(L, 2, 3);
    if (lua_tolstring(L, DATA, &size) != NULL) {
        sl_exchange_charge(loop->threads->running, size);
        lua_pushboolean(L, 1);
        lua_replace(L, STATUS);
    }
    return 4;
}

/* [-0, +1, e] Pushes the object's descriptor and returns it; -1: none. */
static int push_descriptor(lua_State *L)
{
    int fd;
    call_own(L, GETFD);
    return lua_isnumber(L, -1) && sl_arg_toint(lua_tonumber(L, -1), &fd)
               ? fd : -1;
}

/* [-0, +4, m] Pushes the results of a receive that has failed without bytes:
 * true, nil, error, ''. Returns 4. */
static int push_failed_receive(lua_State *L, int err)
{
    lua_pushboolean(L, 1);
    sl_result_fail(L, err);
    lua_pushliteral(L, "");
    return 4;
}

/* True if call_receive has failed with 'timeout' and without bytes. */
static int has_nothing(lua_State *L)
{
    size_t size;
    return lua_type(L, WHY) == LUA_TSTRING &&
           strcmp(lua_tostring(L, WHY), "timeout") == 0 &&
           lua_tolstring(L, PARTIAL, &size) != NULL && size == 0;
}

/* try_one_call with a count. */
static int receive_count(lua_State *L, const sl_loop *loop)
{
    int n = call_receive(L, loop);
    if (lua_toboolean(L, STATUS) || !has_nothing(L))
        return n;
    return push_descriptor(L) >= 0 ? 1 : push_failed_receive(L, SL_CLOSED);
}

/* try_one_call with the pattern '*l'. Calls the object only if its buffer is
 * empty and the descriptor has a line. */
static int receive_line(lua_State *L, sl_loop *loop)
{
    size_t n;
    int found;
    call_own(L, DIRTY);
    if (lua_toboolean(L, -1)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    int fd = push_descriptor(L);
    int err = fd < 0 ? EBADF : sl_look_forline(loop, fd, &n, &found);
    if (err == EAGAIN)
        return 1;    /* the descriptor */
    if (err != 0)
        return push_failed_receive(L, sl_error_ofstream(err));
    if (n == 0)
        return push_failed_receive(L, SL_CLOSED);
    if (found)
        return call_receive(L, loop);
    lua_pushboolean(L, 0);
    return 1;
}

/* try(object, pattern) -> status, data, error, partial. See look.h. */
static int try_one_call(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    sl_thread *t = loop->threads->running;
    lua_settop(L, PATTERN);
    if (t == NULL || t->spent >= SL_OPERATIONS_MAX)
        return 0;
    t->spent++;
    return lua_type(L, PATTERN) == LUA_TNUMBER ? receive_count(L, loop)
                                               : receive_line(L, loop);
}

int sl_look_receiver(lua_State *L)
{
    lua_settop(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_pushcclosure(L, try_one_call, 4);
    return 1;
}

/* --- errors ------------------------------------------------------------ */

int sl_look_failure(lua_State *L)
{
    int err = sl_fd_error(sl_arg_int(L, 1));
    if (!sl_error_isbroken(err))
        return 0;
    lua_pushstring(L, sl_error_message(sl_error_ofstream(err)));
    return 1;
}

int sl_look_word(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING && sl_error_isclosed(lua_tostring(L, 1)))
        lua_pushliteral(L, "closed");
    return 1;
}
