/*
 * guard.h - closing a server's client when its handler has failed.
 *
 * The client's method close is called, which the program may have replaced. It
 * runs in a thread of its own, so it may wait. If it fails the client is closed
 * by sl_close_asocket, and the method's error is reported like any other.
 */

#ifndef SL_GUARD_H
#define SL_GUARD_H

#include "loop/loop.h"

/* [-0, +0, m] Makes the thread at index `thread` the handler of the client at
 * index `client`. Keeps neither alive. */
void sl_guard_set(lua_State *L, int thread, int client);

/* [-0, +0, -] To be called when the thread at index has failed. Closes its
 * client, if it is a handler. */
void sl_guard_failed(lua_State *L, int thread);

/* [-0, +0, -] Closes the client at index, whose handler has failed. */
void sl_guard_close(lua_State *L, int client);

/* The Lua function closer(client), upvalue: the loop. Starts a thread that
 * calls the client's method close. A second call for a client closes the
 * descriptor instead. */
int sl_guard_closer(lua_State *L);

#endif
