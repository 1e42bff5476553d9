/*
 * getaddrinfo.c - a name service for the specs, loaded before the system's:
 *
 *     LD_PRELOAD=.../getaddrinfo.so lua ...
 *
 * A host that contains a '+' gets its answer here: the numeric addresses
 * between the signs, in that order; waitN among them takes N milliseconds,
 * and if there is no address the host is not known. '+127.0.0.2' is one
 * address, 'wait300+127.0.0.1+::1' has two, and they come late. 'asked' among
 * them is 127.1.0.N after N questions before. A '_' may stand for a ':', so
 * that a name looks like one. With 'musl' among them there is a canonical name,
 * whoever asks, as there is with that C library. All else is passed on.
 *
 * With NO_THREADS in the environment no thread can be made; with NO_NAMES
 * nobody knows the names of addresses.
 *
 * A process begins with a thread that ends at once: ThreadSanitizer adds one
 * of its own with the first that is made, which those who count threads would
 * else take for one of the module's.
 */

#define _GNU_SOURCE    /* RTLD_NEXT */

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int look_up(const char *host, const char *port,
                    const struct addrinfo *hints, struct addrinfo **list);

static void nap(long milliseconds)
{
    struct timespec left = {milliseconds / 1000,
                            milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

static look_up *find_real(void)
{
    look_up *real;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real;
}

/* Puts colons where underscores are. */
static void replace_underscores(char *text)
{
    while ((text = strchr(text, '_')) != NULL)
        *text = ':';
}

/* The address that says how many questions there were. */
static void count_asked(char address[32])
{
    static int asked;
    int n = __atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
    snprintf(address, 32, "127.1.%d.%d", n / 256 % 256, n % 256);
}

static int answer(char *items, const char *port, const struct addrinfo *hints,
                  struct addrinfo **list)
{
    char *rest = items, asked[32];
    look_up *real = find_real();
    struct addrinfo wanted = *hints;
    *list = NULL;
    count_asked(asked);
    for (char *item; (item = strtok_r(rest, "+", &rest)) != NULL;) {
        if (strncmp(item, "wait", 4) == 0)
            nap(strtol(item + 4, NULL, 10));
        else if (strcmp(item, "musl") == 0)
            wanted.ai_flags |= AI_CANONNAME;
        else if (real(strcmp(item, "asked") == 0 ? asked : item, port, &wanted,
                      list) == 0)
            while (*list != NULL)
                list = &(*list)->ai_next;
    }
    return 0;
}

int getaddrinfo(const char *host, const char *port,
                const struct addrinfo *hints, struct addrinfo **list)
{
    static const struct addrinfo none;
    char *items;
    if (host == NULL || strchr(host, '+') == NULL)
        return find_real()(host, port, hints, list);
    if (hints != NULL && hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    items = strdup(host);
    replace_underscores(items);
    answer(items, port, hints != NULL ? hints : &none, list);
    free(items);
    return *list != NULL ? 0 : EAI_NONAME;
}

typedef int find_name(const struct sockaddr *address, socklen_t size,
                      char *host, socklen_t host_size, char *port,
                      socklen_t port_size, int flags);

int getnameinfo(const struct sockaddr *address, socklen_t size, char *host,
                socklen_t host_size, char *port, socklen_t port_size,
                int flags)
{
    find_name *real;
    if (getenv("NO_NAMES") != NULL && !(flags & NI_NUMERICHOST))
        return EAI_AGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "getnameinfo");
    return real(address, size, host, host_size, port, port_size, flags);
}

typedef int make_thread(pthread_t *thread, const pthread_attr_t *attributes,
                        void *(*run)(void *), void *arg);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*run)(void *), void *arg)
{
    make_thread *real;
    if (getenv("NO_THREADS") != NULL)
        return EAGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, run, arg);
}

static void *end_at_once(void *unused)
{
    return unused;
}

__attribute__((constructor)) static void make_first_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_at_once, NULL) == 0)
        pthread_join(thread, NULL);
}
