/*
 * look.c - looking at a descriptor without taking anything from it. See
 * look.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/look.h"

#include "loop/loop.h"
#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "thread/arg.h"

#include <errno.h>
#include <string.h>

enum { BYTES_MAX = 64 * 1024 };

/* Looks for a line feed among size bytes that can be received. Sets *n to how
 * many there are; 0 or an errno. */
static int look_for_line(sl_loop *loop, int fd, size_t size, size_t *n,
                         int *found)
{
    sl_buffer buffer = {NULL};
    char *bytes = sl_buffer_room(&buffer, &loop->scratch, size);
    *n = 0;
    if (bytes == NULL)
        return ENOMEM;
    int err = sl_fd_peek(fd, bytes, size, n);
    *found = memchr(bytes, '\n', *n) != NULL;
    sl_buffer_free(&buffer, &loop->scratch);
    return err;
}

/* Sets *n to how many bytes can be received. 0 or an errno. */
static int count_bytes(int fd, size_t *n)
{
    char first;
    int err = sl_fd_peek(fd, &first, 1, n);
    if (err == 0 && *n > 0)
        *n = sl_fd_pending(fd);
    if (*n > BYTES_MAX)
        *n = BYTES_MAX;
    return err;
}

int sl_look_ahead(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    int fd = sl_arg_int(L, 1);
    double size = sl_arg_optnumber(L, 2, 0);
    size_t n;
    int found = 0;
    sl_arg_check(L, size >= 0 && size <= BYTES_MAX, 2, "invalid size");
    int err = size > 0 ? look_for_line(loop, fd, sl_arg_tosize(size), &n,
                                         &found)
                       : count_bytes(fd, &n);
    int failure = err != 0 ? sl_error_ofstream(err) : 0;
    if (failure != 0 && failure != SL_AGAIN)
        return sl_result_fail(L, failure);
    if (failure == SL_AGAIN)
        lua_pushboolean(L, 0);
    else
        lua_pushinteger(L, (lua_Integer)n);
    lua_pushboolean(L, found);
    return 2;
}

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
