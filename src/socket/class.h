/*
 * class.h - the metatables of asockets, and the methods in them.
 */

#ifndef SL_CLASS_H
#define SL_CLASS_H

#include "socket/asocket.h"

/* Gives the values of names that are neither fields nor methods. */
typedef struct sl_class_names {
    /* [-0, +1, e] Pushes the value of the name at 2 for the asocket at 1, which
     * may be finalized. The running C function has the loop as its first
     * upvalue. */
    int (*index)(lua_State *L, sl_asocket *a);
} sl_class_names;

/* [-1, +1, m] For the loop on the top pushes the list of its asockets'
 * metatables: one for each transport, of those with neither fields nor an
 * object, and one for all others (SL_CLASS_OF_ALL). lists are each transport's
 * methods. */
void sl_class_make(lua_State *L, const luaL_Reg *const *const *lists,
                   const sl_class_names *names);

extern const luaL_Reg sl_class_methods[];    /* of every socket */

#endif
