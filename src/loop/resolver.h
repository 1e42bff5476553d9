/*
 * resolver.h - look-ups that do not block the loop. Workers (worker.h) make
 * them; the waiting thread's operation is tried again when there is an answer.
 *
 * While look-ups are in progress the resolver has a pipe, into which workers
 * write when they have finished one.
 */

#ifndef SL_RESOLVER_H
#define SL_RESOLVER_H

#include "loop/loop.h"
#include "os/lookup.h"

enum { SL_MAX_LOOKUPS = 32 };    /* the default of setmaxlookups */

typedef struct sl_inquiry sl_inquiry;

typedef struct sl_lookup {
    sl_inquiry *inquiry;       /* may be shared; NULL: answered without
                                  workers */
    sl_wait *wait;             /* borrowed */
    struct sl_lookup *prev, *next;    /* others that wait for the inquiry */
    struct addrinfo *list;     /* the addresses, once known; owned by the
                                  inquiry if there is one, else by this */
    const char *names;         /* of the addresses, if asked for; owned by the
                                  inquiry */
    int to_name;               /* the canonical name was asked for (musl returns
                                  one in any case) */
    int status;                /* SL_AGAIN, 0, or how it failed */
} sl_lookup;

/* Sets how many look-ups of the loop are in progress at a time. */
void sl_resolver_setmax(sl_loop *loop, int max);

/* Begins a look-up for the wait, which must have no interest in readiness. The
 * look-up is finished at once if nothing needs to be asked, or if it may block.
 * 0 or how it failed, and then there is no look-up. */
int sl_resolver_begin(sl_wait *wait, const sl_query *query, int may_block,
                      sl_lookup **lookup);

/* Ends a look-up, finished or not. The loop may be closed. */
void sl_resolver_end(sl_lookup *lookup);

#endif
