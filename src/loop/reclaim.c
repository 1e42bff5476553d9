/*
 * reclaim.c - when the collector runs for the sake of descriptors.
 */

#include "loop/reclaim.h"

#include "os/clock.h"
#include "os/error.h"

#include <errno.h>
#include <math.h>

enum {
    OPEN_MIN = 256,      /* fewer descriptors are no reason to collect */
    SOCKET_KIB = 4,      /* what one takes, about */
    OPENED_MIN = 16      /* since the last collection, to be many */
};

/* Seconds without another collection: so many times as long as the last one
 * took, but not less than that. */
static const double pauses = 9, least_pause = 0.01;

void sl_reclaim_init(sl_loop *loop)
{
    loop->open_limit = OPEN_MIN;
}

static void set_limit(sl_loop *loop, int affordable)
{
    loop->open_kept = loop->open;
    loop->open_limit = 2 * loop->open;
    if (loop->open_limit < affordable)
        loop->open_limit = affordable;
    if (loop->open_limit < OPEN_MIN)
        loop->open_limit = OPEN_MIN;
}

/* A finalizer's error may leave the collection: the first half has to do
 * then. */
void sl_reclaim_collect(lua_State *L, sl_loop *loop)
{
    double start = sl_clock_now();
    set_limit(loop, 0);
    loop->next_reclaim = start + least_pause;
    lua_gc(L, LUA_GCCOLLECT, 0);
    double end = sl_clock_now();
    set_limit(loop, lua_gc(L, LUA_GCCOUNT, 0) / SOCKET_KIB);
    loop->next_reclaim = end + fmax(pauses * (end - start), least_pause);
}

/* Whether garbage may have what err says is lacking, and it is time. */
static int is_worth(const sl_loop *loop, int err)
{
    switch (err) {
    case EMFILE: case ENFILE: case ENOBUFS: case ENOMEM: case SL_TOO_BIG:
        break;
    default:
        return 0;
    }
    int opened = loop->open - loop->open_kept;
    return (opened >= OPENED_MIN && opened >= loop->open_kept / 2) ||
           sl_clock_now() >= loop->next_reclaim;
}

int sl_reclaim_tryafter(lua_State *L, sl_loop *loop, int err)
{
    if (!is_worth(loop, err))
        return 0;
    sl_reclaim_collect(L, loop);
    return 1;
}

int sl_reclaim_later(sl_loop *loop, unsigned char *again, int err)
{
    *again = !*again && is_worth(loop, err);
    if (!*again)
        return err;
    loop->collecting = 1;
    return SL_BUSY;
}
