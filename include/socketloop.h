/*
 * socketloop.h - what socketloop's shared object offers to a C host:
 * its version and its luaopen functions, to be used with luaL_requiref
 * or package.preload where the module is linked into the program.
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

#ifdef __cplusplus
}
#endif

#endif
