/*
 * path.c - see path.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "os/path.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 1000 };    /* to lock a folder, one a millisecond */

static const char *last_part(const char *path)
{
    return strrchr(path, '/') + 1;
}

/* --- the folder -------------------------------------------------------- */

/* Locks the folder; false if that takes too long. Other servers hold the lock
 * for moments, but any process that can read the folder can hold it for
 * ever. */
static int try_lock(int folder)
{
    const struct timespec pause = {0, 1000000};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(folder, LOCK_EX | LOCK_NB) == 0)
            return 1;
        if (errno != EWOULDBLOCK)
            return 0;
        nanosleep(&pause, NULL);
    }
    return 0;
}

int sl_path_lock(const char *path, int *folder)
{
    char name[sizeof ((struct sockaddr_un *)NULL)->sun_path];
    size_t size = (size_t)(last_part(path) - path);
    memcpy(name, path, size);
    name[size] = '\0';
    *folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0)
        return errno == EACCES ? 0 : errno;
    if (!try_lock(*folder)) {
        close(*folder);
        *folder = -1;
    }
    return 0;
}

void sl_path_unlock(int folder)
{
    if (folder < 0)
        return;
    flock(folder, LOCK_UN);
    close(folder);
}

/* --- the file ---------------------------------------------------------- */

static int is_same_file(const sl_path_file *file, const struct stat *now)
{
    return S_ISSOCK(now->st_mode) && file->device == now->st_dev &&
           file->inode == now->st_ino;
}

int sl_path_note(const char *path, sl_path_file *file)
{
    struct stat now;
    if (lstat(path, &now) < 0)
        return 0;
    *file = (sl_path_file){now.st_dev, now.st_ino, getpid()};
    return 1;
}

int sl_path_isthere(const char *path, const sl_path_file *file)
{
    struct stat now;
    return lstat(path, &now) == 0 && is_same_file(file, &now);
}

/* 0 if the socket has no listener; else EADDRINUSE or how asking failed. */
static int check_stale(const sl_sockaddr *name)
{
    int fd;
    int err = sl_fd_socket(AF_UNIX, SOCK_STREAM, &fd);
    if (err != 0)
        return err;
    if (sl_fd_connect(fd, &name->address.any, name->size) != ECONNREFUSED)
        err = EADDRINUSE;
    close(fd);
    return err;
}

int sl_path_removestale(int folder, const sl_sockaddr *name)
{
    const char *last = last_part(name->address.un.sun_path);
    struct stat before, now;
    if (fstatat(folder, last, &before, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISSOCK(before.st_mode))
        return EADDRINUSE;
    sl_path_file file = {before.st_dev, before.st_ino, 0};
    int err = check_stale(name);
    if (err != 0)
        return err;
    int is_stale = fstatat(folder, last, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
                   is_same_file(&file, &now) && unlinkat(folder, last, 0) == 0;
    return is_stale ? 0 : EADDRINUSE;
}

void sl_path_unlink(int fd, const sl_path_file *file)
{
    sl_sockaddr name;
    const char *path = name.address.un.sun_path;
    memset(&name.address, 0, sizeof name.address);
    if (file->owner == getpid() && sl_fd_sockname(fd, &name) == 0 &&
        sl_path_isthere(path, file))
        unlink(path);
}
