/*
 * watch.h - descriptors given by their numbers: lists of them as arguments, and
 * a question which of them are ready now.
 */

#ifndef SL_WATCH_H
#define SL_WATCH_H

#include "thread/compat.h"

/* [-0, +0, v] How many descriptors the argument at index gives: a number, an
 * array of numbers, or nil for none. */
int sl_watch_count(lua_State *L, int index);

/* [-0, +0, v] The descriptor number i, counted from 0, of the argument at
 * index. */
int sl_watch_descriptor(lua_State *L, int index, int i);

/* ready(reads, writes) -> how many descriptors are ready now, and two arrays
 * that say which */
int sl_watch_ready(lua_State *L);

#endif
