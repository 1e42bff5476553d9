/*
 * reclaim.c - when the collector runs for the sake of descriptors.
 */

#include "loop/reclaim.h"

#include "os/clock.h"
#include "os/error.h"

#include <errno.h>
#include <math.h>

enum {
    OPEN_MIN = 256,      /* fewer descriptors never cause a collection */
    SOCKET_KIB = 4,      /* roughly the memory of one socket */
    OPENED_MIN = 16      /* so many since the last collection are many */
};

/* The pause until another collection is so many times as long as the last
 * collection, but not shorter than least_pause seconds. */
static const double pauses = 9, least_pause = 0.01;

void sl_reclaim_init(sl_reclaim *r)
{
    r->limit = OPEN_MIN;
}

static void set_limit(sl_reclaim *r, int affordable)
{
    r->kept = r->open;
    r->limit = 2 * r->open;
    if (r->limit < affordable)
        r->limit = affordable;
    if (r->limit < OPEN_MIN)
        r->limit = OPEN_MIN;
}

/* An error of a finalizer may leave lua_gc, so limit and pause are set before,
 * too. */
void sl_reclaim_collect(lua_State *L, sl_reclaim *r)
{
    double start = sl_clock_now();
    set_limit(r, 0);
    r->next = start + least_pause;
    lua_gc(L, LUA_GCCOLLECT, 0);
    double end = sl_clock_now();
    set_limit(r, lua_gc(L, LUA_GCCOUNT, 0) / SOCKET_KIB);
    r->next = end + fmax(pauses * (end - start), least_pause);
}

/* Whether err is a lack of something that garbage may hold, and a collection is
 * allowed now. */
static int is_worth(const sl_reclaim *r, int err)
{
    switch (err) {
    case EMFILE: case ENFILE: case ENOBUFS: case ENOMEM: case SL_TOO_BIG:
        break;
    default:
        return 0;
    }
    int opened = r->open - r->kept;
    return (opened >= OPENED_MIN && opened >= r->kept / 2) ||
           sl_clock_now() >= r->next;
}

int sl_reclaim_tryafter(lua_State *L, sl_reclaim *r, int err)
{
    if (!is_worth(r, err))
        return 0;
    sl_reclaim_collect(L, r);
    return 1;
}

int sl_reclaim_later(sl_reclaim *r, unsigned char *again, int err)
{
    *again = !*again && is_worth(r, err);
    if (!*again)
        return err;
    r->wanted = 1;
    return SL_BUSY;
}
