/*
 * pcall.h - a protected call that allocates nothing.
 */

#ifndef SL_PCALL_H
#define SL_PCALL_H

#include "thread/thread.h"

/* Called with an empty stack; returns the number of results on it. */
typedef int (*sl_pcall_function)(lua_State *L, void *arg);

/* [-0, +(nresults|1), -] Calls body(L, arg) like lua_pcall. Makes no closure,
 * so it works without memory. */
int sl_pcall_body(lua_State *L, sl_threads *all, sl_pcall_function body,
                  void *arg, int nresults);

/* (address of a struct call) -> results of its body. Called by
 * sl_pcall_body. */
int sl_pcall_call(lua_State *L);

#endif
