/*
 * socketloop.h - the interface of socketloop for C.
 *
 * For a program that is linked with socketloop: the version and the luaopen
 * functions, to be used with luaL_requiref or package.preload.
 *
 * For C modules, which need not be linked with it: functions that wait in the
 * loop. A module finds them in the Lua state; only this header is needed to
 * compile it:
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

/* [-0, +1, e] The loader of `require 'coro'`. */
SOCKETLOOP_API int luaopen_socketloop_symmetric(lua_State *L);

/* --- waiting in the loop ----------------------------------------------- */

/* The key of the functions in the registry. A change that breaks compiled
 * modules gets another key. */
#define SOCKETLOOP_API_KEY "socketloop.api"

/* Incremented when functions are appended. */
#define SOCKETLOOP_API_VERSION 1

/* Conditions to wait for, and those that are met. */
#define SOCKETLOOP_READABLE 1
#define SOCKETLOOP_WRITABLE 2

/* Reasons for a failed wait; errno has details. */
#define SOCKETLOOP_CLOSED (-1)      /* the descriptor is not open, or was closed
                                       meanwhile: EBADF */
#define SOCKETLOOP_NOMEMORY (-2)    /* ENOMEM */
#define SOCKETLOOP_FAILED (-3)      /* the poller refuses it: EMFILE, too high
                                       for select; ENOSPC, too many for epoll;
                                       ... */

/*
 * wait and sleep return when the wait is over; other threads run meanwhile.
 * They may be called in any C function that was called in a loop thread, at any
 * depth of calls and of coroutines nested in the thread: the C stack is
 * preserved. They wait in the loop that runs the thread. If no loop runs it, as
 * in a coroutine of coro that the main program resumed, they wait in the loop
 * of `require 'socketloop'`.
 *
 * They raise a Lua error where waiting is impossible: outside of loop threads
 * (also in a coroutine that the main program resumed by itself), in LuaJIT's
 * finalizers, and while a thread closes the Lua state; and if Lua has no
 * memory, or no room on its stack. In these cases they do not return, nor when
 * the Lua state is closed meanwhile. So memory or a descriptor that must be
 * freed has to be owned by a userdata before the call.
 *
 * L is the Lua state that the C function was called with. Its stack is
 * unchanged afterwards; is_in_thread uses one slot temporarily.
 */
typedef struct socketloop_api {
    int version;

    /* [-0, +0, e] Waits for the descriptor until it is SOCKETLOOP_READABLE,
     * SOCKETLOOP_WRITABLE, or one of the two if events is their sum. Returns
     * the requested conditions that are met; 0 on a timeout; or one of the
     * negative codes. An error or hang-up meets each condition: the next read
     * or write reports it. Negative seconds: no timeout. 0 seconds: checks, and
     * if no condition is met, checks again after the other threads have had a
     * turn. Any number of threads may wait for a descriptor, also for that of a
     * loop socket, which the socket still owns. Raises if events is another
     * value, or seconds is not a number. */
    int (*wait)(lua_State *L, int fd, int events, double seconds);

    /* [-0, +0, e] Waits so many seconds; with 0 or less gives way to the
     * other threads for one turn. Raises if seconds is not a number. */
    void (*sleep)(lua_State *L, double seconds);

    /* [-0, +0, -] Whether the caller runs in a loop thread, where it may
     * wait. */
    int (*is_in_thread)(lua_State *L);

    /* [-0, +0, e] Announces that the descriptor will be closed: in every loop,
     * waits for it end with SOCKETLOOP_CLOSED. To be called before close(2) if
     * a thread may wait, as the system does not report a close. Loop sockets do
     * this themselves. May be called anywhere. */
    void (*closing)(lua_State *L, int fd);
} socketloop_api;

/* [-0, +0, m] Returns the functions, valid as long as the Lua state; NULL if
 * socketloop was not loaded in this state, or is older than this header. Uses
 * one stack slot temporarily. */
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
