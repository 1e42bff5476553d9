/*
 * class.h - the metatables of asockets, and the methods in them.
 */

#ifndef SL_CLASS_H
#define SL_CLASS_H

#include "socket/asocket.h"

/* The lookup of names that are neither fields nor methods. */
typedef struct sl_class_names {
    /* [-0, +1, e] Pushes the value of the name at index 2 for the asocket at
     * index 1, which may be finalized. Upvalue 1 of the running C function is
     * the loop. */
    int (*index)(lua_State *L, sl_asocket *a);
} sl_class_names;

/* [-1, +1, m] Pops a loop and pushes the list of metatables of its asockets:
 * one for each transport, used by asockets with neither fields nor an object,
 * and SL_CLASS_OF_ALL, used by all other asockets. lists[i] are the methods of
 * transport i. */
void sl_class_make(lua_State *L, const luaL_Reg *const *const *lists,
                   const sl_class_names *names);

extern const luaL_Reg sl_class_methods[];    /* of every socket */

#endif
