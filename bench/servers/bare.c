/*
 * bare.c - the minimal cost of a server in Lua: it resumes a connection's
 * coroutine with each line that has arrived, and sends the values it yields.
 *
 *     local serve = require 'bare'
 *     serve(handler)           prints its port
 *
 * It has no timeouts, does not handle errors, and waits only for lines. The
 * cost of a useful library is higher. receive yields, so neither a C function
 * nor a for loop of 5.1 may call it.
 */

#define _GNU_SOURCE    /* accept4 */

#include "compat.h"
#include "listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, READ_SIZE = 64 * 1024, GATHERED = 8 * 1024 };

/* A connection: a userdata on the stack of its coroutine. */
typedef struct connection {
    int fd, anchor;
    lua_State *co;
    char *kept;        /* the beginning of a line */
    size_t nkept;
} connection;

static int epoll;
static char scratch[READ_SIZE], gathered[GATHERED];
static const char *input, *input_end;    /* of the running connection */
static size_t ngathered;

/* --- for the handler --------------------------------------------------- */

/* Keeps an incomplete line. */
static void keep(connection *c)
{
    size_t n = (size_t)(input_end - input);
    if (n == 0)
        return;
    c->kept = realloc(c->kept, c->nkept + n);
    if (c->kept == NULL)
        abort();
    memcpy(c->kept + c->nkept, input, n);
    c->nkept += n;
    input = input_end;
}

/* Pushes the next line, or returns 0. */
static int push_line(lua_State *L, connection *c)
{
    size_t n = (size_t)(input_end - input);
    const char *end = n > 0 ? memchr(input, '\n', n) : NULL;
    if (end == NULL) {
        keep(c);
        return 0;
    }
    n = (size_t)(end - input);
    if (c->nkept == 0) {
        lua_pushlstring(L, input, n);
    } else {
        lua_pushlstring(L, c->kept, c->nkept);
        lua_pushlstring(L, input, n);
        lua_concat(L, 2);
        free(c->kept);
        c->kept = NULL;
        c->nkept = 0;
    }
    input = end + 1;
    return 1;
}

static int meth_receive(lua_State *L)
{
    connection *c = lua_touserdata(L, 1);
    return push_line(L, c) ? 1 : lua_yield(L, 0);
}

static void flush(connection *c)
{
    if (ngathered > 0)
        send(c->fd, gathered, ngathered, MSG_NOSIGNAL);
    ngathered = 0;
}

static int meth_send(lua_State *L)
{
    connection *c = lua_touserdata(L, 1);
    size_t n;
    const char *data = lua_tolstring(L, 2, &n);
    int is_alone = input == input_end && ngathered == 0;
    if (!is_alone && n <= GATHERED - ngathered) {
        memcpy(gathered + ngathered, data, n);
        ngathered += n;
        return 0;
    }
    flush(c);
    send(c->fd, data, n, MSG_NOSIGNAL);
    return 0;
}

static int meth_close(lua_State *L)
{
    connection *c = lua_touserdata(L, 1);
    flush(c);
    close(c->fd);
    free(c->kept);
    luaL_unref(L, LUA_REGISTRYINDEX, c->anchor);
    return 0;
}

static const luaL_Reg methods[] = {
    {"receive", meth_receive},
    {"send", meth_send},
    {"close", meth_close},
    {NULL, NULL}
};

/* --- the server -------------------------------------------------------- */

static void resume(lua_State *L, connection *c, int nargs)
{
    int nresults;
    int status = sl_resume(c->co, L, nargs, &nresults);
    if (status != LUA_OK && status != LUA_YIELD)
        luaL_error(L, "%s", lua_tostring(c->co, -1));
}

static void accept_all(lua_State *L, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        lua_State *co = lua_newthread(L);
        int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
        lua_pushvalue(L, 1);
        connection *c = lua_newuserdata(L, sizeof *c);
        *c = (connection){fd, anchor, co, NULL, 0};
        lua_pushvalue(L, 2);
        lua_setmetatable(L, -2);
        lua_xmove(L, co, 2);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        input = input_end = NULL;
        resume(L, c, 1);
    }
}

static void input_came(lua_State *L, connection *c)
{
    ssize_t n = recv(c->fd, scratch, sizeof scratch, 0);
    if (n < 0)
        return;
    input = scratch;
    input_end = scratch + n;
    if (n > 0 && !push_line(c->co, c))
        return;
    resume(L, c, n > 0);    /* n is 0 at the end */
    if (n > 0)
        flush(c);
}

static void serve_for_ever(lua_State *L, int listener)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(L, listener);
            else
                input_came(L, events[i].data.ptr);
        }
    }
}

/* serve(handler) */
static int serve(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_createtable(L, 0, 1);    /* 2: the metatable of connections */
    lua_newtable(L);
    sl_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_anywhere();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    serve_for_ever(L, listener);
    return 0;
}

int luaopen_bare(lua_State *L);

int luaopen_bare(lua_State *L)
{
    lua_pushcfunction(L, serve);
    return 1;
}
