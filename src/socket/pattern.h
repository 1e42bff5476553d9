/*
 * pattern.h - the patterns of receive: when a receive is finished, and which
 * bytes it returns.
 *
 * A pattern is a row of the table in pattern.c. Its function `find` looks for
 * the end of the receive in the socket's buffer whenever bytes have arrived.
 * The native driver does not distinguish between the patterns. The files that
 * ask an object of others for bytes do: foreign.c and collect.c.
 */

#ifndef SL_PATTERN_H
#define SL_PATTERN_H

#include "os/error.h"
#include "socket/asocket.h"

#include <string.h>

typedef struct sl_pattern {
    char letter;      /* the pattern's name behind '*'; 0: a count */
    unsigned char is_line;    /* ends with a LF, which a->receive.wanted
                                 includes; LF and CRs are not returned */
    unsigned char is_unbounded;    /* ends with the stream */

    /* Returns 0 if the bytes in the buffer finish the receive, SL_AGAIN if they
     * do not, SL_TOO_LONG or SL_TOO_MUCH if they exceed a limit, SL_CLOSED for
     * zero bytes of a closed socket. A line sets a->receive.wanted. */
    int (*find)(sl_asocket *a);

    /* Returns the limit of bytes that a receive may return, with its prefix;
     * 0: no limit. NULL: sl_pattern_refuse has limited r->wanted. */
    size_t (*limit)(const sl_asocket *a);
} sl_pattern;

extern const sl_pattern sl_patterns[];

/* [-0, +0, v] Reads the pattern at index 2 into r, whose prefix is set. */
void sl_pattern_check(lua_State *L, sl_receive *r);

/* Slow path of sl_pattern_refuse. */
int sl_pattern_refuselimited(const sl_asocket *a, sl_receive *r);

/* Returns a code if the receive must fail without reading, or 0. It fails after
 * a line that was too long, whose rest would be taken for another line; and if
 * it asks for more than setmaxread allows. With less_is_ok r->wanted is reduced
 * instead. */
static inline int sl_pattern_refuse(const sl_asocket *a, sl_receive *r)
{
    return a->max_line == 0 && a->max_read == 0
               ? 0 : sl_pattern_refuselimited(a, r);
}

/* `find` for a pattern with a limit, after r->wanted was set: 0 if the buffer
 * has no end of the receive. */
int sl_pattern_findlimited(sl_asocket *a);

/* `find` for SL_LINE. Inline, since nearly all receives are for lines. */
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

/* Calls `find` of the pattern of the receive in progress. */
static inline int sl_pattern_find(sl_asocket *a)
{
    return a->receive.pattern == SL_LINE
               ? sl_pattern_findline(a)
               : sl_patterns[a->receive.pattern].find(a);
}

/* True if the buffer, which is not empty, has the end of another receive with
 * the last receive's pattern. */
static inline int sl_pattern_hasnext(sl_asocket *a)
{
    return sl_patterns[a->receive.pattern].is_line &&
           sl_buffer_line(&a->buffer) > 0;
}

/* Returns the limit of bytes that the receive may return, with its prefix; 0:
 * no limit. With a limit a read must not be larger than
 * sl_pattern_missing. */
static inline size_t sl_pattern_limit(const sl_asocket *a)
{
    const sl_pattern *pattern = &sl_patterns[a->receive.pattern];
    if (a->max_line == 0 && a->max_read == 0)
        return 0;
    return pattern->limit != NULL ? pattern->limit(a) : 0;
}

/* Slow paths of sl_pattern_missing and sl_pattern_take. */
size_t sl_pattern_missinglimited(const sl_asocket *a, size_t limit);
size_t sl_pattern_takeany(const sl_asocket *a, int finished, size_t *data);

/* Returns the number of bytes to read next: those that a count still needs, or
 * a part of the limit. 0: any number. */
static inline size_t sl_pattern_missing(const sl_asocket *a)
{
    size_t limit = sl_pattern_limit(a);
    if (a->receive.pattern == SL_COUNT)
        return a->receive.wanted - sl_buffer_count(&a->buffer);
    return limit > 0 ? sl_pattern_missinglimited(a, limit) : 0;
}

/* True if a receive('*a') has more bytes in the buffer than setmaxread
 * allows. */
int sl_pattern_overflows(const sl_asocket *a);

/* True if the receive is finished when the stream ends now: a receive('*a')
 * with at least one byte. */
int sl_pattern_endswithstream(const sl_asocket *a);

/* Returns the number of bytes that a receive removes from the buffer when it is
 * finished, or has failed (!finished). *data is the number of those that it
 * returns to its caller. */
static inline size_t sl_pattern_take(const sl_asocket *a, int finished,
                                     size_t *data)
{
    size_t wanted = a->receive.wanted;
    if (!finished || a->receive.pattern != SL_LINE || wanted == 0)
        return sl_pattern_takeany(a, finished, data);
    *data = wanted - 1;
    return wanted;
}

/* [-0, +1, m] Pushes the prefix and n bytes, without the carriage returns among
 * them. cr is the first one; NULL: leave all bytes as they are. */
void sl_pattern_pushjoined(lua_State *L, const sl_receive *r,
                           const char *bytes, size_t n, const char *cr);

/* [-0, +1, m] Pushes the prefix and n bytes. Drops the carriage returns of a
 * line. */
static inline void sl_pattern_push(lua_State *L, const sl_receive *r,
                                   const char *bytes, size_t n)
{
    const char *cr = NULL;
    if (sl_patterns[r->pattern].is_line && n > 0) {
        cr = memchr(bytes, '\r', n);
        if (cr == bytes + n - 1) {    /* the usual end of a line */
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
