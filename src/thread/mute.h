/*
 * mute.h - sets a debug hook for calls or returns aside during our own calls.
 * These do not concern the hook, and an error of the hook must not make them
 * fail.
 */

#ifndef SL_MUTE_H
#define SL_MUTE_H

#include "thread/compat.h"

typedef struct sl_muted {
    lua_Hook hook;             /* the hook that is set aside, or NULL */
    int mask, count;
} sl_muted;

/* [-0, +0, -] Sets a hook for calls or returns aside until sl_mute_end. */
sl_muted sl_mute_begin(lua_State *L);

/* [-0, +0, -] Sets the hook again, unless a signal handler has set another one
 * since. */
void sl_mute_end(lua_State *L, sl_muted muted);

#endif
