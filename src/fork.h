/*
 * fork.h - noticing fork(2). A child has its parent's poller, which is shared,
 * and none of its parent's threads.
 */

#ifndef SL_FORK_H
#define SL_FORK_H

/* How many forks ago the module was loaded. It is the module's one variable,
 * and changes only in a child before anything else runs there. */
extern unsigned sl_fork_count;

/* From now on forks are counted, once for the whole process: 0 or ENOMEM. */
int sl_fork_notice(void);

#endif
