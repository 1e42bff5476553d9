/*
 * fork.c - counts the forks between this process and the one that loaded the
 * module: what remembers another count is the parent's. To ask for the
 * process's id would take a system call in each step.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "fork.h"

#include <pthread.h>

unsigned sl_fork_count = 0;

static void count_fork(void)
{
    sl_fork_count++;
}

int sl_fork_notice(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int is_noticed = 0;
    int err = 0;
    pthread_mutex_lock(&lock);
    if (!is_noticed)
        err = pthread_atfork(NULL, NULL, count_fork);
    is_noticed = err == 0;
    pthread_mutex_unlock(&lock);
    return err;
}
