/*
 * object_driver.h - asockets with a LuaSocket object: the driver.
 */

#ifndef SL_OBJECT_DRIVER_H
#define SL_OBJECT_DRIVER_H

#include "socket/asocket.h"

extern const sl_driver sl_object_driver;

/* [-0, +1, e] Pushes the object of the asocket at index, made if there is
 * none. Others may read from it and write to it from now on. */
void sl_object_driver_need(lua_State *L, int index);

#endif
