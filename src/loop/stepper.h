/*
 * stepper.h - the functions step and start. A loop may be run by the program or
 * by a thread of another loop, which may be collected meanwhile. However the
 * run ends, the loop can be run again.
 */

#ifndef SL_STEPPER_H
#define SL_STEPPER_H

#include <lua.h>

/* step([timeout]) -> true; false if nothing is ready or waits */
int sl_stepper_step(lua_State *L);

/* start([timeout]): steps until nothing waits or stop is called. */
int sl_stepper_start(lua_State *L);

#endif
