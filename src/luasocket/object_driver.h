/*
 * object_driver.h - the driver of asockets with a LuaSocket object.
 */

#ifndef SL_OBJECT_DRIVER_H
#define SL_OBJECT_DRIVER_H

#include "socket/asocket.h"

extern const sl_driver sl_object_driver;

/* [-0, +1, e] Pushes the object of the asocket at index, to hand it to the
 * program. Makes a LuaSocket object if there is none. The program may use the
 * object from now on, so the asocket is assumed to be ready. */
void sl_object_driver_need(lua_State *L, int index);

#endif
