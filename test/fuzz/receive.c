/*
 * receive.c - receive, for libFuzzer: what it gives is compared with what can
 * be told from the bytes that were sent. See `make libfuzzer`.
 *
 * The first byte of the input says how. In turn: bytes are sent through two
 * pairs of sockets, and received with a timeout of 0 by one thread; or two
 * threads receive with no timeout what is sent meanwhile in pieces, and the
 * pieces must not matter. Each byte that follows is something to do, see
 * parse.
 *
 * Where bytes end that came without an end of line may not be told from what
 * was received, since CRs are dropped: so there is a set of places up to which
 * all may have been received, and each result has to fit one of these.
 */

#include "socketloop.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STREAM_MAX = 200000,    /* bytes through one pair of sockets */
    UNREAD_MAX = 60000,     /* of them at a time: the system's room */
    STEPS_MAX = 256,
    PLACES_MAX = 512
};

enum { SEND, END, LINE, COUNT, ALL };

typedef struct step {
    int what, which;        /* one of the above; which socket */
    size_t offset, size;    /* SEND: of the stream's bytes */
    size_t count;           /* COUNT */
    char prefix[4];
    size_t prefix_size;
    int less_is_ok;
} step;

typedef struct stream {
    char bytes[STREAM_MAX];
    size_t size;            /* all that was, or will be, sent */
    size_t sent;            /* so far */
    int ended, overlong;
    size_t places[PLACES_MAX];    /* up to which it was received */
    int count;
    int peer;               /* the descriptor that sends */
    int next;               /* of its steps, with a thread of its own */
} stream;

static lua_State *L;
static stream streams[2];
static step steps[STEPS_MAX];
static int step_count, next_step, instant, finished;
static size_t max_line;
static int driver, wrapped[2];    /* references */

static void fail(const char *why)
{
    fprintf(stderr, "%s\n", why);
    abort();
}

/* --- the input --------------------------------------------------------- */

static const uint8_t *input, *input_end;

static unsigned next_byte(void)
{
    return input < input_end ? *input++ : 0;
}

static size_t next_size(void)
{
    size_t high = next_byte();
    return high * 256 + next_byte();
}

/* Appends bytes to the stream: some from the input, or many of a kind. */
static void add_bytes(step *s, stream *t, int many)
{
    size_t size = many ? next_size() : next_byte() % 16;
    char filler = (char)next_byte();
    filler = filler == '\r' ? '\n' : filler;
    if (size > STREAM_MAX - t->size)
        size = STREAM_MAX - t->size;
    s->offset = t->size;
    s->size = size;
    memset(t->bytes + t->size, filler, size);
    for (size_t i = 0; i < size && !many; i++)
        t->bytes[t->size + i] = (char)next_byte();
    t->size += size;
}

static void parse(step *s)
{
    static const int kinds[] = {SEND, SEND, SEND, LINE, COUNT, ALL, END, LINE};
    unsigned byte = next_byte();
    s->what = kinds[byte % 8];
    s->which = byte >> 3 & 1;
    if (s->what == SEND) {
        add_bytes(s, &streams[s->which], byte % 8 == 0);
    } else if (s->what != END) {
        s->count = byte & 32 ? next_size() : next_byte();
        s->less_is_ok = instant && (byte & 16);
        s->prefix_size = byte >> 6;
        for (size_t i = 0; i < s->prefix_size; i++)
            s->prefix[i] = (char)next_byte();
    }
}

/* --- sending ----------------------------------------------------------- */

/* Sends what the step says; with threads that receive it, as far as there is
 * room. False if there was none. */
static int send_bytes(const step *s)
{
    stream *t = &streams[s->which];
    while (t->sent < s->offset + s->size) {
        ssize_t n = send(t->peer, t->bytes + t->sent,
                         s->offset + s->size - t->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return 0;
        t->sent += (size_t)n;
    }
    return 1;
}

static void end_stream(stream *t)
{
    shutdown(t->peer, SHUT_WR);
    t->ended = 1;
}

/* With a timeout of 0: there has to be room for all of it. */
static void send_now(const step *s)
{
    stream *t = &streams[s->which];
    if (s->what == END) {
        end_stream(t);
        return;
    }
    if (t->ended || t->size != s->offset ||
        t->size + s->size - t->places[0] > UNREAD_MAX)
        return;
    t->size += s->size;
    if (!send_bytes(s))
        fail("no room");
}

/* --- the model --------------------------------------------------------- */

typedef struct result {
    const char *data, *err, *partial;
    size_t data_size, partial_size;
} result;

static size_t new_places[PLACES_MAX];
static int new_count, lost;

static void add_place(size_t place)
{
    for (int i = 0; i < new_count; i++)
        if (new_places[i] == place)
            return;
    if (new_count == PLACES_MAX)    /* nothing but CRs */
        lost = 1;
    else
        new_places[new_count++] = place;
}

/* The result is the prefix and between low and high bytes from the place on,
 * without CRs if it is a line, and extra more of them are gone. */
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

/* Less than that is enough, but not nothing. */
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

/* All that came is not enough. That it was all may not be known yet. */
static void fit_rest(const step *s, const stream *t, size_t place, size_t rest,
                     const result *r)
{
    if (t->ended || !instant)
        fit_error(s, t, place, rest, "closed", r);
    if (instant && !(t->ended && rest == 0))
        fit_error(s, t, place, rest, "timeout", r);
}

static void fit_line(const step *s, const stream *t, size_t place, size_t rest,
                     const result *r)
{
    const char *end = memchr(t->bytes + place, '\n', rest);
    size_t size = end != NULL ? (size_t)(end - (t->bytes + place)) : rest;
    size_t room = max_line > s->prefix_size ? max_line - s->prefix_size : 0;
    if (max_line > 0 && size > room) {
        fit_less(s, t, place, room, r);
        if (!s->less_is_ok || room == 0)
            fit_error(s, t, place, room, "line too long", r);
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
    fit_less(s, t, place, rest < wanted ? rest : wanted, r);
    if (rest >= wanted)
        fit_data(s, t, place, wanted, 0, r);
    else if (!s->less_is_ok || rest == 0)
        fit_rest(s, t, place, rest, r);
}

static void fit_all(const step *s, const stream *t, size_t place, size_t rest,
                    const result *r)
{
    fit_less(s, t, place, rest, r);
    if (rest > 0 && (t->ended || !instant))
        fit_data(s, t, place, rest, 0, r);
    if (rest == 0)
        fit_rest(s, t, place, rest, r);
    else if (instant && !s->less_is_ok)
        fit_error(s, t, place, rest, "timeout", r);
}

static void show(const step *s, const result *r)
{
    fprintf(stderr, "step %d, socket %d: receive %s %zu, prefix %zu bytes%s\n"
            "data %zd bytes, error %s, partial %zd bytes; sent %zu%s\n",
            (int)(s - steps), s->which,
            s->what == LINE ? "line" : s->what == ALL ? "all" : "count",
            s->count, s->prefix_size, s->less_is_ok ? ", or less" : "",
            r->data != NULL ? (ssize_t)r->data_size : -1,
            r->err != NULL ? r->err : "none",
            r->partial != NULL ? (ssize_t)r->partial_size : -1,
            streams[s->which].size, streams[s->which].ended ? ", ended" : "");
}

static void check(const step *s, const result *r)
{
    stream *t = &streams[s->which];
    if (lost)
        return;
    new_count = 0;
    for (int i = 0; i < t->count; i++) {
        size_t place = t->places[i], rest = t->size - place;
        if (t->overlong)
            fit_error(s, t, place, 0, "line too long", r);
        else if (s->what == LINE)
            fit_line(s, t, place, rest, r);
        else if (s->what == COUNT)
            fit_count(s, t, place, rest, r);
        else
            fit_all(s, t, place, rest, r);
    }
    if (new_count == 0) {
        show(s, r);
        fail("that is not what was sent");
    }
    t->overlong |= r->err != NULL && strcmp(r->err, "line too long") == 0;
    memcpy(t->places, new_places, sizeof t->places);
    t->count = new_count;
}

/* --- the threads ------------------------------------------------------- */

/* The next step that receives, for the thread of a socket or, with -1, for
 * the one that does all; or NULL. */
static step *find_step(int which)
{
    int *next = which < 0 ? &next_step : &streams[which].next;
    while (*next < step_count) {
        step *s = &steps[(*next)++];
        int receives = s->what != SEND && s->what != END;
        if (receives && (which < 0 || s->which == which))
            return s;
        if (!receives && which < 0)
            send_now(s);
    }
    return NULL;
}

/* next(which) -> step, asocket, pattern, prefix, less_is_ok; or nothing */
static int func_next(lua_State *co)
{
    step *s = find_step((int)luaL_checkinteger(co, 1));
    if (s == NULL) {
        finished++;
        return 0;
    }
    lua_pushlightuserdata(co, s);
    lua_rawgeti(co, LUA_REGISTRYINDEX, wrapped[s->which]);
    if (s->what == COUNT)
        lua_pushinteger(co, (lua_Integer)s->count);
    else
        lua_pushstring(co, s->what == LINE ? "*l" : "*a");
    lua_pushlstring(co, s->prefix, s->prefix_size);
    lua_pushboolean(co, s->less_is_ok);
    return 5;
}

/* check(step, data, error, partial) */
static int func_check(lua_State *co)
{
    result r;
    r.data = lua_tolstring(co, 2, &r.data_size);
    r.err = lua_tostring(co, 3);
    r.partial = lua_tolstring(co, 4, &r.partial_size);
    if ((r.data == NULL) == (r.err == NULL) ||
        (r.err == NULL) != (r.partial == NULL))
        fail("neither data nor an error, or both");
    check(lua_touserdata(co, 1), &r);
    return 0;
}

static const char code[] =
    "local next, check = ...\n"
    "loop = require 'socketloop'\n"
    "return function(which)\n"
    "    while true do\n"
    "        local step, s, pattern, prefix, less = next(which)\n"
    "        if not step then return end\n"
    "        check(step, s:receive(pattern, prefix, less))\n"
    "    end\n"
    "end\n";

static void call(int nargs, int nresults)
{
    if (lua_pcall(L, nargs, nresults, 0) != LUA_OK)
        fail(lua_tostring(L, -1));
}

static void push_function(const char *name)
{
    lua_getglobal(L, "loop");
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

static void start_thread(int which)
{
    push_function("newthread");
    lua_rawgeti(L, LUA_REGISTRYINDEX, driver);
    lua_pushinteger(L, which);
    call(2, 0);
}

/* False if nothing waits. */
static int step_loop(void)
{
    push_function("step");
    lua_pushinteger(L, 0);
    call(1, 1);
    int waits = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return waits;
}

static void set(int which, const char *method, size_t value)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, wrapped[which]);
    lua_getfield(L, -1, method);
    lua_insert(L, -2);
    lua_pushinteger(L, (lua_Integer)value);
    call(2, 0);
}

static void open_stream(int which)
{
    int ends[2];
    stream *t = &streams[which];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        fail(strerror(errno));
    push_function("wrap");
    lua_pushinteger(L, ends[0]);
    lua_pushstring(L, "unix");
    call(2, 1);
    wrapped[which] = luaL_ref(L, LUA_REGISTRYINDEX);
    t->peer = ends[1];
    t->sent = 0;
    t->ended = t->overlong = t->next = 0;
    t->places[0] = 0;
    t->count = 1;
    if (max_line > 0)
        set(which, "setmaxline", max_line);
    if (instant) {
        set(which, "settimeout", 0);
        t->size = 0;
    }
}

static void close_stream(int which)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, wrapped[which]);
    lua_getfield(L, -1, "close");
    lua_insert(L, -2);
    call(1, 0);
    luaL_unref(L, LUA_REGISTRYINDEX, wrapped[which]);
    close(streams[which].peer);
}

/* Steps until the threads have ended. */
static void finish(int threads)
{
    for (int i = 0; i < 10000 && finished < threads; i++)
        if (!step_loop() && finished < threads)
            fail("a thread is lost");
    if (finished < threads)
        fail("a thread waits for ever");
}

static void run_at_once(void)
{
    next_step = 0;
    start_thread(-1);
    finish(1);
}

static void run_in_pieces(void)
{
    int late = next_step % 2;
    for (int which = 0; which < 2 && !late; which++)
        start_thread(which);
    for (int i = 0; i < step_count; i++) {
        for (int tries = 0; steps[i].what == SEND && tries < 50 &&
                            !send_bytes(&steps[i]); tries++)
            step_loop();
        if (i % 3 != 0)
            step_loop();
    }
    for (int which = 0; which < 2; which++) {
        stream *t = &streams[which];
        end_stream(t);
        if (late) {
            t->size = t->sent;    /* what there was room for */
            start_thread(which);
        }
    }
    finish(2);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "socketloop", luaopen_socketloop, 0);
    lua_settop(L, 0);
    if (luaL_loadstring(L, code) != LUA_OK)
        fail(lua_tostring(L, -1));
    lua_pushcfunction(L, func_next);
    lua_pushcfunction(L, func_check);
    call(2, 1);
    driver = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_end = data + size;
    unsigned how = next_byte();
    instant = how & 1;
    max_line = how & 2 ? next_size() + 1 : 0;
    next_step = (int)(how >> 2);
    finished = lost = 0;
    streams[0].size = streams[1].size = 0;
    for (step_count = 0; input < input_end && step_count < STEPS_MAX;)
        parse(&steps[step_count++]);
    open_stream(0);
    open_stream(1);
    if (instant)
        run_at_once();
    else
        run_in_pieces();
    close_stream(0);
    close_stream(1);
    if (step_loop())
        fail("something waits");
    return 0;
}
