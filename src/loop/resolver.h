/*
 * resolver.h - names looked up without blocking the loop: by workers
 * (worker.h), for a wait that is tried again when there is an answer.
 *
 * A loop's resolver has a pipe, in which the workers announce what they have
 * finished, as long as something is being looked up.
 */

#ifndef SL_RESOLVER_H
#define SL_RESOLVER_H

#include "loop/loop.h"
#include "os/lookup.h"

enum { SL_MAX_LOOKUPS = 32 };    /* where setmaxlookups was not called */

typedef struct sl_inquiry sl_inquiry;

typedef struct sl_lookup {
    sl_inquiry *inquiry;       /* shared; NULL: the workers aren't asked */
    sl_wait *wait;             /* borrowed */
    struct sl_lookup *prev, *next;    /* those that wait for the inquiry */
    struct addrinfo *list;     /* the addresses, once there; the inquiry's, or
                                  owned if there is none */
    const char *names;         /* of the addresses, if asked for; the
                                  inquiry's */
    int to_name;               /* the canonical name is asked for: musl gives
                                  it to everybody */
    int status;                /* SL_AGAIN, 0, or how it failed */
} sl_lookup;

/* How many names of the loop are looked up at a time. */
void sl_resolver_setmax(sl_loop *loop, int max);

/* Begins a look-up for who will wait in that wait, which must not want
 * readiness; it is finished at once where nothing needs to be looked up, or
 * if it may block. 0, or how it failed and there is none. */
int sl_resolver_begin(sl_wait *wait, const sl_query *query, int may_block,
                      sl_lookup **lookup);

/* Ends a look-up, finished or not, also after the loop. */
void sl_resolver_end(sl_lookup *lookup);

#endif
