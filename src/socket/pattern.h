/*
 * pattern.h - the patterns of receive: what finishes one, and what it gives.
 *
 * A pattern is a row of the table in pattern.c. Its find looks at the socket's
 * buffer whenever bytes have come; nothing else knows one pattern from another.
 */

#ifndef SL_PATTERN_H
#define SL_PATTERN_H

#include "os/error.h"
#include "socket/asocket.h"

#include <string.h>

typedef struct sl_pattern {
    char letter;      /* its name is this behind '*'; 0: it has none */
    unsigned char is_delimited;    /* ends with a byte that is not given; when
                                      found, r->wanted includes that byte */
    unsigned char is_unbounded;    /* ends with the stream */

    /* 0 when what is in the buffer finishes the receive, SL_AGAIN if not,
     * SL_TOO_LONG, SL_TOO_MUCH; SL_CLOSED if it wants no bytes of a closed
     * socket. Sets r->wanted where it finds the end. */
    int (*find)(sl_asocket *a);

    /* How many bytes it may give, prefix included; 0: no limit. NULL: see
     * sl_pattern_refuse. */
    size_t (*limit)(const sl_asocket *a);
} sl_pattern;

extern const sl_pattern sl_patterns[];

/* [-0, +0, v] The pattern at index 2, for a receive with that prefix. */
void sl_pattern_check(lua_State *L, sl_receive *r);

/* 0 or how the receive fails without reading: the rest of a line that was too
 * long would be taken for another line; or the receive asks for more than
 * setmaxread allows. If less is enough, the count becomes what is allowed. */
int sl_pattern_refuselimited(const sl_asocket *a, sl_receive *r);

static inline int sl_pattern_refuse(const sl_asocket *a, sl_receive *r)
{
    return a->max_line == 0 && a->max_read == 0
               ? 0 : sl_pattern_refuselimited(a, r);
}

/* The find of a limited pattern that has no end in the buffer (r->wanted is 0),
 * or has one. */
int sl_pattern_findlimited(sl_asocket *a);

/* A line's find. Inline, as nearly all receives are for lines. */
static inline int sl_pattern_findline(sl_asocket *a)
{
    sl_receive *r = &a->receive;
    if (sl_buffer_count(&a->buffer) == 0)
        return SL_AGAIN;
    r->wanted = sl_buffer_line(&a->buffer);
    if (a->max_line > 0)
        return sl_pattern_findlimited(a);
    return r->wanted > 0 || r->less_is_ok ? 0 : SL_AGAIN;
}

static inline int sl_pattern_find(sl_asocket *a)
{
    return a->receive.pattern == SL_LINE
               ? sl_pattern_findline(a)
               : sl_patterns[a->receive.pattern].find(a);
}

/* Whether another receive like the last one would find its end in the
 * buffer, which is not empty. */
static inline int sl_pattern_hasnext(sl_asocket *a)
{
    return sl_patterns[a->receive.pattern].is_delimited &&
           sl_buffer_line(&a->buffer) > 0;
}

/* How many bytes the receive may give, prefix included; 0: no limit. If so, no
 * more is to be read than is missing. */
static inline size_t sl_pattern_limit(const sl_asocket *a)
{
    const sl_pattern *pattern = &sl_patterns[a->receive.pattern];
    if (a->max_line == 0 && a->max_read == 0)
        return 0;
    return pattern->limit != NULL ? pattern->limit(a) : 0;
}

/* The rest of sl_pattern_missing and of sl_pattern_take. */
size_t sl_pattern_missinglimited(const sl_asocket *a, size_t limit);
size_t sl_pattern_takeany(const sl_asocket *a, int finished, size_t *data);

/* How many bytes more would finish the receive, or are enough for now; 0:
 * any. */
static inline size_t sl_pattern_missing(const sl_asocket *a)
{
    size_t limit = sl_pattern_limit(a);
    if (a->receive.pattern == SL_COUNT)
        return a->receive.wanted - sl_buffer_count(&a->buffer);
    return limit > 0 ? sl_pattern_missinglimited(a, limit) : 0;
}

/* Whether all is received, and that is already more than setmaxread allows. */
int sl_pattern_overflows(const sl_asocket *a);

/* Whether the end of the stream finishes the receive. */
int sl_pattern_endswithstream(const sl_asocket *a);

/* How many of the buffered bytes a receive takes that is finished, or has
 * failed; *data: how many of these it gives. */
static inline size_t sl_pattern_take(const sl_asocket *a, int finished,
                                     size_t *data)
{
    size_t wanted = a->receive.wanted;
    if (!finished || a->receive.pattern != SL_LINE || wanted == 0)
        return sl_pattern_takeany(a, finished, data);
    *data = wanted - 1;
    return wanted;
}

/* [-0, +1, m] Pushes the prefix and n bytes, without carriage returns from the
 * first one at cr on; NULL: there are none. */
void sl_pattern_pushjoined(lua_State *L, const sl_receive *r,
                           const char *bytes, size_t n, const char *cr);

/* [-0, +1, m] Pushes the prefix and n bytes; a line without carriage
 * returns. */
static inline void sl_pattern_push(lua_State *L, const sl_receive *r,
                                   const char *bytes, size_t n)
{
    const char *cr = NULL;
    if (sl_patterns[r->pattern].is_delimited && n > 0) {
        cr = memchr(bytes, '\r', n);
        if (cr == bytes + n - 1) {    /* as it ends nearly always */
            cr = NULL;
            n--;
        }
    }
    if (cr == NULL && r->prefix_size == 0)
        lua_pushlstring(L, bytes, n);
    else
        sl_pattern_pushjoined(L, r, bytes, n, cr);
}

#endif
