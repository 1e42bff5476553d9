/*
 * native.h - the native driver: sockets that own their descriptor. See
 * driver.h.
 */

#ifndef SL_NATIVE_H
#define SL_NATIVE_H

#include "socket/asocket.h"

/* Makes the asocket the owner of fd. Returns 0 or a code (error.h); on failure
 * fd still belongs to the caller. */
int sl_native_take(sl_asocket *a, int fd);

/* Makes a descriptor of that family for the asocket. Returns 0 or a code. */
int sl_native_open(sl_asocket *a, int family);

/* Closes the asocket's descriptor without waking waiting threads. Does nothing
 * if the asocket does not own a descriptor. */
void sl_native_drop(sl_asocket *a);

/* Turns a bound asocket into a listening one. Returns 0 or an errno. */
int sl_native_listen(sl_asocket *a, int backlog);

#endif
