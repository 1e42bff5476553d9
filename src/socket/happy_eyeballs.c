/*
 * happy_eyeballs.c - concurrent attempts to connect. See happy_eyeballs.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/happy_eyeballs.h"

#include "loop/reclaim.h"
#include "loop/source.h"
#include "loop/operation.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Seconds until the next attempt begins, unless an attempt fails before. */
static const double attempt_delay = 0.25;

typedef struct attempt {
    sl_callback callback;             /* the first member */
    sl_happy_eyeballs *race;          /* borrowed */
    int running;                      /* was begun, and has no result yet */
    const struct addrinfo *address;   /* borrowed */
} attempt;

struct sl_happy_eyeballs {
    sl_timer timer;          /* the first member; fires when the next attempt
                                is to begin */
    sl_wait *wait;           /* borrowed: of the connecting socket */
    int due;                 /* the next attempt is to begin now */
    unsigned char tried_again;    /* an attempt could not begin, has had
                                     garbage collected, and begins again */
    int begun, count;        /* attempts: begun ones, which come first; all */
    int running;             /* attempts without a result */
    int failed;              /* the failure to report if none wins, or 0 */
    attempt attempts[];
};

/* Has the connecting thread's operation tried again. */
static void wake_waiter(sl_happy_eyeballs *race)
{
    sl_wait_retry(race->wait);
}

/* The loop's callback: the attempt's descriptor is ready. Its interest ends, or
 * a level-triggered poller would report it again. */
static void attempt_told(sl_source *source)
{
    source->interest = 0;
    sl_source_update(source);
    wake_waiter(((attempt *)source)->race);
}

static sl_thread *next_is_due(sl_timer *timer, double now)
{
    sl_happy_eyeballs *race = (sl_happy_eyeballs *)timer;
    (void)now;
    race->due = 1;
    wake_waiter(race);
    return NULL;
}

/* --- the order of addresses -------------------------------------------- */

/* Returns the first address from ai on that is of that family (same), or that
 * is of another family (!same); or NULL. */
static const struct addrinfo *find_family(const struct addrinfo *ai, int family,
                                          int same)
{
    while (ai != NULL && (ai->ai_family == family) != same)
        ai = ai->ai_next;
    return ai;
}

/* Orders the attempts: addresses of the first one's family alternate with the
 * other addresses. */
static void interleave_families(sl_happy_eyeballs *race,
                                const struct addrinfo *list)
{
    int family = list->ai_family;
    const struct addrinfo *next[2] = {find_family(list, family, 0), list};
    for (int i = 0, same = 1; i < race->count; i++, same = !same) {
        if (next[same] == NULL)
            same = !same;
        race->attempts[i].address = next[same];
        next[same] = find_family(next[same]->ai_next, family, same);
    }
}

sl_happy_eyeballs *sl_happy_eyeballs_new(sl_wait *wait,
                                         const struct addrinfo *list)
{
    int count = 0;
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
        count++;
    sl_happy_eyeballs *race = calloc(1, sizeof *race +
                              (size_t)count * sizeof *race->attempts);
    if (race == NULL)
        return NULL;
    sl_timer_init(&race->timer, next_is_due);
    race->wait = wait;
    race->due = 1;
    race->count = count;
    interleave_families(race, list);
    for (int i = 0; i < count; i++) {
        sl_source_initcallback(&race->attempts[i].callback,
                               sl_source_of(wait)->loop, attempt_told);
        race->attempts[i].race = race;
    }
    return race;
}

/* --- attempts ---------------------------------------------------------- */

static void drop_attempt(attempt *a)
{
    int fd = sl_source_owned(&a->callback.source);
    sl_source_detach(&a->callback.source, 1);
    if (fd >= 0)
        sl_fd_close(fd);
}

/* Returns the state of an attempt for which connect(2) has returned err: 0,
 * SL_AGAIN, or a code after closing its descriptor. */
static int judge_attempt(attempt *a, int err)
{
    if (err == EINPROGRESS) {
        a->callback.source.writable = 0;
        a->callback.source.interest = SL_WRITABLE;
        err = sl_source_update(&a->callback.source);
        if (err == 0)
            return SL_AGAIN;
    }
    if (err != 0)
        drop_attempt(a);
    return err;
}

/* Begins an attempt and returns its state, as judge_attempt. */
static int begin_attempt(attempt *a)
{
    int fd;
    int err = sl_fd_socket(a->address->ai_family, SOCK_STREAM, &fd);
    if (err != 0)
        return err;
    err = sl_source_claim(&a->callback.source, fd);
    if (err != 0) {
        sl_fd_close(fd);
        return err;
    }
    return judge_attempt(a, sl_fd_connect(fd, a->address->ai_addr,
                                          a->address->ai_addrlen));
}

/* Returns the state of an attempt that was begun, as judge_attempt. */
static int look_at_attempt(attempt *a)
{
    if (!a->running)
        return SL_AGAIN;
    if (a->callback.source.fd < 0)
        return SL_CLOSED;    /* another source has claimed its number */
    if (!a->callback.source.writable)
        return SL_AGAIN;
    return judge_attempt(a, sl_fd_attempted(a->callback.source.fd));
}

/* Records the state err of an attempt. True if the attempt has won the race:
 * the socket then has its descriptor. */
static int attempt_wins(sl_happy_eyeballs *race, attempt *a, int err)
{
    if (err == SL_AGAIN)
        return 0;
    race->running--;
    a->running = 0;
    if (err == 0) {
        sl_source_move(&a->callback.source, sl_source_of(race->wait));
    } else {
        race->failed = sl_error_prefer(race->failed, err);
        race->due = 1;
    }
    return err == 0;
}

static void set_timer(sl_happy_eyeballs *race)
{
    double due = sl_clock_now() + attempt_delay;
    sl_timers *timers = &sl_source_of(race->wait)->loop->timers;
    if (sl_timer_set(timers, &race->timer, due) != 0)
        race->due = 1;    /* no memory: the next advance begins an attempt */
}

int sl_happy_eyeballs_advance(sl_happy_eyeballs *race)
{
    for (int i = 0; i < race->begun; i++) {
        attempt *a = &race->attempts[i];
        if (attempt_wins(race, a, look_at_attempt(a)))
            return 0;
    }
    while (race->due && race->begun < race->count) {
        attempt *a = &race->attempts[race->begun];
        int err = sl_reclaim_later(&sl_source_of(race->wait)->loop->reclaim,
                                   &race->tried_again, begin_attempt(a));
        if (err == SL_BUSY)
            return err;
        race->begun++;
        race->due = 0;
        race->running++;
        a->running = 1;
        if (attempt_wins(race, a, err))
            return 0;
        if (!race->due && race->begun < race->count)
            set_timer(race);
    }
    return race->running > 0 ? SL_AGAIN : race->failed;
}

void sl_happy_eyeballs_free(sl_happy_eyeballs *race)
{
    sl_loop *loop = sl_source_of(race->wait)->loop;
    for (int i = 0; i < race->begun; i++)
        if (race->attempts[i].callback.source.fd >= 0)
            drop_attempt(&race->attempts[i]);
    if (!loop->closed)
        sl_timer_cancel(&loop->timers, &race->timer);
    free(race);
}
