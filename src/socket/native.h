/*
 * native.h - the descriptor of a socket that owns it. See driver.h.
 */

#ifndef SL_NATIVE_H
#define SL_NATIVE_H

#include "socket/asocket.h"

/* Gives the asocket a descriptor to own. 0 or an error, and then it's not
 * owned. */
int sl_native_take(sl_asocket *a, int fd);

/* Gives the asocket a new descriptor of that family. 0 or how it failed. */
int sl_native_open(sl_asocket *a, int family);

/* Lets go of the descriptor and closes it, waking nobody. Nothing to do if it
 * is not the socket's own. */
void sl_native_drop(sl_asocket *a);

/* Turns a bound asocket into a listening one. 0 or an errno. */
int sl_native_listen(sl_asocket *a, int backlog);

#endif
