/*
 * signal.h - the two signals that concern the module.
 */

#ifndef SL_SIGNAL_H
#define SL_SIGNAL_H

/* Others' writes don't raise SIGPIPE from now on, unless the program handles
 * it: LuaSocket sees to that, too, but may not be loaded. */
void sl_signal_ignorepipe(void);

/* Calls function(arg). How SIGPIPE is handled is as before afterwards. */
int sl_signal_keeppipe(int (*function)(void *arg), void *arg);

/* Whether SIGINT has a handler. */
int sl_signal_isinterrupthandled(void);

#endif
