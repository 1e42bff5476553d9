/*
 * receive.c - a libFuzzer target for receive: its results are compared with
 * those that follow from the bytes sent. See `make libfuzzer`.
 *
 * The first byte of the input selects the mode. Either bytes are sent through
 * two pairs of sockets, and received with a timeout of 0 by one thread; or two
 * threads receive without a timeout while the bytes are sent in pieces, whose
 * sizes must not matter. Each further byte is a step: see parse. The model of
 * receive is in received.c.
 */

#include "receive.h"

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

static lua_State *L;
static stream streams[2];
static step steps[STEPS_MAX];
static int step_count, next_step, finished;
static rules now;
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

/* Appends bytes to the stream: some from the input, or many equal ones. */
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
        s->less_is_ok = now.instant && (byte & 16);
        s->prefix_size = byte >> 6;
        for (size_t i = 0; i < s->prefix_size; i++)
            s->prefix[i] = (char)next_byte();
    }
}

/* --- sending ----------------------------------------------------------- */

/* Sends the step's bytes, as far as there is room. Returns false if there was
 * not enough room. */
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

/* For a timeout of 0: sends at once; there must be room for all bytes. */
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

/* --- the threads ------------------------------------------------------- */

/* Returns the next step that receives, for the thread of socket `which` or,
 * with -1, for the one thread of all sockets; or NULL. */
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
    const step *s = lua_touserdata(co, 1);
    if (!is_possible(&now, s, &streams[s->which], &r)) {
        show(s, &r);
        fail("that is not what was sent");
    }
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

/* Returns false if nothing waits. */
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
    t->ended = t->overlong = t->overfull = t->next = 0;
    t->places[0] = 0;
    t->count = 1;
    if (now.max_line > 0)
        set(which, "setmaxline", now.max_line);
    if (now.max_read > 0)
        set(which, "setmaxread", now.max_read);
    if (now.instant) {
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
            t->size = t->sent;    /* the bytes there was room for */
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
    now.instant = how & 1;
    now.max_line = how & 2 ? next_size() + 1 : 0;
    now.max_read = how & 4 ? next_size() + 1 : 0;
    next_step = (int)(how >> 3);
    finished = 0;
    streams[0].size = streams[1].size = 0;
    for (step_count = 0; input < input_end && step_count < STEPS_MAX;)
        parse(&steps[step_count++]);
    open_stream(0);
    open_stream(1);
    if (now.instant)
        run_at_once();
    else
        run_in_pieces();
    close_stream(0);
    close_stream(1);
    if (step_loop())
        fail("something waits");
    return 0;
}
