/*
 * foreign.h - asockets whose object is not LuaSocket's: LuaSec's, or anything
 * with the methods receive, send, close and getfd.
 *
 * The object does its own I/O; the asocket never touches the descriptor but
 * to wait for it. Its methods are called in blocking style, and called again
 * after a wait each time they want to read, to write, or have timed out.
 *
 * An object may want either direction in any method: TLS reads while it sends
 * and the other way round. So the thread that receives always waits in the
 * source's reader and the one that sends in its writer, and only the wait's
 * interest says for which direction. A call in one direction may complete what
 * the other thread waits for without the descriptor becoming ready; so after
 * each call the other wait is ended, too.
 */

#ifndef SL_FOREIGN_H
#define SL_FOREIGN_H

#include "socket/asocket.h"

/* Whether the value at index is such an object. */
int sl_foreign_is(lua_State *L, int index);

/* Whether it is LuaSec's. */
int sl_foreign_istls(lua_State *L, int index);

/* [-0, +0, e] Before the object at index becomes an asocket's: makes its
 * methods return instead of waiting. */
void sl_foreign_prepare(lua_State *L, int index);

extern const sl_driver sl_foreign_driver;

extern const luaL_Reg sl_foreign_methods[];

#endif
