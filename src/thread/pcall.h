/*
 * pcall.h - a protected call that allocates nothing.
 */

#ifndef SL_PCALL_H
#define SL_PCALL_H

#include "thread/thread.h"

/* Is called without arguments; returns the number of results. */
typedef int (*sl_pcall_function)(lua_State *L, void *arg);

/* [-0, +(nresults|1), -] lua_pcall of body(L, arg). No closure is made for it,
 * so it can be called when there is no memory. */
int sl_pcall_body(lua_State *L, sl_threads *all, sl_pcall_function body,
                  void *arg, int nresults);

/* (address of a call) -> results. The C function that does it. */
int sl_pcall_call(lua_State *L);

#endif
