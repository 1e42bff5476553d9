/*
 * getaddrinfo.c - a name service for the specs, which is preloaded:
 *
 *     LD_PRELOAD=.../getaddrinfo.so lua ...
 *
 * A host that contains a '+' is answered here, by the numeric addresses between
 * the signs, in that order. Without an address the host is unknown.
 * '+127.0.0.2' has one address; 'wait300+127.0.0.1+::1' has two, after 300
 * milliseconds. 'asked' stands for the address 127.1.0.N after N previous
 * questions. A '_' may stand for a ':', so that the text looks like a name.
 * With 'musl' a canonical name is always returned, as musl does. Other hosts
 * are passed on.
 *
 * With NO_THREADS in the environment no thread can be made; with NO_NAMES
 * addresses have no names.
 *
 * A process starts with a thread that ends at once: ThreadSanitizer adds a
 * thread of its own together with the first one, which tests that count threads
 * would take for one of the module's.
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

/* Replaces underscores by colons. */
static void replace_underscores(char *text)
{
    while ((text = strchr(text, '_')) != NULL)
        *text = ':';
}

/* Writes the address that encodes the number of questions. */
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
