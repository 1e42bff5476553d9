/*
 * timer.c - a heap with four children for each node. It is half as deep as a
 * binary heap, and siblings lie side by side in memory.
 */

#include "loop/timer.h"

#include <errno.h>
#include <stdlib.h>

enum { CHILDREN = 4, FIRST_SIZE = 64 };

static int before(const sl_timer_entry *a, const sl_timer_entry *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void place(sl_timers *timers, size_t i, sl_timer_entry entry)
{
    timers->heap[i] = entry;
    entry.timer->index = (uint32_t)i + 1;
}

static void sift_up(sl_timers *timers, size_t i, sl_timer_entry entry)
{
    while (i > 0) {
        size_t parent = (i - 1) / CHILDREN;
        if (!before(&entry, &timers->heap[parent]))
            break;
        place(timers, i, timers->heap[parent]);
        i = parent;
    }
    place(timers, i, entry);
}

static void sift_down(sl_timers *timers, size_t i, sl_timer_entry entry)
{
    for (;;) {
        size_t child = i * CHILDREN + 1;
        size_t end = child + CHILDREN;
        if (end > timers->count)
            end = timers->count;
        size_t least = child;
        for (size_t c = child + 1; c < end; c++)
            if (before(&timers->heap[c], &timers->heap[least]))
                least = c;
        if (child >= end || !before(&timers->heap[least], &entry))
            break;
        place(timers, i, timers->heap[least]);
        i = least;
    }
    place(timers, i, entry);
}

static int grow(sl_timers *timers)
{
    size_t size = timers->size > 0 ? timers->size * 2 : FIRST_SIZE;
    if (size > UINT32_MAX)
        return ENOMEM;
    sl_timer_entry *heap = realloc(timers->heap, size * sizeof *heap);
    if (heap == NULL)
        return ENOMEM;
    timers->heap = heap;
    timers->size = size;
    return 0;
}

static void take_out(sl_timers *timers, size_t i)
{
    sl_timer_entry last = timers->heap[--timers->count];
    timers->heap[i].timer->index = 0;
    if (i == timers->count)
        return;
    if (i > 0 && before(&last, &timers->heap[(i - 1) / CHILDREN]))
        sift_up(timers, i, last);
    else
        sift_down(timers, i, last);
}

void sl_timers_init(sl_timers *timers)
{
    *timers = (sl_timers){NULL, 0, 0, 0};
}

void sl_timers_free(sl_timers *timers)
{
    free(timers->heap);
    sl_timers_init(timers);
}

int sl_timer_set(sl_timers *timers, sl_timer *timer, double due)
{
    if (timer->index > 0)
        sl_timer_cancel(timers, timer);
    else if (timers->count == timers->size && grow(timers) != 0)
        return ENOMEM;
    sl_timer_entry entry = {due, timers->order++, timer};
    sift_up(timers, timers->count++, entry);
    return 0;
}

void sl_timer_cancel(sl_timers *timers, sl_timer *timer)
{
    if (timer->index > 0)
        take_out(timers, timer->index - 1);
}

sl_timer *sl_timers_pop(sl_timers *timers, double now)
{
    if (timers->count == 0 || timers->heap[0].due > now)
        return NULL;
    sl_timer *timer = timers->heap[0].timer;
    take_out(timers, 0);
    return timer;
}
