/*
 * gate.c - a system call that is held up, for the specs:
 *
 *     GATE=/path GATE_CALL=listen LD_PRELOAD=.../gate.so lua ...
 *
 * Before the first listen (or unlink) the file /path.reached is made. Then the
 * program waits until there is a file /path.open, but at most 20 seconds.
 */

#define _GNU_SOURCE    /* RTLD_NEXT */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 20000 };    /* one a millisecond */

static void pass(const char *call)
{
    static int passed;
    const struct timespec pause = {0, 1000 * 1000};
    const char *gate = getenv("GATE"), *which = getenv("GATE_CALL");
    char name[4096];
    if (gate == NULL || which == NULL || strcmp(which, call) != 0 || passed)
        return;
    passed = 1;
    snprintf(name, sizeof name, "%s.reached", gate);
    close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    snprintf(name, sizeof name, "%s.open", gate);
    for (int i = 0; i < TRIES && access(name, F_OK) < 0; i++)
        nanosleep(&pause, NULL);
}

/* Returns the function that this library replaces. */
static void *original(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

int listen(int fd, int backlog)
{
    int (*call)(int, int);
    *(void **)&call = original("listen");
    pass("listen");
    return call(fd, backlog);
}

int unlink(const char *path)
{
    int (*call)(const char *);
    *(void **)&call = original("unlink");
    pass("unlink");
    return call(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    int (*call)(int, const char *, int);
    *(void **)&call = original("unlinkat");
    pass("unlink");
    return call(folder, path, flags);
}
