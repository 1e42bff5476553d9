/*
 * process.h - state of the whole process: the number of forks, the descriptors
 * that a fork inherits, and the module's code in memory.
 *
 * A child of fork(2) shares its parent's poller and has none of its parent's OS
 * threads. It has copies of its parent's descriptors, and may close them by
 * number, as programs do that become daemons. A remembered number may then be
 * unused, or belong to another open file. So the module notes its descriptors
 * here, in a table for the whole process. Each child, before other code runs in
 * it, notes the open file of each of them.
 */

#ifndef SL_PROCESS_H
#define SL_PROCESS_H

/* The number of forks since the module was loaded. It changes only in a child,
 * before other code runs there. */
extern unsigned sl_process_forks;

/* Installs the after-fork hook, once for the whole process. 0 or ENOMEM. */
int sl_process_notice(void);

/* Notes a descriptor of the module that children may use, too. */
void sl_process_share(int fd);

/* Notes a descriptor of the module that children close at once. */
void sl_process_hide(int fd);

/* Removes a descriptor that is about to be closed or given away. */
void sl_process_forget(int fd);

/* For a descriptor that was shared when sl_process_forks was `forks`: whether
 * this process is a child that has inherited it, and it is still the same open
 * file. */
int sl_process_isinherited(int fd, unsigned short forks);

/* For a descriptor that was shared when sl_process_forks was `forks`: whether
 * it is the module's in this process. */
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
