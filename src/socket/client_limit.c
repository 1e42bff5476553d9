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

struct sl_crowd {
    sl_alarm alarm;          /* the first member; the next collection's time */
    sl_alarm reset;          /* when an heir may be reset */
    sl_heirs heirs;          /* those in of whom only bytes are left */
    sl_loop *loop;           /* borrowed */
    sl_asocket *listener;    /* borrowed; NULL once it is gone */
    size_t count, max;       /* who is in; max is SIZE_MAX without a limit */
    double pause, next;      /* until and of the next collection */
    int held;                /* whoever accepts was told to wait */
};

static void release(sl_crowd *crowd)
{
    if (crowd->listener != NULL || crowd->count > 0)
        return;
    if (!crowd->loop->closed) {
        sl_timer_cancel(&crowd->loop->timers, &crowd->alarm.timer);
        sl_timer_cancel(&crowd->loop->timers, &crowd->reset.timer);
    }
    free(crowd);
}

/* Tries again what was told to wait. */
static void retry(sl_crowd *crowd)
{
    if (!crowd->held || crowd->listener == NULL || crowd->loop->closed)
        return;
    crowd->held = 0;
    sl_wait_finish(&crowd->listener->source.reader, SL_BUSY);
}

/* The same if there is room. */
static void admit_next(sl_crowd *crowd)
{
    if (crowd->count < crowd->max)
        retry(crowd);
}

static sl_crowd *crowd_of_heirs(sl_heirs *heirs)
{
    return (sl_crowd *)((char *)heirs - offsetof(sl_crowd, heirs));
}

static void count_out(sl_crowd *crowd)
{
    crowd->count--;
    admit_next(crowd);
    release(crowd);
}

static void heir_gone(sl_heirs *heirs)
{
    count_out(crowd_of_heirs(heirs));
}

static void reset_next(sl_alarm *alarm)
{
    retry((sl_crowd *)((char *)alarm - offsetof(sl_crowd, reset)));
}

/* Some of those who are in may be garbage. */
static void collect(sl_alarm *alarm)
{
    sl_crowd *crowd = (sl_crowd *)alarm;
    if (!crowd->held || crowd->listener == NULL ||
        !crowd->listener->source.reader.parked)
        return;
    crowd->loop->collecting = 1;
    crowd->next = sl_clock_now() + crowd->pause;
    crowd->pause = fmin(crowd->pause * 2, last_pause);
    sl_timer_set(&crowd->loop->timers, &alarm->timer, crowd->next);
}

/* Whether resetting heirs would make room. */
static int heirs_suffice(const sl_crowd *crowd)
{
    return crowd->count - crowd->heirs.count < crowd->max;
}

/* A new client is there: resets the heirs that have to go. 0; SL_AGAIN if the
 * next one has not been idle for long enough, and then it will be tried again;
 * or ENOMEM. */
static int make_room(sl_crowd *crowd)
{
    while (crowd->count >= crowd->max) {
        double when = sl_gather_idle(&crowd->heirs) + least_idle;
        if (when > sl_clock_now()) {
            int err = sl_timer_set(&crowd->loop->timers, &crowd->reset.timer,
                                   when);
            return err != 0 ? err : SL_AGAIN;
        }
        sl_gather_reset(&crowd->heirs);
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
    int status = make_room(listener->crowd);
    if (status == 0)
        source->reader.interest = SL_READABLE;
    return status;
}

int sl_crowd_admit(sl_asocket *listener)
{
    sl_crowd *crowd = listener->crowd;
    int status = SL_AGAIN;
    listener->source.reader.interest = SL_READABLE;
    if (crowd == NULL || crowd->count < crowd->max)
        return 0;
    crowd->held = 0;    /* this is the try, if somebody goes now */
    if (heirs_suffice(crowd))
        status = replace_heirs(listener);
    else
        listener->source.reader.interest = 0;
    if (status != SL_AGAIN)
        return status;
    crowd->held = 1;
    if (crowd->alarm.timer.index == 0 &&
        sl_timer_set(&crowd->loop->timers, &crowd->alarm.timer,
                     crowd->next) != 0)
        return ENOMEM;
    return SL_AGAIN;
}

void sl_crowd_join(sl_asocket *listener, sl_asocket *client)
{
    client->crowd = listener->crowd;
    if (client->crowd != NULL)
        client->crowd->count++;
}

void sl_crowd_pass(sl_asocket *from, sl_asocket *to)
{
    if (from->crowd == NULL || from->crowd->listener == from ||
        to->crowd != NULL)
        return;
    to->crowd = from->crowd;
    from->crowd = NULL;
}

int sl_crowd_inherit(sl_asocket *a)
{
    sl_crowd *crowd = a->crowd;
    if (crowd != NULL && crowd->listener == a)
        crowd = NULL;
    if (a->gave_up)
        sl_gather_drop(&a->source);
    if (!sl_gather_inherit(&a->source, a->linger,
                           crowd != NULL ? &crowd->heirs : NULL))
        return 0;
    if (crowd != NULL) {
        crowd->count++;
        retry(crowd);
    }
    return 1;
}

void sl_crowd_leave(sl_asocket *a)
{
    sl_crowd *crowd = a->crowd;
    if (crowd == NULL || crowd->listener == a)
        return;
    a->crowd = NULL;
    count_out(crowd);
}

void sl_crowd_free(sl_asocket *a)
{
    sl_crowd *crowd = a->crowd;
    if (crowd == NULL)
        return;
    if (crowd->listener == a) {
        a->crowd = NULL;
        crowd->listener = NULL;
        release(crowd);
    } else {
        crowd->pause = first_pause;    /* it was worth the while */
        sl_crowd_leave(a);
    }
}

static sl_crowd *new_crowd(lua_State *L, sl_asocket *listener)
{
    sl_crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd == NULL)
        luaL_error(L, "not enough memory");
    crowd->alarm.timer.kind = SL_OF_ALARM;
    crowd->alarm.ring = collect;
    crowd->reset.timer.kind = SL_OF_ALARM;
    crowd->reset.ring = reset_next;
    crowd->heirs.gone = heir_gone;
    crowd->loop = listener->source.loop;
    crowd->listener = listener;
    crowd->pause = first_pause;
    return crowd;
}

/* setmaxclients([n]) -> 1. At most so many clients are open at a time; nil:
 * no limit. */
static int meth_setmaxclients(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    size_t max = sl_arg_optlimit(L, 2, SIZE_MAX);
    sl_asocket_checkkind(L, a, SL_SERVER);
    sl_crowd_leave(a);    /* setsocket may have made it a listening one */
    if (a->crowd == NULL)
        a->crowd = new_crowd(L, a);
    a->crowd->max = max;
    admit_next(a->crowd);
    lua_pushinteger(L, 1);
    return 1;
}

const luaL_Reg sl_crowd_methods[] = {
    {"setmaxclients", meth_setmaxclients},
    {NULL, NULL}
};
