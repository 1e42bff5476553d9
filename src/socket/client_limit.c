/*
 * client_limit.c - setmaxclients: counts the open clients, and admits the next
 * one when one is closed. It does not know how clients are accepted.
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

/* Seconds without taking anything after which a client whose socket is closed
 * may be reset for the sake of a new one. */
static const double least_idle = 1;

/* Seconds between collections while it is full; they double as long as these
 * bring nothing. */
static const double first_pause = 1, last_pause = 64;

struct sl_client_limit {
    sl_alarm alarm;          /* the first member; the next collection's time */
    sl_alarm reset;          /* when an heir may be reset */
    sl_heirs heirs;          /* those in of whom only bytes are left */
    sl_loop *loop;           /* borrowed */
    sl_asocket *listener;    /* borrowed; NULL once it is gone */
    size_t count, max;       /* who is in; max is SIZE_MAX without a limit */
    double pause, next;      /* until and of the next collection */
    int held;                /* whoever accepts was told to wait */
};

static void release(sl_client_limit *clients)
{
    if (clients->listener != NULL || clients->count > 0)
        return;
    if (!clients->loop->closed) {
        sl_timer_cancel(&clients->loop->timers, &clients->alarm.timer);
        sl_timer_cancel(&clients->loop->timers, &clients->reset.timer);
    }
    free(clients);
}

/* Tries again what was told to wait. */
static void retry(sl_client_limit *clients)
{
    if (!clients->held || clients->listener == NULL || clients->loop->closed)
        return;
    clients->held = 0;
    sl_wait_finish(&clients->listener->source.reader, SL_BUSY);
}

/* The same if there is room. */
static void admit_next(sl_client_limit *clients)
{
    if (clients->count < clients->max)
        retry(clients);
}

static sl_client_limit *clients_of_heirs(sl_heirs *heirs)
{
    return (sl_client_limit *)((char *)heirs -
                               offsetof(sl_client_limit, heirs));
}

static void count_out(sl_client_limit *clients)
{
    clients->count--;
    admit_next(clients);
    release(clients);
}

static void heir_gone(sl_heirs *heirs)
{
    count_out(clients_of_heirs(heirs));
}

static void reset_next(sl_alarm *alarm)
{
    retry((sl_client_limit *)((char *)alarm -
                              offsetof(sl_client_limit, reset)));
}

/* Some of those who are in may be garbage. */
static void collect(sl_alarm *alarm)
{
    sl_client_limit *clients = (sl_client_limit *)alarm;
    if (!clients->held || clients->listener == NULL ||
        !clients->listener->source.reader.parked)
        return;
    clients->loop->collecting = 1;
    clients->next = sl_clock_now() + clients->pause;
    clients->pause = fmin(clients->pause * 2, last_pause);
    sl_timer_set(&clients->loop->timers, &alarm->timer, clients->next);
}

/* Whether resetting heirs would make room. */
static int heirs_suffice(const sl_client_limit *clients)
{
    return clients->count - clients->heirs.count < clients->max;
}

/* A new client is there: resets the heirs that have to go. 0; SL_AGAIN if the
 * next one has not been idle for long enough, and then it will be tried again;
 * or ENOMEM. */
static int make_room(sl_client_limit *clients)
{
    while (clients->count >= clients->max) {
        double when = sl_cork_idle(&clients->heirs) + least_idle;
        if (when > sl_clock_now()) {
            int err = sl_timer_set(&clients->loop->timers,
                                   &clients->reset.timer, when);
            return err != 0 ? err : SL_AGAIN;
        }
        sl_cork_reset(&clients->heirs);
    }
    return 0;
}

/* The same for a listening socket, if there is a new client. It wants to know
 * of one that comes, but not of one that has to wait. */
static int replace_heirs(sl_asocket *listener)
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
    clients->held = 0;    /* this is the try, if somebody goes now */
    if (heirs_suffice(clients))
        status = replace_heirs(listener);
    else
        listener->source.reader.interest = 0;
    if (status != SL_AGAIN)
        return status;
    clients->held = 1;
    if (clients->alarm.timer.index == 0 &&
        sl_timer_set(&clients->loop->timers, &clients->alarm.timer,
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

int sl_client_limit_inherit(sl_asocket *a)
{
    sl_client_limit *clients = a->clients;
    if (clients != NULL && clients->listener == a)
        clients = NULL;
    if (a->gave_up)
        sl_cork_drop(&a->source);
    if (!sl_cork_inherit(&a->source, a->linger,
                         clients != NULL ? &clients->heirs : NULL))
        return 0;
    if (clients != NULL) {
        clients->count++;
        retry(clients);
    }
    return 1;
}

void sl_client_limit_leave(sl_asocket *a)
{
    sl_client_limit *clients = a->clients;
    if (clients == NULL || clients->listener == a)
        return;
    a->clients = NULL;
    count_out(clients);
}

void sl_client_limit_free(sl_asocket *a)
{
    sl_client_limit *clients = a->clients;
    if (clients == NULL)
        return;
    if (clients->listener == a) {
        a->clients = NULL;
        clients->listener = NULL;
        release(clients);
    } else {
        clients->pause = first_pause;    /* it was worth the while */
        sl_client_limit_leave(a);
    }
}

static sl_client_limit *new_limit(lua_State *L, sl_asocket *listener)
{
    sl_client_limit *clients = calloc(1, sizeof *clients);
    if (clients == NULL)
        luaL_error(L, "not enough memory");
    clients->alarm.timer.kind = SL_OF_ALARM;
    clients->alarm.ring = collect;
    clients->reset.timer.kind = SL_OF_ALARM;
    clients->reset.ring = reset_next;
    clients->heirs.gone = heir_gone;
    clients->loop = listener->source.loop;
    clients->listener = listener;
    clients->pause = first_pause;
    return clients;
}

/* setmaxclients([n]) -> 1. At most so many clients are open at a time; nil:
 * no limit. */
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
