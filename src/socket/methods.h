/*
 * methods.h - lists of methods of sockets: sl_FILE_methods is in FILE.c.
 */

#ifndef SL_METHODS_H
#define SL_METHODS_H

#include "thread/compat.h"

extern const luaL_Reg sl_property_methods[];
extern const luaL_Reg sl_property_inetmethods[];
extern const luaL_Reg sl_property_streammethods[];
extern const luaL_Reg sl_receive_methods[];
extern const luaL_Reg sl_send_methods[];
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
