/*
 * process.h - the state of the whole process: how often it was forked, which
 * descriptors a fork inherits, and the module's code in memory.
 *
 * A child of fork(2) shares its parent's poller and has none of its parent's
 * threads. It has its parent's descriptors, too, and may close them by number,
 * as programs do that become daemons: a remembered number is then nobody's, or
 * somebody else's. So the module notes its descriptors here, in a table for the
 * whole process. Each child, before anything else runs in it, notes in turn
 * which open file each of them is.
 */

#ifndef SL_PROCESS_H
#define SL_PROCESS_H

/* The number of forks since the module was loaded. It changes only in a child,
 * before other code runs there. */
extern unsigned sl_process_forks;

/* Installs the after-fork hook, once for the whole process. 0 or ENOMEM. */
int sl_process_notice(void);

/* The descriptor is one of the module's: children may use it, too. */
void sl_process_share(int fd);

/* The descriptor is one of the module's: children close it at once. */
void sl_process_hide(int fd);

/* The descriptor is about to be closed, or is not the module's any more. */
void sl_process_forget(int fd);

/* Whether a descriptor that was shared when sl_process_forks was `forks`, and
 * that a child has inherited since, is still the same open file there. */
int sl_process_isinherited(int fd, unsigned short forks);

/* Whether a descriptor that was shared at the count of `forks` is the module's
 * in this process. */
static inline int sl_process_isours(int fd, unsigned short forks)
{
    return forks == (unsigned short)sl_process_forks ||
           sl_process_isinherited(fd, forks);
}

/* Keeps the module's code in memory for good. Lua unloads its modules when a
 * state is closed, but a worker thread may still run then, and LuaJIT calls
 * finalizers after that. */
void sl_process_pin(void);

#endif
