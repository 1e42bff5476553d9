/*
 * path.h - the paths of unix sockets: what file is there, and whose.
 *
 * A server that is no more has left its path, which is in the way of the next
 * one. That is removed while the folder is locked (flock), or a server could
 * remove what another has just made. Only for moments; a child that is forked
 * meanwhile has the lock, too, until it is unlocked here.
 */

#ifndef SL_PATH_H
#define SL_PATH_H

#include "os/sockaddr.h"

#include <sys/types.h>

/* The file of a unix socket that this process has made. */
typedef struct sl_path_file {
    dev_t device;
    ino_t inode;
    pid_t owner;           /* the process; not one forked off it */
} sl_path_file;

/* Opens and locks the folder of a path that has a slash, if that is possible in
 * a second; *folder is -1 if it isn't, or if the folder can't be read. 0 or how
 * opening it failed. */
int sl_path_lock(const char *path, int *folder);

void sl_path_unlock(int folder);

/* Removes a socket that nobody listens at from the folder, which is locked. 0;
 * or EADDRINUSE: there is something else. */
int sl_path_removestale(int folder, const sl_sockaddr *name);

/* Notes which file is at the path of this process's socket. False: none. */
int sl_path_note(const char *path, sl_path_file *file);

/* Whether the file is still that socket. */
int sl_path_isthere(const char *path, const sl_path_file *file);

/* Removes the path of a bound socket, if it's still that file, and this process
 * has made it. */
void sl_path_unlink(int fd, const sl_path_file *file);

#endif
