/*
 * loop.c - the step, the waits and the ready queue. See loop.h for the order
 * within a step. Knows descriptors and threads, no sockets.
 */

#include "loop.h"

#include "clock.h"
#include "result.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENTS_MAX = 256,     /* taken from the poller at once */
    OPERATIONS_MAX = 64   /* by one thread, before it is others' turn */
};

/* What a timer belongs to (sl_timer.kind). */
enum { OF_SLEEP, OF_READER, OF_WRITER };

#define CONTAINER(pointer, type, member) \
    ((type *)((char *)(pointer) - offsetof(type, member)))

sl_loop *sl_loop_check(lua_State *L)
{
    sl_loop *loop = lua_touserdata(L, lua_upvalueindex(1));
    if (loop->closed)
        luaL_error(L, "socketloop: the loop is closed");
    return loop;
}

void sl_loop_env(lua_State *L, int which)
{
    sl_getuservalue(L, lua_upvalueindex(1));
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
}

/* --- the ready queue --------------------------------------------------- */

static void enqueue(sl_loop *loop, sl_thread *t)
{
    t->next = NULL;
    t->prev = loop->last;
    if (loop->last != NULL)
        loop->last->next = t;
    else
        loop->first = t;
    loop->last = t;
    loop->ready++;
}

static void dequeue(sl_loop *loop, sl_thread *t)
{
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        loop->first = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    else
        loop->last = t->prev;
    loop->ready--;
}

/* --- sources ----------------------------------------------------------- */

static void init_wait(sl_wait *wait, sl_source *source, int kind,
                      unsigned char interest)
{
    wait->source = source;
    wait->interest = interest;
    wait->timer.kind = kind;
}

void sl_source_init(sl_source *source, sl_loop *loop)
{
    memset(source, 0, sizeof *source);
    source->loop = loop;
    source->fd = -1;
    init_wait(&source->reader, source, OF_READER, SL_READABLE);
    init_wait(&source->writer, source, OF_WRITER, SL_WRITABLE);
}

static int reserve_source(sl_loop *loop, int fd)
{
    if (fd < loop->sources_size)
        return 0;
    int size = loop->sources_size > 0 ? loop->sources_size : 64;
    while (size <= fd)
        size *= 2;
    sl_source **sources = realloc(loop->sources,
                                  (size_t)size * sizeof *sources);
    if (sources == NULL)
        return ENOMEM;
    for (int i = loop->sources_size; i < size; i++)
        sources[i] = NULL;
    loop->sources = sources;
    loop->sources_size = size;
    return 0;
}

void sl_source_detach(sl_source *source, int closing)
{
    sl_loop *loop = source->loop;
    int fd = source->fd;
    if (fd < 0 || loop->closed)
        return;
    /* epoll and kqueue forget a descriptor themselves when it is closed. */
    if (source->watched && !(closing && loop->type->edge_triggered))
        loop->type->forget(loop->poller, fd);
    loop->sources[fd] = NULL;
    source->fd = -1;
    source->watched = 0;
}

int sl_source_claim(sl_source *source, int fd)
{
    sl_loop *loop = source->loop;
    if (!loop->type->holds(fd))
        return SL_TOO_BIG;
    if (reserve_source(loop, fd) != 0)
        return ENOMEM;
    sl_source *old = loop->sources[fd];
    if (old == source)
        return 0;
    if (old != NULL)
        sl_source_release(old, 0);
    sl_source_detach(source, 0);
    loop->sources[fd] = source;
    source->fd = fd;
    source->generation = ++loop->generation;
    source->readable = source->writable = 1;
    source->hangup = source->watched = 0;
    return 0;
}

void sl_source_release(sl_source *source, int closing)
{
    sl_source_detach(source, closing);
    if (source->loop->closed)
        return;
    sl_wait_finish(&source->reader, SL_CLOSED);
    sl_wait_finish(&source->writer, SL_CLOSED);
}

static unsigned parked_interest(const sl_wait *wait)
{
    return wait->parked ? wait->interest : 0;
}

/* Tells the poller what the source's waits want; 0 or an errno. */
static int tell_poller(sl_source *source)
{
    sl_loop *loop = source->loop;
    unsigned wanted = parked_interest(&source->reader) |
                      parked_interest(&source->writer);
    if (source->fd < 0 || (loop->type->edge_triggered &&
                           (source->watched || wanted == 0)))
        return 0;
    int err = loop->type->watch(loop->poller, source->fd, source->generation,
                                wanted);
    if (err == 0)
        source->watched = 1;
    return err;
}

/* --- waits ------------------------------------------------------------- */

/* The deadline of a wait that begins now. The timer in the heap stays where
 * it is if it fires earlier: it is set again then. */
static int set_deadline(sl_wait *wait, double now)
{
    sl_timers *timers = &wait->source->loop->timers;
    wait->deadline = wait->block >= 0 ? now + wait->block : -1;
    if (wait->until >= 0 &&
        (wait->deadline < 0 || wait->until < wait->deadline))
        wait->deadline = wait->until;
    if (wait->deadline < 0)
        return 0;
    if (wait->timer.index > 0 &&
        sl_timer_due(timers, &wait->timer) <= wait->deadline)
        return 0;
    return sl_timer_set(timers, &wait->timer, wait->deadline);
}

static void unpark(sl_wait *wait)
{
    wait->parked = 0;
    wait->source->loop->waiting--;
    if (!wait->source->loop->type->edge_triggered)
        tell_poller(wait->source);
}

/* The thread begins to wait for readiness; 0 or why it can't. */
static int park(sl_wait *wait)
{
    int err = 0;
    if (wait->block >= 0 || wait->until >= 0)
        err = set_deadline(wait, sl_clock_now());
    else
        wait->deadline = -1;
    if (err != 0)
        return err;
    wait->parked = 1;
    wait->source->loop->waiting++;
    err = tell_poller(wait->source);
    if (err != 0)
        unpark(wait);
    return err;
}

static void finish(sl_wait *wait, int status)
{
    wait->status = status;
    if (wait->parked) {
        unpark(wait);
        enqueue(wait->source->loop, wait->thread);
    }
}

void sl_wait_finish(sl_wait *wait, int status)
{
    if (wait->parked || (wait->thread != NULL && wait->status == SL_BUSY))
        finish(wait, status);
}

/* Its thread cannot be in the wait any more, or it would be alive: somebody
 * closed or resumed the coroutine. In its turn the record ends. */
static void abandon(sl_wait *wait)
{
    if (wait->thread != NULL && !wait->source->loop->threads->closed)
        wait->thread->wait = NULL;
    wait->thread = NULL;
    sl_timer_cancel(&wait->source->loop->timers, &wait->timer);
}

void sl_source_free(sl_source *source)
{
    if (source->loop->closed)
        return;
    sl_source_release(source, 0);
    abandon(&source->reader);
    abandon(&source->writer);
}

/* Tries the operation; an answer of SL_AGAIN it may not wait for is a
 * timeout. */
static int try(lua_State *L, sl_wait *wait)
{
    wait->progress = 0;
    wait->status = wait->operation(L, wait->source);
    if (wait->status == SL_AGAIN && (wait->block == 0 || wait->until == 0))
        wait->status = SL_TIMEOUT;
    return wait->status;
}

/* Pushes the results of the wait, then frees it for the next thread. */
static int give_results(lua_State *L, void *arg)
{
    sl_wait *wait = arg;
    int n = wait->results(L, wait);
    wait->thread = NULL;
    return n;
}

/* Whether the thread that occupies the wait is still in it: its coroutine
 * may have been closed, or resumed by somebody else. */
static int is_occupied(lua_State *L, sl_wait *wait)
{
    if (wait->thread == NULL)
        return 0;
    if (!wait->parked || sl_thread_waits(L, wait->thread))
        return 1;
    unpark(wait);
    sl_thread_prepare(L, wait->thread);    /* ends the record */
    wait->thread = NULL;
    return 0;
}

void sl_wait_check(lua_State *L, sl_wait *wait, const char *what)
{
    sl_thread_check(L, wait->source->loop->threads, what);
    if (is_occupied(L, wait))
        luaL_error(L, "%s: the socket is already waited on by another thread",
                   what);
}

/* The wait's operation has to go on: in a later turn, or when it is ready. */
static int begin(lua_State *L, sl_wait *wait)
{
    sl_loop *loop = wait->source->loop;
    sl_thread *t = sl_thread_current(L, loop->threads);
    wait->thread = t;
    t->loop = loop;
    t->wait = wait;
    if (wait->status == SL_BUSY) {
        enqueue(loop, t);
        return 0;
    }
    int err = park(wait);
    if (err != 0) {
        wait->thread = NULL;
        wait->status = err;
    }
    return err;
}

static int must_wait(const sl_wait *wait)
{
    return wait->status == SL_AGAIN || wait->status == SL_BUSY;
}

/* Who may not wait for the poller's word asks the system instead. */
static void assume_ready(sl_wait *wait)
{
    if (wait->interest & SL_READABLE)
        wait->source->readable = 1;
    if (wait->interest & SL_WRITABLE)
        wait->source->writable = 1;
}

/* Tries it in the calling thread, unless it had its share already. */
static void try_first(lua_State *L, sl_wait *wait, sl_operation operation)
{
    sl_thread *t = wait->source->loop->threads->running;
    wait->operation = operation;
    if (wait->block == 0 || wait->until == 0)
        assume_ready(wait);
    if (t != NULL && ++t->spent > OPERATIONS_MAX)
        wait->status = SL_BUSY;
    else
        try(L, wait);
}

int sl_wait_operate(lua_State *L, sl_wait *wait, sl_operation operation,
                    double block, double total,
                    int (*results)(lua_State *L, sl_wait *wait))
{
    wait->results = results;
    wait->block = block;
    wait->until = total > 0 ? sl_clock_now() + total : total;
    try_first(L, wait, operation);
    if (must_wait(wait) && begin(L, wait) == 0)
        return sl_thread_wait(L, wait->thread, give_results, wait);
    return results(L, wait);
}

int sl_wait_block(lua_State *L, sl_wait *wait, sl_operation operation,
                  double limit)
{
    wait->block = limit;
    wait->until = -1;
    try_first(L, wait, operation);
    if (must_wait(wait) && begin(L, wait) == 0) {
        sl_thread_freeze(L, wait->thread);
        wait->thread = NULL;
    }
    return wait->status;
}

static int no_results(lua_State *L, void *arg)
{
    (void)L, (void)arg;
    return 0;
}

int sl_loop_sleep(lua_State *L, sl_loop *loop, double seconds)
{
    sl_thread *t = sl_thread_current(L, loop->threads);
    t->loop = loop;
    t->wait = NULL;
    t->timer.kind = OF_SLEEP;
    if (seconds <= 0) {
        enqueue(loop, t);
    } else {
        double due = sl_clock_now() + seconds;
        if (sl_timer_set(&loop->timers, &t->timer, due) != 0)
            return luaL_error(L, "not enough memory");
        loop->waiting++;
    }
    return sl_thread_wait(L, t, no_results, NULL);
}

/* --- failures ---------------------------------------------------------- */

void sl_loop_guard(lua_State *L, int thread, int value)
{
    sl_loop_env(L, SL_ENV_GUARDED);
    lua_pushvalue(L, thread);
    lua_pushvalue(L, value);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* [-0, +0, -] Calls close of what the thread at index was guarding. */
static void close_guarded(lua_State *L, int thread)
{
    sl_loop_env(L, SL_ENV_GUARDED);
    lua_pushvalue(L, thread);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1)) {
        lua_getfield(L, -1, "close");
        lua_insert(L, -2);
        lua_pcall(L, 1, 0, 0);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 2);
    }
}

/* [-3, +0, e] A thread failed: thread, error and traceback go to onerror, or
 * out of this step. */
static void fail(lua_State *L)
{
    close_guarded(L, lua_gettop(L) - 2);
    sl_loop_env(L, SL_ENV_MODULE);
    lua_getfield(L, -1, "onerror");
    lua_remove(L, -2);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        sl_thread_message(L);
        lua_error(L);
    }
    lua_insert(L, -4);
    lua_call(L, 3, 0);
}

void sl_loop_fail_later(lua_State *L, sl_loop *loop)
{
    lua_createtable(L, 3, 0);
    lua_insert(L, -4);
    for (int i = 3; i >= 1; i--)
        lua_rawseti(L, -(i + 1), i);
    sl_loop_env(L, SL_ENV_FAILURES);
    lua_insert(L, -2);
    lua_rawseti(L, -2, loop->failures + 1);
    lua_pop(L, 1);
    loop->failures++;
}

/* [-0, +0, e] Tells the failures that were put off. */
static void tell_failures(lua_State *L, sl_loop *loop)
{
    while (loop->failures > 0) {
        sl_loop_env(L, SL_ENV_FAILURES);
        lua_rawgeti(L, -1, 1);
        for (int i = 1; i < loop->failures; i++) {
            lua_rawgeti(L, -2, i + 1);
            lua_rawseti(L, -3, i);
        }
        lua_pushnil(L);
        lua_rawseti(L, -3, loop->failures--);
        lua_remove(L, -2);
        for (int i = 1; i <= 3; i++)
            lua_rawgeti(L, -i, i);
        lua_remove(L, -4);
        fail(L);
    }
}

/* --- the step ---------------------------------------------------------- */

/* Its operation goes on in its turn. True if the thread may run now. */
static int advance(lua_State *L, sl_loop *loop, sl_thread *t,
                   sl_wait *wait)
{
    if (try(L, wait) == SL_BUSY) {
        dequeue(loop, t);
        enqueue(loop, t);
        return 0;
    }
    if (wait->status != SL_AGAIN)
        return 1;
    int err = park(wait);
    if (err != 0) {
        wait->status = err;
        return 1;
    }
    dequeue(loop, t);
    return 0;
}

/* Runs a ready thread. It stays in the queue until nothing can fail. */
static void take_turn(lua_State *L, sl_loop *loop, sl_thread *t)
{
    sl_wait *wait = t->wait;
    if (wait != NULL && wait->status == SL_BUSY &&
        !advance(L, loop, t, wait))
        return;
    int here = sl_thread_prepare(L, t);
    dequeue(loop, t);
    t->wait = NULL;
    t->spent = 0;
    if (!here) {
        if (wait != NULL)
            wait->thread = NULL;
    } else if (sl_thread_wake(L, t)) {
        fail(L);
    }
    if (loop->failures > 0)
        tell_failures(L, loop);
}

static void wake(lua_State *L, sl_wait *wait, int status)
{
    sl_thread *t = wait->thread;
    finish(wait, status);
    take_turn(L, wait->source->loop, t);
}

/* A direction became ready: tries the operation that waits for it. */
static void try_waiting(lua_State *L, sl_wait *wait)
{
    if (!wait->parked || wait->interest == 0)
        return;
    int status = try(L, wait);
    if (status == SL_AGAIN && !wait->source->watched) {
        int err = tell_poller(wait->source);    /* it took another one */
        if (err != 0)
            status = err;
    }
    if (status == SL_BUSY)
        finish(wait, status);
    else if (status != SL_AGAIN)
        wake(L, wait, status);
    else if (wait->progress && wait->block >= 0)
        set_deadline(wait, sl_clock_now());
}

static sl_source *find_source(sl_loop *loop, const sl_event *event)
{
    if (event->fd >= loop->sources_size)
        return NULL;
    sl_source *source = loop->sources[event->fd];
    if (source == NULL || source->generation != event->generation)
        return NULL;
    return source;
}

/* Each direction looks its source up: a thread may have closed it. */
static void dispatch(lua_State *L, sl_loop *loop, sl_event event)
{
    sl_source *source = find_source(loop, &event);
    if (source == NULL)
        return;
    if (event.ready & SL_HANGUP)
        source->hangup = 1;
    if (event.ready & SL_WRITABLE)
        source->writable = 1;
    if (event.ready & SL_READABLE) {
        source->readable = 1;
        try_waiting(L, &source->reader);
    }
    if (event.ready & SL_WRITABLE) {
        source = find_source(loop, &event);
        if (source != NULL)
            try_waiting(L, &source->writer);
    }
}

static void wake_sleeper(lua_State *L, sl_loop *loop, sl_thread *t)
{
    loop->waiting--;
    enqueue(loop, t);
    take_turn(L, loop, t);
}

/* The timer of a wait: it may be of one that is long over, or be set again
 * because the deadline was moved. */
static void time_out(lua_State *L, sl_loop *loop, sl_wait *wait, double now)
{
    if (!wait->parked || wait->deadline < 0)
        return;
    if (wait->deadline > now)
        sl_timer_set(&loop->timers, &wait->timer, wait->deadline);
    else
        wake(L, wait, SL_TIMEOUT);
}

static void fire_timers(lua_State *L, sl_loop *loop)
{
    if (loop->timers.count == 0)
        return;
    double now = sl_clock_now();
    sl_timer *timer;
    while ((timer = sl_timers_pop(&loop->timers, now)) != NULL) {
        if (timer->kind == OF_SLEEP)
            wake_sleeper(L, loop, CONTAINER(timer, sl_thread, timer));
        else
            time_out(L, loop, CONTAINER(timer, sl_wait, timer), now);
    }
}

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

/* Lets a hook that a signal handler has set (as lua.c's for Ctrl-C) run. */
static void let_hooks_run(lua_State *L)
{
    lua_pushcfunction(L, do_nothing);
    lua_call(L, 0, 0);
}

/* Seconds to wait at most: until the first deadline and the step's end. */
static double time_left(sl_loop *loop, double end)
{
    double first = sl_timers_first(&loop->timers);
    if (loop->ready > 0 || end == 0)
        return 0;
    if (first < 0 || (end > 0 && end < first))
        first = end;
    if (first < 0)
        return -1;
    double left = first - sl_clock_now();
    return left > 0 ? left : 0;
}

/* Waits for events, a deadline, or the step's end (0: at once). */
static void collect(lua_State *L, sl_loop *loop, double end)
{
    for (;;) {
        double left = time_left(loop, end);
        int n = loop->type->wait(loop->poller, sl_clock_ms(left),
                                 loop->events, EVENTS_MAX);
        loop->event = 0;
        loop->event_count = n > 0 ? n : 0;
        if (n >= 0)
            return;
        if (n != -EINTR)
            luaL_error(L, "%s: %s", loop->type->name, strerror(-n));
        let_hooks_run(L);
    }
}

int sl_loop_step(lua_State *L, sl_loop *loop, double timeout)
{
    luaL_checkstack(L, LUA_MINSTACK * 2, "too many nested steps");
    if (loop->failures > 0)
        tell_failures(L, loop);
    int unfinished = loop->event < loop->event_count;
    if (loop->waiting == 0 && loop->ready == 0 && !unfinished)
        return 0;
    if (!unfinished)
        collect(L, loop, timeout > 0 ? sl_clock_now() + timeout : timeout);
    while (loop->event < loop->event_count)
        dispatch(L, loop, loop->events[loop->event++]);
    fire_timers(L, loop);
    for (int n = loop->ready; n > 0 && loop->first != NULL; n--)
        take_turn(L, loop, loop->first);
    return 1;
}

/* --- making and unmaking ----------------------------------------------- */

static int loop_gc(lua_State *L)
{
    sl_loop *loop = lua_touserdata(L, 1);
    if (loop->closed)
        return 0;
    loop->closed = 1;
    if (loop->type != NULL)
        loop->type->close(loop->poller);
    sl_timers_free(&loop->timers);
    free(loop->sources);
    free(loop->events);
    free(loop->scratch.data);
    return 0;
}

static void weak_table(lua_State *L, const char *mode)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

/* [-0, +0, m] The table of the loop on the top. */
static void make_env(lua_State *L)
{
    lua_createtable(L, SL_ENV_GUARDED, 0);
    weak_table(L, "kv");
    lua_rawseti(L, -2, SL_ENV_WRAPPERS);
    lua_newtable(L);
    lua_rawseti(L, -2, SL_ENV_FAILURES);
    weak_table(L, "kv");
    lua_rawseti(L, -2, SL_ENV_GUARDED);
    sl_setuservalue(L, -2);
}

sl_loop *sl_loop_new(lua_State *L, const sl_poller_type *type)
{
    sl_threads *threads = sl_threads_get(L);
    sl_loop *loop = sl_newuserdata(L, sizeof *loop);
    memset(loop, 0, sizeof *loop);
    loop->threads = threads;
    sl_timers_init(&loop->timers);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, loop_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    make_env(L);
    loop->events = malloc(EVENTS_MAX * sizeof *loop->events);
    loop->scratch.data = malloc(SL_SCRATCH_SIZE);
    if (loop->events == NULL || loop->scratch.data == NULL)
        luaL_error(L, "not enough memory");
    int err = type->open(&loop->poller);
    if (err != 0)
        luaL_error(L, "%s: %s", type->name, strerror(err));
    loop->type = type;
    return loop;
}
