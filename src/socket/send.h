/*
 * send.h - waiting for what was sent.
 */

#ifndef SL_SEND_H
#define SL_SEND_H

#include "socket/asocket.h"

/* [-0, +0, e] Waits until what was sent is not on our side any more. what
 * names the calling function. */
void sl_send_settle(lua_State *L, sl_asocket *a, const char *what);

#endif
