/*
 * client_limit.c - setmaxclients: counts the open clients, and wakes the
 * accepting thread when one is closed. See client_limit.h.
 */

#include "socket/client_limit.h"

#include "loop/cork.h"
#include "loop/timer.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/methods.h"
#include "thread/arg.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* An orphan may be reset to make room for a new client when its peer has
 * accepted nothing for this many seconds. */
static const double least_idle = 1;

/* Seconds between forced collections at the limit. The pause doubles until a
 * collection frees a client. */
static const double first_pause = 1, last_pause = 64;

struct sl_client_limit {
    sl_timer collection;     /* the first member; fires for the next forced
                                collection */
    sl_timer reset;          /* fires when an orphan may be reset */
    sl_orphans orphans;      /* counted clients that are closed and linger */
    sl_loop *loop;           /* borrowed */
    sl_asocket *listener;    /* borrowed; NULL once it was finalized */
    size_t count, max;       /* clients, and their limit; SIZE_MAX: none */
    double pause, next;      /* time of the next forced collection, and the
                                seconds between it and the one after it */
    int held;                /* the accepting thread is parked at the limit */
};

/* Frees the object when the listening socket and all clients are gone. */

static void release_limit(sl_client_limit *clients)
{
    if (clients->listener != NULL || clients->count > 0)
        return;
    if (!clients->loop->closed) {
        sl_timer_cancel(&clients->loop->timers, &clients->collection);
        sl_timer_cancel(&clients->loop->timers, &clients->reset);
    }
    free(clients);
}

/* Makes the accepting thread try again if it is parked at the limit. */
static void retry_accept(sl_client_limit *clients)
{
    if (!clients->held || clients->listener == NULL || clients->loop->closed)
        return;
    clients->held = 0;
    sl_wait_retry(&clients->listener->source.reader);
}

/* Makes the accepting thread try again if there is room. */
static void admit_next(sl_client_limit *clients)
{
    if (clients->count < clients->max)
        retry_accept(clients);
}

static sl_client_limit *clients_of_orphans(sl_orphans *orphans)
{
    return (sl_client_limit *)((char *)orphans -
                               offsetof(sl_client_limit, orphans));
}

static void count_out_client(sl_client_limit *clients)
{
    clients->count--;
    admit_next(clients);
    release_limit(clients);
}

static void orphan_gone(sl_orphans *orphans)
{
    count_out_client(clients_of_orphans(orphans));
}

static sl_thread *reset_next(sl_timer *timer, double now)
{
    (void)now;
    retry_accept((sl_client_limit *)((char *)timer -
                                     offsetof(sl_client_limit, reset)));
    return NULL;
}

/* Asks for a collection, since some counted clients may be garbage. */
static sl_thread *collect_garbage(sl_timer *timer, double now)
{
    sl_client_limit *clients = (sl_client_limit *)timer;
    if (!clients->held || clients->listener == NULL ||
        !sl_wait_isparked(&clients->listener->source.reader))
        return NULL;
    clients->loop->reclaim.wanted = 1;
    clients->next = now + clients->pause;
    clients->pause = fmin(clients->pause * 2, last_pause);
    sl_timer_set(&clients->loop->timers, timer, clients->next);
    return NULL;
}

/* True if resetting orphans would make room. */
static int orphans_suffice(const sl_client_limit *clients)
{
    return clients->count - clients->orphans.count < clients->max;
}

/* Resets orphans until there is room for a client. Returns 0, SL_AGAIN if the
 * next orphan has not been idle for long enough (a timer then retries), or
 * ENOMEM. */
static int make_room(sl_client_limit *clients)
{
    while (clients->count >= clients->max) {
        double when = sl_cork_idle(&clients->orphans) + least_idle;
        if (when > sl_clock_now()) {
            int err = sl_timer_set(&clients->loop->timers,
                                   &clients->reset, when);
            return err != 0 ? err : SL_AGAIN;
        }
        sl_cork_reset(&clients->orphans);
    }
    return 0;
}

/* Makes room for a new client if one is in the listening socket's queue.
 * Returns as make_room. The reader is interested in readiness while the queue
 * is empty, but not while a client in the queue has to wait: a level-triggered
 * poller would report it again and again. */
static int replace_orphans(sl_asocket *listener)
{
    sl_source *source = &listener->source;
    if (source->readable && !sl_fd_ready(source->fd, 0))
        source->readable = 0;
    if (!source->readable)
        return SL_AGAIN;
    source->reader.interest = 0;
    int status = make_room(listener->clients);
    if (status == 0)
        source->reader.interest = SL_READABLE;
    return status;
}

int sl_client_limit_admit(sl_asocket *listener)
{
    sl_client_limit *clients = listener->clients;
    int status = SL_AGAIN;
    listener->source.reader.interest = SL_READABLE;
    if (clients == NULL || clients->count < clients->max)
        return 0;
    clients->held = 0;    /* this is the retry */
    if (orphans_suffice(clients))
        status = replace_orphans(listener);
    else
        listener->source.reader.interest = 0;
    if (status != SL_AGAIN)
        return status;
    clients->held = 1;
    if (!sl_timer_isset(&clients->collection) &&
        sl_timer_set(&clients->loop->timers, &clients->collection,
                     clients->next) != 0)
        return ENOMEM;
    return SL_AGAIN;
}

void sl_client_limit_join(sl_asocket *listener, sl_asocket *client)
{
    client->clients = listener->clients;
    if (client->clients != NULL)
        client->clients->count++;
}

void sl_client_limit_pass(sl_asocket *from, sl_asocket *to)
{
    if (from->clients == NULL || from->clients->listener == from ||
        to->clients != NULL)
        return;
    to->clients = from->clients;
    from->clients = NULL;
}

int sl_client_limit_linger(sl_asocket *a)
{
    sl_client_limit *clients = a->clients;
    if (clients != NULL && clients->listener == a)
        clients = NULL;
    if (a->gave_up)
        sl_cork_drop(&a->source);
    if (!sl_cork_linger(&a->source, a->linger, a->linger_in_all,
                        clients != NULL ? &clients->orphans : NULL))
        return 0;
    if (clients != NULL) {
        clients->count++;
        retry_accept(clients);
    }
    return 1;
}

void sl_client_limit_leave(sl_asocket *a)
{
    sl_client_limit *clients = a->clients;
    if (clients == NULL || clients->listener == a)
        return;
    a->clients = NULL;
    count_out_client(clients);
}

void sl_client_limit_free(sl_asocket *a)
{
    sl_client_limit *clients = a->clients;
    if (clients == NULL)
        return;
    if (clients->listener == a) {
        a->clients = NULL;
        clients->listener = NULL;
        release_limit(clients);
    } else {
        clients->pause = first_pause;    /* a collection has freed a client */
        sl_client_limit_leave(a);
    }
}

static sl_client_limit *new_limit(lua_State *L, sl_asocket *listener)
{
    sl_client_limit *clients = calloc(1, sizeof *clients);
    if (clients == NULL)
        luaL_error(L, "not enough memory");
    sl_timer_init(&clients->collection, collect_garbage);
    sl_timer_init(&clients->reset, reset_next);
    clients->orphans.gone = orphan_gone;
    clients->loop = listener->source.loop;
    clients->listener = listener;
    clients->pause = first_pause;
    return clients;
}

/* setmaxclients([n]) -> 1. At most n clients are open at a time; nil: no
 * limit. */
static int meth_setmaxclients(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    size_t max = sl_arg_optlimit(L, 2, SIZE_MAX);
    sl_asocket_checkkind(L, a, SL_SERVER);
    sl_client_limit_leave(a);    /* setsocket may have made it listen */
    if (a->clients == NULL)
        a->clients = new_limit(L, a);
    a->clients->max = max;
    admit_next(a->clients);
    lua_pushinteger(L, 1);
    return 1;
}

const luaL_Reg sl_client_limit_methods[] = {
    {"setmaxclients", meth_setmaxclients},
    {NULL, NULL}
};
