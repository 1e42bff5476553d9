/*
 * host.c - a program that embeds Lua, for tests that the interpreter cannot
 * run:
 *
 *     host THREADS TIMES LINGER SCRIPT
 *
 * runs the script in so many threads at once, in each of them so many times,
 * every time in a new Lua state. Then it waits for LINGER milliseconds. The
 * exit status says whether every script succeeded. Besides the standard
 * libraries a script has
 *
 *     fork() -> pid; a child ends with the script, after lua_close, and its
 *               status is the number that the script returned
 *     quit(status), which is _exit(2)
 *     wait(pid) -> status, or nil if the child was killed
 *     shut(status) closes the script's own state, then quits
 *     closefrom(descriptor) closes this descriptor and all above it
 *
 * and can make further Lua states in the same thread:
 *
 *     newstate() -> state
 *     runstate(state, code) -> the number that the code returned
 *     closestate(state)
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008 and common extensions */

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

/* Ends a child without running exit handlers: leak checkers do not know of the
 * fork. For coverage, which is written by an exit handler, calls exit. */
static void leave(int status)
{
    if (getenv("SOCKETLOOP_TEST_EXIT") != NULL)
        exit(status);
    fflush(NULL);
    _exit(status);
}

static int func_fork(lua_State *L)
{
    lua_pushinteger(L, fork());
    return 1;
}

static int func_quit(lua_State *L)
{
    leave((int)luaL_checkinteger(L, 1));
    return 0;
}

/* Closes the script's own state, whichever thread runs in it. */
static int func_shut(lua_State *L)
{
    int status = (int)luaL_checkinteger(L, 1);
    lua_close(L);
    leave(status);
    return 0;
}

static int func_wait(lua_State *L)
{
    int status;
    if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0 ||
        !WIFEXITED(status))
        return 0;
    lua_pushinteger(L, WEXITSTATUS(status));
    return 1;
}

static int func_closefrom(lua_State *L)
{
    long end = sysconf(_SC_OPEN_MAX);
    for (int fd = (int)luaL_checkinteger(L, 1); fd < end; fd++)
        close(fd);
    return 0;
}

static int func_newstate(lua_State *L)
{
    lua_State *other = luaL_newstate();
    if (other == NULL)
        return luaL_error(L, "not enough memory");
    luaL_openlibs(other);
    lua_pushlightuserdata(L, other);
    return 1;
}

static int func_runstate(lua_State *L)
{
    lua_State *other = lua_touserdata(L, 1);
    if (luaL_loadstring(other, luaL_checkstring(L, 2)) ||
        lua_pcall(other, 0, 1, 0))
        return luaL_error(L, "%s", lua_tostring(other, -1));
    lua_pushnumber(L, lua_tonumber(other, -1));
    lua_pop(other, 1);
    return 1;
}

static int func_closestate(lua_State *L)
{
    lua_close(lua_touserdata(L, 1));
    return 0;
}

static int run_script(const char *name)
{
    lua_State *L = luaL_newstate();
    if (L == NULL)
        return 0;
    luaL_openlibs(L);
    lua_register(L, "fork", func_fork);
    lua_register(L, "quit", func_quit);
    lua_register(L, "shut", func_shut);
    lua_register(L, "wait", func_wait);
    lua_register(L, "closefrom", func_closefrom);
    lua_register(L, "newstate", func_newstate);
    lua_register(L, "runstate", func_runstate);
    lua_register(L, "closestate", func_closestate);
    pid_t own = getpid();
    int failed = luaL_loadfile(L, name) || lua_pcall(L, 0, 1, 0);
    int status = failed ? 1 : (int)lua_tointeger(L, -1);
    if (failed)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_close(L);
    if (getpid() != own)
        leave(status);
    return !failed;
}

/* The work of a thread, and the number of its failures. */
typedef struct work {
    pthread_t thread;
    const char *script;
    int times, failures;
} work;

static void *run(void *arg)
{
    work *w = arg;
    for (int i = 0; i < w->times; i++)
        w->failures += !run_script(w->script);
    return NULL;
}

int main(int argc, char **argv)
{
    static work works[THREADS_MAX];
    int failures = 0;
    int n = argc == 5 ? atoi(argv[1]) : 0;
    if (n < 1 || n > THREADS_MAX) {
        fprintf(stderr, "usage: host THREADS TIMES LINGER SCRIPT\n");
        return 2;
    }
    for (int i = 0; i < n; i++) {
        works[i].script = argv[4];
        works[i].times = atoi(argv[2]);
        if (pthread_create(&works[i].thread, NULL, run, &works[i]) != 0)
            return 2;
    }
    for (int i = 0; i < n; i++) {
        pthread_join(works[i].thread, NULL);
        failures += works[i].failures;
    }
    long linger = atol(argv[3]);
    struct timespec time = {linger / 1000, linger % 1000 * 1000000};
    nanosleep(&time, NULL);
    return failures > 0;
}
