/*
 * timer.h - a heap of deadlines.
 *
 * A timer is part of a larger object, such as a wait. The heap borrows it from
 * sl_timer_set until it fires or is cancelled. The keys lie in the heap's own
 * array, so that sifting touches little memory. Equal deadlines fire in the
 * order in which they were set.
 */

#ifndef SL_TIMER_H
#define SL_TIMER_H

#include <stddef.h>
#include <stdint.h>

typedef struct sl_timer sl_timer;

/* Called when the timer is due; must not raise. Returns a thread that has to
 * run now because its wait is over, or NULL. */
typedef struct sl_thread *(*sl_timer_callback)(sl_timer *timer, double now);

struct sl_timer {
    uint32_t index;    /* index in the heap + 1; 0 when not set */
    sl_timer_callback on_fire;
};

typedef struct sl_timer_entry {
    double due;        /* on sl_clock_now's clock */
    uint64_t order;    /* increases with each sl_timer_set */
    sl_timer *timer;   /* borrowed */
} sl_timer_entry;

typedef struct sl_timers {
    sl_timer_entry *heap;    /* owned */
    size_t count, size;
    uint64_t order;
} sl_timers;

static inline void sl_timer_init(sl_timer *timer, sl_timer_callback on_fire)
{
    timer->index = 0;
    timer->on_fire = on_fire;
}

static inline int sl_timer_isset(const sl_timer *timer)
{
    return timer->index > 0;
}

void sl_timers_init(sl_timers *timers);
void sl_timers_free(sl_timers *timers);

/* Sets or moves a timer. 0 or ENOMEM. Moving never fails. */
int sl_timer_set(sl_timers *timers, sl_timer *timer, double due);

void sl_timer_cancel(sl_timers *timers, sl_timer *timer);

/* The time at which a timer that is set fires. */
static inline double sl_timer_due(const sl_timers *timers,
                                  const sl_timer *timer)
{
    return timers->heap[timer->index - 1].due;
}

/* The first deadline; a negative number if there is none. */
static inline double sl_timers_first(const sl_timers *timers)
{
    return timers->count > 0 ? timers->heap[0].due : -1;
}

/* Removes and returns the first timer if it is due at `now`; else NULL. */
sl_timer *sl_timers_pop(sl_timers *timers, double now);

#endif
