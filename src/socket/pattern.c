/*
 * pattern.c - the patterns of receive. See pattern.h.
 */

#include "socket/pattern.h"

#include "thread/arg.h"

#include <string.h>

/* The size of a read where the receive is limited, or more. */
enum { LIMITED_READ = 4096 };

/* Returns the number of bytes that a limit allows behind the prefix. */
static size_t limit_room(size_t limit, const sl_receive *r)
{
    return limit > r->prefix_size ? limit - r->prefix_size : 0;
}

/* --- finding the end --------------------------------------------------- */

static int find_line(sl_asocket *a)
{
    return sl_pattern_findline(a);
}

static int find_count(sl_asocket *a)
{
    size_t count = sl_buffer_count(&a->buffer);
    if (count >= a->receive.wanted)
        return count == 0 && a->source.fd < 0 ? SL_CLOSED : 0;
    return count > 0 && a->receive.less_is_ok ? 0 : SL_AGAIN;
}

static int find_end(sl_asocket *a)
{
    if (sl_buffer_count(&a->buffer) == 0)
        return SL_AGAIN;
    if (a->max_read > 0)
        return sl_pattern_findlimited(a);
    return a->receive.less_is_ok ? 0 : SL_AGAIN;
}

static size_t line_limit(const sl_asocket *a)
{
    return a->max_line;
}

static size_t read_limit(const sl_asocket *a)
{
    return a->max_read;
}

const sl_pattern sl_patterns[] = {
    [SL_LINE] = {'l', 1, 0, find_line, line_limit},
    [SL_COUNT] = {0, 0, 0, find_count, NULL},
    [SL_ALL] = {'a', 0, 1, find_end, read_limit},
};

/* With less_is_ok a receive that exceeds the limit returns as many bytes as the
 * limit allows, and the next one returns more. Without, the receive fails. */
int sl_pattern_findlimited(sl_asocket *a)
{
    sl_receive *r = &a->receive;
    size_t room = limit_room(sl_pattern_limit(a), r);
    size_t size = r->wanted > 0 ? r->wanted - 1 : sl_buffer_count(&a->buffer);
    if (size <= room)
        return r->wanted > 0 || r->less_is_ok ? 0 : SL_AGAIN;
    r->wanted = 0;
    if (r->less_is_ok && room > 0)
        return 0;
    if (sl_patterns[r->pattern].is_line) {
        a->overlong = 1;
        return SL_TOO_LONG;
    }
    a->overfull = 1;
    return SL_TOO_MUCH;
}

size_t sl_pattern_missinglimited(const sl_asocket *a, size_t limit)
{
    size_t count = sl_buffer_count(&a->buffer);
    size_t room = limit_room(limit, &a->receive);
    return room >= count + LIMITED_READ ? room + 1 - count : LIMITED_READ;
}

int sl_pattern_overflows(const sl_asocket *a)
{
    const sl_receive *r = &a->receive;
    return sl_patterns[r->pattern].is_unbounded && a->max_read > 0 &&
           sl_buffer_count(&a->buffer) > limit_room(a->max_read, r);
}

int sl_pattern_endswithstream(const sl_asocket *a)
{
    return sl_patterns[a->receive.pattern].is_unbounded &&
           sl_buffer_count(&a->buffer) > 0 && !sl_pattern_overflows(a);
}

/* --- arguments --------------------------------------------------------- */

/* Returns the pattern with that letter, or -1. */
static int find_letter(char letter)
{
    for (int i = 0; i < (int)(sizeof sl_patterns / sizeof *sl_patterns); i++)
        if (letter != '\0' && sl_patterns[i].letter == letter)
            return i;
    return -1;
}

void sl_pattern_check(lua_State *L, sl_receive *r)
{
    if (lua_isnumber(L, 2)) {
        double n = lua_tonumber(L, 2);
        sl_arg_check(L, n >= 0, 2, "invalid receive pattern");
        size_t count = sl_arg_tosize(n);
        r->pattern = SL_COUNT;
        r->wanted = count > r->prefix_size ? count - r->prefix_size : 0;
        return;
    }
    const char *name = sl_arg_optstring(L, 2, "*l");
    int has_star = *name == '*';
    int i = find_letter(name[has_star]);
    sl_arg_check(L, (has_star || SL_STAR_OPTIONAL) && i >= 0, 2,
                 "invalid receive pattern");
    r->pattern = (unsigned char)i;
}

int sl_pattern_refuselimited(const sl_asocket *a, sl_receive *r)
{
    if (a->overlong)
        return SL_TOO_LONG;
    if (a->max_read == 0 || sl_patterns[r->pattern].is_line)
        return 0;
    if (sl_patterns[r->pattern].is_unbounded)
        return a->overfull ? SL_TOO_MUCH : 0;
    size_t room = limit_room(a->max_read, r);
    if (r->wanted <= room)
        return 0;
    r->wanted = room;
    return r->less_is_ok && room > 0 ? 0 : SL_TOO_MUCH;
}

/* --- results ----------------------------------------------------------- */

size_t sl_pattern_takeany(const sl_asocket *a, int finished, size_t *data)
{
    const sl_receive *r = &a->receive;
    const sl_pattern *pattern = &sl_patterns[r->pattern];
    size_t count = *data = sl_buffer_count(&a->buffer);
    size_t limit = sl_pattern_limit(a);
    if (limit > 0 && r->wanted == 0 && count > limit_room(limit, r))
        return *data = limit_room(limit, r);
    if (!finished || pattern->is_unbounded)
        return count;
    if (pattern->is_line && r->wanted > 0) {
        *data = r->wanted - 1;
        return r->wanted;
    }
    if (r->pattern == SL_COUNT && count > r->wanted)
        *data = r->wanted;
    return *data;
}

/* A separate function, since a luaL_Buffer may take more than a page of the C
 * stack. */
void sl_pattern_pushjoined(lua_State *L, const sl_receive *r,
                           const char *bytes, size_t n, const char *cr)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    luaL_addlstring(&b, r->prefix, r->prefix_size);
    while (cr != NULL) {
        luaL_addlstring(&b, bytes, (size_t)(cr - bytes));
        n -= (size_t)(cr - bytes) + 1;
        bytes = cr + 1;
        cr = memchr(bytes, '\r', n);
    }
    luaL_addlstring(&b, bytes, n);
    luaL_pushresult(&b);
}
