/*
 * poller.c - the list of back-ends, best first.
 */

#include "os/poller.h"

#include <stddef.h>
#include <string.h>

static const sl_poller_type *const types[] = {
#if defined(SL_HAVE_EPOLL)
    &sl_poller_epoll,
#endif
#if defined(SL_HAVE_KQUEUE)
    &sl_poller_kqueue,
#endif
    &sl_poller_poll,
    &sl_poller_select,
};

const sl_poller_type *sl_poller_at(int i)
{
    size_t count = sizeof types / sizeof *types;
    return (size_t)i < count ? types[i] : NULL;
}

const sl_poller_type *sl_poller_find(const char *name)
{
    if (name == NULL)
        return types[0];
    for (int i = 0; sl_poller_at(i) != NULL; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}
