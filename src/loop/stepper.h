/*
 * stepper.h - step and start: who may run a loop, and that it can be run again
 * however that ended. A thread of one loop may run the other one, and be
 * dropped in the middle of it.
 */

#ifndef SL_STEPPER_H
#define SL_STEPPER_H

#include <lua.h>

/* step([timeout]) -> true, or false if nothing waits */
int sl_stepper_step(lua_State *L);

/* start([timeout]): steps until nothing waits or stop is called. */
int sl_stepper_start(lua_State *L);

#endif
