/*
 * memory.c - a program that embeds Lua and the module, in which the n-th
 * allocation fails, for every n:
 *
 *     memory lua|system WIDTH RUNS[:SEED] SCRIPT [PART [N]]
 *
 * The script returns a list of parts, each a name and three functions: the
 * preparation, the operation that may fail, and the checks afterwards. A part
 * is run in a new Lua state for each n. In the operation, WIDTH requests fail
 * from the n-th on (0: all); in the other functions, none. After lua_close the
 * memory and descriptors in use must be those from before. At most RUNS values
 * of n are tried for each part, at equal distances (0: all), from a start that
 * depends on SEED; or only N of only one PART.
 *
 * `lua`: requests to Lua's allocator. `system`: the module's requests to the
 * system for memory, descriptors, stacks and threads. These calls are replaced
 * by the linker's --wrap, so those of libraries are not included.
 */

#define _GNU_SOURCE    /* accept4, pipe2, RTLD_DEFAULT */

#include "socketloop.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 1024, RUN_SECONDS = 30, NAP = 1000000, NAPS_MAX = 5000 };

/* Requests of one kind. All are counted, some fail. */
typedef struct requests {
    int on;              /* whether they are counted */
    long count;
    long first, width;   /* failing ones; width 0: all from first on */
} requests;

/* Resources in use; the module's workers change them, too. */
typedef struct usage {
    long blocks, mapped, lists;    /* mapped: bytes */
    int fds;
} usage;

static requests lua_requests, system_requests;
static usage in_use;
static pthread_t main_thread;
static char running[80];    /* part and n, for the watchdog */

static int must_fail(requests *r)
{
    if (!r->on || !pthread_equal(pthread_self(), main_thread))
        return 0;
    r->count++;
    return r->first > 0 && r->count >= r->first &&
           (r->width == 0 || r->count < r->first + r->width);
}

/* Adds to a counter. Returns the new value. */
static long count(long *what, long change)
{
    return __sync_add_and_fetch(what, change);
}

/* Returns true, with errno set, if this request to the system fails. */
static int refuse(int err)
{
    if (!must_fail(&system_requests))
        return 0;
    errno = err;
    return 1;
}

/* --- what the module calls --------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__real_mmap(void *at, size_t size, int access, int flags, int fd,
                  off_t offset);
int __real_munmap(void *at, size_t size);
int __real_mprotect(void *at, size_t size, int access);
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __real_pipe2(int ends[2], int flags);
int __real_socket(int family, int type, int protocol);
int __real_accept4(int fd, struct sockaddr *name, socklen_t *size, int flags);
int __real_connect(int fd, const struct sockaddr *name, socklen_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg);
int __real_getaddrinfo(const char *host, const char *port,
                       const struct addrinfo *hints, struct addrinfo **list);
void __real_freeaddrinfo(struct addrinfo *list);

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    void *block = refuse(ENOMEM) ? NULL : __real_malloc(size);
    count(&in_use.blocks, block != NULL);
    return block;
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    void *block = refuse(ENOMEM) ? NULL : __real_calloc(n, size);
    count(&in_use.blocks, block != NULL);
    return block;
}

void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
    void *result = refuse(ENOMEM) ? NULL : __real_realloc(block, size);
    count(&in_use.blocks, block == NULL && result != NULL);
    return result;
}

void __wrap_free(void *block);
void __wrap_free(void *block)
{
    count(&in_use.blocks, -(block != NULL));
    __real_free(block);
}

void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd,
                  off_t offset);
void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd,
                  off_t offset)
{
    if (refuse(ENOMEM))
        return MAP_FAILED;
    void *result = __real_mmap(at, size, access, flags, fd, offset);
    count(&in_use.mapped, result != MAP_FAILED ? (long)size : 0);
    return result;
}

int __wrap_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size)
{
    count(&in_use.mapped, -(long)size);
    return __real_munmap(at, size);
}

int __wrap_mprotect(void *at, size_t size, int access);
int __wrap_mprotect(void *at, size_t size, int access)
{
    return refuse(ENOMEM) ? -1 : __real_mprotect(at, size, access);
}

int __wrap_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
    return refuse(EMFILE) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_ADD && refuse(ENOSPC))
        return -1;
    return __real_epoll_ctl(epoll, op, fd, event);
}

int __wrap_pipe2(int ends[2], int flags);
int __wrap_pipe2(int ends[2], int flags)
{
    return refuse(EMFILE) ? -1 : __real_pipe2(ends, flags);
}

int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
    return refuse(ENOBUFS) ? -1 : __real_socket(family, type, protocol);
}

int __wrap_accept4(int fd, struct sockaddr *name, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *name, socklen_t *size, int flags)
{
    return refuse(ENFILE) ? -1 : __real_accept4(fd, name, size, flags);
}

/* Resets connections when they close, or thousands of ports would stay in
 * TIME_WAIT for a minute. */
int __wrap_connect(int fd, const struct sockaddr *name, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *name, socklen_t size)
{
    struct linger none = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return __real_connect(fd, name, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg)
{
    return refuse(EAGAIN) ? EAGAIN
                          : __real_pthread_create(thread, attributes, run, arg);
}

/* Knows two names: 'twice' has two addresses, 'nobody' has no address. */
int __wrap_getaddrinfo(const char *host, const char *port,
                       const struct addrinfo *hints, struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *port,
                       const struct addrinfo *hints, struct addrinfo **list)
{
    int is_name = host != NULL && strcmp(host, "twice") == 0;
    int is_unknown = host != NULL && strcmp(host, "nobody") == 0;
    if (refuse(ENOMEM))
        return EAI_MEMORY;
    if (is_unknown || (is_name && (hints->ai_flags & AI_NUMERICHOST)))
        return EAI_NONAME;
    int err = __real_getaddrinfo(is_name ? "127.0.0.2" : host, port, hints,
                                 list);
    if (err != 0)
        return err;
    count(&in_use.lists, 1);
    return is_name ? __real_getaddrinfo("127.0.0.1", port, hints,
                                        &(*list)->ai_next) : 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list);
void __wrap_freeaddrinfo(struct addrinfo *list)
{
    count(&in_use.lists, -1);
    __real_freeaddrinfo(list);
}

/* --- what Lua calls ---------------------------------------------------- */

static lua_Alloc lua_allocate;
static void *lua_allocate_arg;

/* Calls Lua's previous allocator, since LuaJIT may insist on its own. Shrinking
 * a block does not fail: Lua relies on that. */
static void *allocate(void *arg, void *block, size_t old, size_t size)
{
    (void)arg;
    if (size > 0 && (block == NULL || size > old) && must_fail(&lua_requests))
        return NULL;
    return lua_allocate(lua_allocate_arg, block, old, size);
}

static lua_State *new_state(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_socketloop);
    lua_setfield(L, -2, "socketloop");
    lua_pushcfunction(L, luaopen_socketloop_coro);
    lua_setfield(L, -2, "socketloop.coro");
    lua_pushcfunction(L, luaopen_socketloop_symmetric);
    lua_setfield(L, -2, "socketloop.symmetric");
    lua_settop(L, 0);
    lua_allocate = lua_getallocf(L, &lua_allocate_arg);
    lua_setallocf(L, allocate, NULL);
    return L;
}

/* If Lua 5.4 has no memory to call a finalizer, it drops the object with a
 * warning, and the object's resources are leaked. */
static int finalizers_lost;

static void warn(void *arg, const char *piece, int more)
{
    (void)arg;
    (void)more;
    finalizers_lost |= strstr(piece, "__gc") != NULL;
}

static void listen_to_warnings(lua_State *L)
{
    void (*set)(lua_State *L, void (*f)(void *arg, const char *piece, int more),
                void *arg);
    *(void **)&set = dlsym(RTLD_DEFAULT, "lua_setwarnf");
    finalizers_lost = 0;
    if (set != NULL)    /* before 5.4 there are no warnings */
        set(L, warn, NULL);
}

/* --- running parts ----------------------------------------------------- */

static void give_up(const char *why)
{
    fprintf(stderr, "%s: %s\n", running, why);
    exit(1);
}

static void hangs(int signal)
{
    (void)signal;
    (void)!write(2, running, strlen(running));
    (void)!write(2, ": hangs\n", 8);
    _exit(1);
}

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < FDS_MAX; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static usage get_usage(void)
{
    usage now = {
        count(&in_use.blocks, 0), count(&in_use.mapped, 0),
        count(&in_use.lists, 0), count_fds(),
    };
    return now;
}

static int is_as_before(const usage *before)
{
    usage now = get_usage();
    return now.blocks == before->blocks && now.mapped == before->mapped &&
           now.lists == before->lists && now.fds == before->fds;
}

/* The last worker frees its memory asynchronously. */
static void check_usage(const usage *before)
{
    struct timespec nap = {0, NAP};
    for (int i = 0; i < NAPS_MAX && !is_as_before(before); i++)
        nanosleep(&nap, NULL);
    if (is_as_before(before) || finalizers_lost)
        return;
    usage now = get_usage();
    fprintf(stderr, "%s: left behind: %ld blocks, %ld bytes mapped, "
            "%ld address lists, %d descriptors\n", running,
            now.blocks - before->blocks, now.mapped - before->mapped,
            now.lists - before->lists, now.fds - before->fds);
    exit(1);
}

/* [-0, +5, -] Loads the script; pushes a part, its name and functions. Returns
 * false if there is no such part. */
static int push_part(lua_State *L, const char *script, int part)
{
    if (luaL_loadfile(L, script) || lua_pcall(L, 0, 1, 0))
        give_up(lua_tostring(L, -1));
    lua_rawgeti(L, -1, part);
    if (lua_isnil(L, -1))
        return 0;
    for (int i = 1; i <= 4; i++)
        lua_rawgeti(L, -i, i);
    return 1;
}

/* Runs a part once; the n-th request fails, or none if n is 0. Returns the
 * number of requests, or -1 if there is no such part. */
static long run_once(const char *script, int part, requests *r, long n)
{
    usage before = get_usage();
    lua_State *L = new_state();
    listen_to_warnings(L);
    if (!push_part(L, script, part)) {
        lua_close(L);
        return -1;
    }
    snprintf(running, sizeof running, "%s %ld %d %ld (%s)",
             r == &lua_requests ? "lua" : "system", r->width, part, n,
             lua_tostring(L, 3));
    alarm(RUN_SECONDS);
    lua_pushvalue(L, 4);
    if (lua_pcall(L, 0, 0, 0))
        give_up(lua_tostring(L, -1));
    r->count = 0;
    r->first = n;
    lua_pushvalue(L, 5);
    lua_pushboolean(L, n > 0);
    r->on = 1;
    int failed = lua_pcall(L, 1, 0, 0);
    r->on = 0;
    if (failed && n == 0)
        give_up(lua_tostring(L, -1));
    lua_settop(L, 6);
    if (lua_pcall(L, 0, 0, 0) && !finalizers_lost)
        give_up(lua_tostring(L, -1));
    lua_close(L);
    alarm(0);
    check_usage(&before);
    return r->count;
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 7) {
        fprintf(stderr, "usage: memory lua|system WIDTH RUNS[:SEED] SCRIPT "
                "[PART [N]]\n");
        return 2;
    }
    requests *r = strcmp(argv[1], "lua") == 0 ? &lua_requests
                                              : &system_requests;
    const char *script = argv[4];
    const char *colon = strchr(argv[3], ':');
    long runs = atol(argv[3]), seed = colon != NULL ? atol(colon + 1) : 0;
    int only = argc > 5 ? atoi(argv[5]) : 0;
    main_thread = pthread_self();
    signal(SIGALRM, hangs);
    r->width = atol(argv[2]);
    if (argc > 6)
        return run_once(script, only, r, atol(argv[6])) < 0;
    for (int part = only > 0 ? only : 1; only == 0 || part == only; part++) {
        long total = run_once(script, part, r, 0);
        if (total < 0)
            break;
        long step = runs > 0 && total > runs ? (total + runs - 1) / runs : 1;
        long unchecked = 0;
        for (long n = 1 + seed % step; n <= total; n += step) {
            run_once(script, part, r, n);
            unchecked += finalizers_lost;
        }
        if (unchecked > 0)
            printf("in %ld runs Lua lost finalizers\n", unchecked);
        printf("%s: %ld requests\n", running, total);
    }
    return 0;
}
