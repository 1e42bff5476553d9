/*
 * crowd.c - setmaxclients: counting those who are in, and letting the next
 * one in when one goes. Knows nothing about how they are accepted.
 */

#include "crowd.h"

#include "arg.h"
#include "clock.h"
#include "result.h"
#include "timer.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Seconds between collections while it is full; they double as long as these
 * bring nothing. */
static const double first_pause = 1, last_pause = 64;

struct sl_crowd {
    sl_alarm alarm;          /* the first member; the next collection's time */
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
    if (!crowd->loop->closed)
        sl_timer_cancel(&crowd->loop->timers, &crowd->alarm.timer);
    free(crowd);
}

/* Tries again what was told to wait, if there is room. */
static void admit_next(sl_crowd *crowd)
{
    if (!crowd->held || crowd->count >= crowd->max ||
        crowd->listener == NULL || crowd->loop->closed)
        return;
    crowd->held = 0;
    sl_wait_finish(&crowd->listener->source.reader, SL_BUSY);
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

int sl_crowd_admit(sl_asocket *listener)
{
    sl_crowd *crowd = listener->crowd;
    listener->source.reader.interest = SL_READABLE;
    if (crowd == NULL || crowd->count < crowd->max)
        return 0;
    listener->source.reader.interest = 0;
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

void sl_crowd_leave(sl_asocket *a)
{
    sl_crowd *crowd = a->crowd;
    if (crowd == NULL || crowd->listener == a)
        return;
    a->crowd = NULL;
    crowd->count--;
    admit_next(crowd);
    release(crowd);
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
