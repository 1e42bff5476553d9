/*
 * guard.h - what becomes of a server's client when its handler fails: it is
 * closed, by its method close, which the program may have replaced.
 *
 * That method runs as a thread of its own, so it may wait. If it fails, the
 * client is closed by the method that all sockets have, and the second error is
 * reported like any other.
 */

#ifndef SL_GUARD_H
#define SL_GUARD_H

#include "loop/loop.h"

/* [-0, +0, m] If the thread at one index fails, the client at the other is
 * closed. It is not kept alive for that. */
void sl_guard_set(lua_State *L, int thread, int client);

/* [-0, +0, -] The thread at index has failed: closes its client, if it has
 * one. */
void sl_guard_failed(lua_State *L, int thread);

/* [-0, +0, -] The handler of the client at index has failed: closes it. */
void sl_guard_close(lua_State *L, int client);

/* (client): closes it. Called once more if it failed. Upvalue: the loop. */
int sl_guard_closer(lua_State *L);

#endif
