/*
 * class.h - the metatables of asockets, and the methods in them.
 */

#ifndef SL_CLASS_H
#define SL_CLASS_H

#include "socket/asocket.h"

/* [-1, +1, m] For the loop on the top pushes the list of its asockets'
 * metatables: one for each transport, of those with neither fields nor an
 * object, and one for all others (SL_CLASS_OF_ALL). lists are each transport's
 * methods. */
void sl_class_make(lua_State *L, const luaL_Reg *const *const *lists);

/* The methods, by the file they are in. */
extern const luaL_Reg sl_class_methods[];
extern const luaL_Reg sl_property_methods[];
extern const luaL_Reg sl_property_inetmethods[];
extern const luaL_Reg sl_property_streammethods[];
extern const luaL_Reg sl_receive_methods[];
extern const luaL_Reg sl_send_methods[];
extern const luaL_Reg sl_stream_methods[];
extern const luaL_Reg sl_accept_methods[];
extern const luaL_Reg sl_client_limit_methods[];
extern const luaL_Reg sl_bind_methods[];
extern const luaL_Reg sl_bind_streammethods[];
extern const luaL_Reg sl_bind_udpmethods[];
extern const luaL_Reg sl_connect_methods[];
extern const luaL_Reg sl_datagram_methods[];
extern const luaL_Reg sl_udp_methods[];
extern const luaL_Reg sl_unix_methods[];
extern const luaL_Reg sl_unix_dgrammethods[];

#endif
