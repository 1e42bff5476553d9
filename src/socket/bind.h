/*
 * bind.h - giving a socket its near end, for methods and functions.
 */

#ifndef SL_BIND_H
#define SL_BIND_H

#include "socket/asocket.h"

/* Gives the asocket a new descriptor of that family. 0 or how it failed. */
int sl_bind_open(sl_asocket *a, int family);

/* Lets go of our descriptor and closes it, waking nobody. */
void sl_bind_drop(sl_asocket *a);

/* [-0, +0, e] Calls the LuaSocket object's method of that name with a numeric
 * address and port; the asocket, which is at index 1, learns what came of it.
 * 0 or how it failed. */
int sl_bind_ask(lua_State *L, sl_asocket *a, const char *method,
                const char *host, const char *port);

/* [-0, +0, e] Binds the asocket to the first address of the local host that
 * can be bound; host "*" is any. A name is waited for in a thread of our own.
 * 0 or how it failed. */
int sl_bind_to(lua_State *L, sl_asocket *a, const char *host,
               const char *port, int reuse);

/* Turns a bound asocket into a listening one. 0 or an errno. */
int sl_bind_listen(sl_asocket *a, int backlog);

#endif
