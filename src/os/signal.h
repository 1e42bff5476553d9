/*
 * signal.h - the signals that concern the module: SIGPIPE and SIGINT.
 */

#ifndef SL_SIGNAL_H
#define SL_SIGNAL_H

/* Ignores SIGPIPE, unless the program handles it. Sockets of LuaSocket need
 * that; LuaSocket does so, too, but may not be loaded. */
void sl_signal_ignorepipe(void);

/* Calls function(arg), then restores the handling of SIGPIPE. */
int sl_signal_keeppipe(int (*function)(void *arg), void *arg);

/* Whether SIGINT has a handler. */
int sl_signal_isinterrupthandled(void);

#endif
