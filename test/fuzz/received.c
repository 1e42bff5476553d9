/*
 * received.c - the model of receive: the possible results of a call, computed
 * from the bytes that were sent.
 *
 * Since CRs are dropped, the end of a partial line in the stream may be
 * ambiguous. So the model keeps a set of places up to which the stream may have
 * been received, and each result has to fit one of them.
 */

#include "receive.h"

#include <string.h>

static size_t new_places[PLACES_MAX];
static int new_count, lost;
static int instant;
static size_t max_line, max_read;

static void add_place(size_t place)
{
    for (int i = 0; i < new_count; i++)
        if (new_places[i] == place)
            return;
    if (new_count == PLACES_MAX)    /* many CRs */
        lost = 1;
    else
        new_places[new_count++] = place;
}

/* Fits a result that is the prefix and between low and high bytes from the
 * place on, without CRs if it is a line. The new place is `extra` bytes
 * further. */
static void fit(const step *s, const stream *t, size_t place, size_t low,
                size_t high, size_t extra, const char *got, size_t size)
{
    const char *bytes = t->bytes + place;
    if (size < s->prefix_size || memcmp(got, s->prefix, s->prefix_size) != 0)
        return;
    got += s->prefix_size;
    size -= s->prefix_size;
    if (s->what != LINE) {
        if (size >= low && size <= high && memcmp(bytes, got, size) == 0)
            add_place(place + size + extra);
        return;
    }
    for (size_t i = 0, j = 0; i <= high; i++) {
        if (i >= low && j == size)
            add_place(place + i + extra);
        if (i == high)
            return;
        if (bytes[i] == '\r')
            continue;
        if (j == size || bytes[i] != got[j])
            return;
        j++;
    }
}

static void fit_data(const step *s, const stream *t, size_t place, size_t n,
                     size_t extra, const result *r)
{
    if (r->data != NULL)
        fit(s, t, place, n, n, extra, r->data, r->data_size);
}

/* Fits a part of the bytes, at least one, if less is enough. */
static void fit_less(const step *s, const stream *t, size_t place, size_t high,
                     const result *r)
{
    if (s->less_is_ok && high > 0 && r->data != NULL)
        fit(s, t, place, 1, high, 0, r->data, r->data_size);
}

static void fit_error(const step *s, const stream *t, size_t place, size_t n,
                      const char *err, const result *r)
{
    if (r->err != NULL && strcmp(err, r->err) == 0)
        fit(s, t, place, n, n, 0, r->partial, r->partial_size);
}

/* Fits a failure since the bytes are not enough. That the stream has ended may
 * not be known yet. */
static void fit_rest(const step *s, const stream *t, size_t place, size_t rest,
                     const result *r)
{
    if (t->ended || !instant)
        fit_error(s, t, place, rest, "closed", r);
    if (instant && !(t->ended && rest == 0))
        fit_error(s, t, place, rest, "timeout", r);
}

/* Returns the part of a limit that the prefix leaves. */
static size_t room_in(size_t limit, const step *s)
{
    return limit > s->prefix_size ? limit - s->prefix_size : 0;
}

/* Fits the results where more bytes arrived than the limit allows. */
static void fit_limited(const step *s, const stream *t, size_t place,
                        size_t room, const char *err, const result *r)
{
    fit_less(s, t, place, room, r);
    if (!s->less_is_ok || room == 0)
        fit_error(s, t, place, room, err, r);
}

static void fit_line(const step *s, const stream *t, size_t place, size_t rest,
                     const result *r)
{
    const char *end = memchr(t->bytes + place, '\n', rest);
    size_t size = end != NULL ? (size_t)(end - (t->bytes + place)) : rest;
    size_t room = room_in(max_line, s);
    if (max_line > 0 && size > room) {
        fit_limited(s, t, place, room, "line too long", r);
        return;
    }
    fit_less(s, t, place, size, r);
    if (end != NULL)
        fit_data(s, t, place, size, 1, r);
    else if (!s->less_is_ok || rest == 0)
        fit_rest(s, t, place, rest, r);
}

static void fit_count(const step *s, const stream *t, size_t place,
                      size_t rest, const result *r)
{
    size_t wanted = s->count > s->prefix_size ? s->count - s->prefix_size : 0;
    size_t room = room_in(max_read, s);
    if (max_read > 0 && wanted > room) {
        wanted = room;
        if (!s->less_is_ok || room == 0) {    /* nothing is read */
            fit_error(s, t, place, 0, "too much data", r);
            return;
        }
    }
    fit_less(s, t, place, rest < wanted ? rest : wanted, r);
    if (rest >= wanted)
        fit_data(s, t, place, wanted, 0, r);
    else if (!s->less_is_ok || rest == 0)
        fit_rest(s, t, place, rest, r);
}

static void fit_all(const step *s, const stream *t, size_t place, size_t rest,
                    const result *r)
{
    size_t room = room_in(max_read, s);
    if (max_read > 0 && rest > room) {
        fit_limited(s, t, place, room, "too much data", r);
        return;
    }
    fit_less(s, t, place, rest, r);
    if (rest > 0 && (t->ended || !instant))
        fit_data(s, t, place, rest, 0, r);
    if (rest == 0)
        fit_rest(s, t, place, rest, r);
    else if (instant && !s->less_is_ok)
        fit_error(s, t, place, rest, "timeout", r);
}

static void fit_one(const step *s, const stream *t, size_t place,
                    const result *r)
{
    size_t rest = t->size - place;
    if (t->overlong)
        fit_error(s, t, place, 0, "line too long", r);
    else if (s->what == ALL && t->overfull)
        fit_error(s, t, place, 0, "too much data", r);
    else if (s->what == LINE)
        fit_line(s, t, place, rest, r);
    else if (s->what == COUNT)
        fit_count(s, t, place, rest, r);
    else
        fit_all(s, t, place, rest, r);
}

int is_possible(const rules *now, const step *s, stream *t, const result *r)
{
    if (t->count == 0)
        return 1;
    instant = now->instant;
    max_line = now->max_line;
    max_read = now->max_read;
    new_count = lost = 0;
    for (int i = 0; i < t->count; i++)
        fit_one(s, t, t->places[i], r);
    if (new_count == 0)
        return 0;
    t->overfull |= s->what == ALL && r->err != NULL &&
                   strcmp(r->err, "too much data") == 0;
    t->overlong |= r->err != NULL && strcmp(r->err, "line too long") == 0;
    memcpy(t->places, new_places, sizeof t->places);
    t->count = lost ? 0 : new_count;
    return 1;
}
