/*
 * api.c - a C module as users write one: of socketloop it knows only
 * socketloop.h. Exposes the functions of that header to the specs, and
 * descriptors that no Lua object owns.
 */

#include <socketloop.h>

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int luaopen_api(lua_State *L);

static const socketloop_api *check_api(lua_State *L)
{
    const socketloop_api *api = socketloop_api_get(L);
    if (api == NULL)
        luaL_error(L, "no socketloop here");
    return api;
}

/* --- what the header offers -------------------------------------------- */

/* [-0, +(1|3), m] Pushes the result of wait: 'r', 'w', 'rw' or 'timeout'; or
 * nil, the code's name, errno. */
static int push_outcome(lua_State *L, int result)
{
    static const char *const names[] = {"timeout", "r", "w", "rw"};
    static const char *const codes[] = {NULL, "closed", "no memory", "failed"};
    int err = errno;
    if (result >= 0) {
        lua_pushstring(L, names[result]);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, codes[-result]);
    lua_pushinteger(L, err);
    return 3;
}

static int check_events(lua_State *L, int index)
{
    const char *events = luaL_checkstring(L, index);
    return (strchr(events, 'r') != NULL ? SOCKETLOOP_READABLE : 0) |
           (strchr(events, 'w') != NULL ? SOCKETLOOP_WRITABLE : 0) |
           (strchr(events, 'x') != NULL ? 4 : 0);
}

/* wait(fd, events, seconds) -> see push_outcome */
static int func_wait(lua_State *L)
{
    int fd = (int)luaL_checknumber(L, 1);
    int events = check_events(L, 2);
    double seconds = luaL_checknumber(L, 3);
    return push_outcome(L, check_api(L)->wait(L, fd, events, seconds));
}

/* waitfull(fd): wait(fd, 'r') with none of the stack slots left that a C
 * function is guaranteed; raises if the stack has changed afterwards. */
static int func_waitfull(lua_State *L)
{
    int fd = (int)luaL_checknumber(L, 1);
    lua_settop(L, 0);
    for (int i = 1; i < LUA_MINSTACK; i++)
        lua_pushinteger(L, i);
    int result = check_api(L)->wait(L, fd, SOCKETLOOP_READABLE, 5);
    if (lua_gettop(L) != LUA_MINSTACK - 1)
        return luaL_error(L, "the stack has %d values", lua_gettop(L));
    for (int i = 1; i < LUA_MINSTACK; i++)
        if (lua_tointeger(L, i) != i)
            return luaL_error(L, "the stack has lost value %d", i);
    lua_settop(L, 0);
    return push_outcome(L, result);
}

/* waitall(fd, ...) -> number of descriptors that became readable, waiting for
 * one after the other */
static int func_waitall(lua_State *L)
{
    int count = 0;
    for (int i = 1; i <= lua_gettop(L); i++) {
        int fd = (int)luaL_checknumber(L, i);
        count += check_api(L)->wait(L, fd, SOCKETLOOP_READABLE, 5) > 0;
    }
    lua_pushinteger(L, count);
    return 1;
}

/* waitandraise(fd, message) waits for 'r', then raises. */
static int func_waitandraise(lua_State *L)
{
    int fd = (int)luaL_checknumber(L, 1);
    check_api(L)->wait(L, fd, SOCKETLOOP_READABLE, 5);
    return luaL_error(L, "%s", luaL_checkstring(L, 2));
}

/* waitaround(fd, f): waits for 'r', calls f, waits again. A buffer on the C
 * stack must not change. */
static int func_waitaround(lua_State *L)
{
    char buffer[512], same[512];
    int fd = (int)luaL_checknumber(L, 1);
    memset(buffer, fd, sizeof buffer);
    check_api(L)->wait(L, fd, SOCKETLOOP_READABLE, 5);
    lua_pushvalue(L, 2);
    lua_call(L, 0, 0);
    check_api(L)->wait(L, fd, SOCKETLOOP_READABLE, 5);
    memset(same, fd, sizeof same);
    lua_pushboolean(L, memcmp(buffer, same, sizeof same) == 0);
    return 1;
}

/* sleep(seconds) */
static int func_sleep(lua_State *L)
{
    check_api(L)->sleep(L, luaL_checknumber(L, 1));
    return 0;
}

/* inthread() -> is_in_thread */
static int func_inthread(lua_State *L)
{
    lua_pushboolean(L, check_api(L)->is_in_thread(L));
    return 1;
}

/* closing(fd) */
static int func_closing(lua_State *L)
{
    check_api(L)->closing(L, (int)luaL_checknumber(L, 1));
    return 0;
}

/* found([version]) -> whether there is an API; with a version: whether there
 * would be one if socketloop had this version */
static int func_found(lua_State *L)
{
    socketloop_api other = {(int)luaL_optinteger(L, 1, 0), NULL, NULL, NULL,
                            NULL};
    int replaces = !lua_isnoneornil(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, SOCKETLOOP_API_KEY);
    if (replaces) {
        lua_pushlightuserdata(L, &other);
        lua_setfield(L, LUA_REGISTRYINDEX, SOCKETLOOP_API_KEY);
    }
    int found = socketloop_api_get(L) != NULL;
    lua_setfield(L, LUA_REGISTRYINDEX, SOCKETLOOP_API_KEY);
    lua_pushboolean(L, found);
    return 1;
}

/* --- descriptors ------------------------------------------------------- */

static int push_descriptors(lua_State *L, const int fds[2])
{
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
        lua_pushinteger(L, fds[i]);
    }
    return 2;
}

/* pipe() -> reading end, writing end */
static int func_pipe(lua_State *L)
{
    int fds[2];
    if (pipe(fds) < 0)
        return luaL_error(L, "pipe: %s", strerror(errno));
    return push_descriptors(L, fds);
}

/* pair() -> two connected sockets */
static int func_pair(lua_State *L)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return luaL_error(L, "socketpair: %s", strerror(errno));
    return push_descriptors(L, fds);
}

/* open(name) -> a descriptor of the file, for reading and writing */
static int func_open(lua_State *L)
{
    lua_pushinteger(L, open(luaL_checkstring(L, 1), O_RDWR));
    return 1;
}

/* duplicate(fd, other): makes other a duplicate of fd */
static int func_duplicate(lua_State *L)
{
    lua_pushinteger(L, dup2((int)luaL_checknumber(L, 1),
                            (int)luaL_checknumber(L, 2)));
    return 1;
}

/* write(fd, bytes) -> number of bytes written, or nil */
static int func_write(lua_State *L)
{
    size_t size;
    int fd = (int)luaL_checknumber(L, 1);
    const char *bytes = luaL_checklstring(L, 2, &size);
    ssize_t n = write(fd, bytes, size);
    if (n < 0)
        return 0;
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* read(fd) -> the bytes available, '' at the end, nil if there are none */
static int func_read(lua_State *L)
{
    char bytes[4096];
    ssize_t n = read((int)luaL_checknumber(L, 1), bytes, sizeof bytes);
    if (n < 0)
        return 0;
    lua_pushlstring(L, bytes, (size_t)n);
    return 1;
}

/* close(fd, ...) */
static int func_close(lua_State *L)
{
    for (int i = 1; i <= lua_gettop(L); i++)
        close((int)luaL_checknumber(L, i));
    return 0;
}

static const luaL_Reg functions[] = {
    {"close", func_close},
    {"closing", func_closing},
    {"duplicate", func_duplicate},
    {"found", func_found},
    {"inthread", func_inthread},
    {"open", func_open},
    {"pair", func_pair},
    {"pipe", func_pipe},
    {"read", func_read},
    {"sleep", func_sleep},
    {"wait", func_wait},
    {"waitall", func_waitall},
    {"waitandraise", func_waitandraise},
    {"waitaround", func_waitaround},
    {"waitfull", func_waitfull},
    {"write", func_write},
    {NULL, NULL}
};

int luaopen_api(lua_State *L)
{
    lua_newtable(L);
    for (const luaL_Reg *f = functions; f->name != NULL; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, -2, f->name);
    }
    return 1;
}
