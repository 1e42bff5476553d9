/*
 * socketloop.h - what socketloop offers to C.
 *
 * To a program that is linked with it: its version and luaopen functions, to be
 * used with luaL_requiref or package.preload.
 *
 * To C modules, which need not be linked with it: functions that wait in the
 * loop. They are found in the Lua state, so this header is all it takes:
 *
 *     const socketloop_api *api = socketloop_api_get(L);
 *     if (api != NULL && api->is_in_thread(L))
 *         ready = api->wait(L, fd, SOCKETLOOP_READABLE, 5.0);
 *     else
 *         ...    poll(2)
 */

#ifndef SOCKETLOOP_H
#define SOCKETLOOP_H

#include <lua.h>

#define SOCKETLOOP_VERSION_MAJOR 1
#define SOCKETLOOP_VERSION_MINOR 0
#define SOCKETLOOP_VERSION_PATCH 0
#define SOCKETLOOP_VERSION "1.0.0"

#if defined(__GNUC__)
#define SOCKETLOOP_API __attribute__((visibility("default")))
#else
#define SOCKETLOOP_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* [-0, +1, e] The loader of `require 'socketloop'`. */
SOCKETLOOP_API int luaopen_socketloop(lua_State *L);

/* [-0, +1, e] The loader of `require 'socketloop.coro'`. */
SOCKETLOOP_API int luaopen_socketloop_coro(lua_State *L);

/* [-0, +1, e] The loader of what `require 'coro'` gives. */
SOCKETLOOP_API int luaopen_socketloop_symmetric(lua_State *L);

/* --- waiting in the loop ----------------------------------------------- */

/* The registry's key of the functions. What would break modules that were
 * compiled before gets another key. */
#define SOCKETLOOP_API_KEY "socketloop.api"

/* Grows when functions are added, at the end. */
#define SOCKETLOOP_API_VERSION 1

/* What to wait for, and what has become ready. */
#define SOCKETLOOP_READABLE 1
#define SOCKETLOOP_WRITABLE 2

/* Why waiting failed; errno says more. */
#define SOCKETLOOP_CLOSED (-1)      /* the descriptor is not open, or was closed
                                       meanwhile: EBADF */
#define SOCKETLOOP_NOMEMORY (-2)    /* ENOMEM */
#define SOCKETLOOP_FAILED (-3)      /* the poller refuses it: EMFILE, too high
                                       for select; ENOSPC, too many for epoll;
                                       ... */

/*
 * wait and sleep return when the wait is over; other threads run meanwhile.
 * They may be called in any C function that was called in a loop thread, at any
 * depth of calls and of coroutines nested in the thread: the C stack stays as
 * it is. They wait in the loop that runs the thread; where none does, as in a
 * coroutine of coro's that the main program resumed, in the first one.
 *
 * They raise a Lua error where one cannot wait: outside of loop threads (also
 * in a coroutine that the main program resumed by itself), in LuaJIT's
 * finalizers, and while a thread closes the Lua state; and if Lua has no
 * memory, or no room on its stack. Then they do not return, nor do they when
 * the Lua state is closed meanwhile. So memory or a descriptor that must be
 * freed belongs into a userdata before.
 *
 * L is the Lua state that the C function was called with. Its stack is the same
 * afterwards; is_in_thread takes one slot of it for a moment.
 */
typedef struct socketloop_api {
    int version;

    /* [-0, +0, e] Waits for the descriptor, until it is SOCKETLOOP_READABLE,
     * SOCKETLOOP_WRITABLE, or one of both if events is their sum. Returns
     * what it is ready for, of these; 0 when the time is over; or one of the
     * negative codes. An error or hang-up makes it ready: the next read or
     * write tells. Seconds negative: no limit. 0: looks, and if it is not
     * ready looks again after the other threads had their turn. Any number
     * of threads may wait for one descriptor, also for that of a loop socket,
     * which stays that socket's to close. Raises if events is something
     * else, or seconds not a number. */
    int (*wait)(lua_State *L, int fd, int events, double seconds);

    /* [-0, +0, e] Waits so many seconds; with 0 or less the others get a
     * turn. Raises if seconds is not a number. */
    void (*sleep)(lua_State *L, double seconds);

    /* [-0, +0, -] Whether the caller runs in a loop thread, where it may
     * wait. */
    int (*is_in_thread)(lua_State *L);

    /* [-0, +0, e] The descriptor is about to be closed: those who wait for
     * it, in any loop, go on with SOCKETLOOP_CLOSED. Call it before close(2)
     * where somebody may wait, as the system does not tell; loop sockets do
     * it by themselves. May be called anywhere. */
    void (*closing)(lua_State *L, int fd);
} socketloop_api;

/* [-0, +0, m] The functions, valid as long as the Lua state; NULL if socketloop
 * was not loaded in it, or is older than this header. Takes one slot of the
 * stack for a moment. */
static inline const socketloop_api *socketloop_api_get(lua_State *L)
{
    const socketloop_api *api;
    lua_getfield(L, LUA_REGISTRYINDEX, SOCKETLOOP_API_KEY);
    api = (const socketloop_api *)lua_touserdata(L, -1);
    lua_pop(L, 1);
    return api != NULL && api->version >= SOCKETLOOP_API_VERSION ? api : NULL;
}

#ifdef __cplusplus
}
#endif

#endif
