/*
 * mute.h - a debug hook for calls or returns of functions is not called for
 * calls of ours, which are no matter for it and must not fail by its errors.
 */

#ifndef SL_MUTE_H
#define SL_MUTE_H

#include "thread/compat.h"

typedef struct sl_muted {
    lua_Hook hook;             /* which is not set meanwhile, or NULL */
    int mask, count;
} sl_muted;

/* [-0, +0, -] Such a hook is not called until sl_mute_end. */
sl_muted sl_mute_begin(lua_State *L);

/* [-0, +0, -] A hook that a signal handler has set meanwhile stays. */
void sl_mute_end(lua_State *L, sl_muted muted);

#endif
