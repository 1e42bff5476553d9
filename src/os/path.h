/*
 * path.h - the files of unix sockets.
 *
 * A server leaves its path behind when it ends, and the next server cannot bind
 * there. The stale path is removed while the folder is locked (flock):
 * otherwise a server could remove the path that another one has just made. The
 * lock is held for moments only. A child that is forked meanwhile shares the
 * lock, until this process unlocks it.
 */

#ifndef SL_PATH_H
#define SL_PATH_H

#include "os/sockaddr.h"

#include <sys/types.h>

/* The file of a unix socket that this process has made. */
typedef struct sl_path_file {
    dev_t device;
    ino_t inode;
    pid_t owner;           /* the process that made the file, not a child */
} sl_path_file;

/* Opens and locks the folder of a path that has a slash. *folder is -1 if
 * locking takes more than a second, or if the folder cannot be read. 0 or how
 * opening failed. */
int sl_path_lock(const char *path, int *folder);

void sl_path_unlock(int folder);

/* Removes a socket without a listener from the locked folder. 0; or EADDRINUSE
 * if the path is something else. */
int sl_path_removestale(int folder, const sl_sockaddr *name);

/* Notes which file is at the path of a socket that this process has bound.
 * False: none. */
int sl_path_note(const char *path, sl_path_file *file);

/* Whether the path still has the noted file. */
int sl_path_isthere(const char *path, const sl_path_file *file);

/* Removes the path of the bound socket fd, if it still has the noted file and
 * this process has made that. */
void sl_path_unlink(int fd, const sl_path_file *file);

#endif
