/*
 * perthread.c - see perthread.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "os/perthread.h"

#include <pthread.h>
#include <stddef.h>

static pthread_key_t key;
static int has_key;

__attribute__((constructor)) static void make_key(void)
{
    has_key = pthread_key_create(&key, NULL) == 0;
}

void *sl_perthread_get(void)
{
    return has_key ? pthread_getspecific(key) : NULL;
}

void sl_perthread_set(void *pointer)
{
    if (has_key)
        pthread_setspecific(key, pointer);
}

void sl_perthread_end(void)
{
    if (has_key)
        pthread_key_delete(key);
    has_key = 0;
}
