/*
 * happy_eyeballs.h - connecting to several addresses at once (RFC 8305).
 *
 * The attempts begin a quarter of a second apart, or at once after a failure;
 * address families alternate. The first connection wins. Each attempt is a
 * source of its own. When its descriptor is ready the waiting thread's
 * operation is tried again, and advances the race.
 */

#ifndef SL_HAPPY_EYEBALLS_H
#define SL_HAPPY_EYEBALLS_H

#include "loop/loop.h"
#include "os/lookup.h"

typedef struct sl_happy_eyeballs sl_happy_eyeballs;

/* Makes a race between the addresses of the list, for the operation of that
 * wait. The list must outlive the race. NULL: no memory. */
sl_happy_eyeballs *sl_happy_eyeballs_new(sl_wait *wait,
                                         const struct addrinfo *list);

/* Advances the race. Returns 0 if an attempt has won (the wait's source then
 * has its descriptor), SL_AGAIN while attempts are in progress, SL_BUSY to be
 * called again after a collection, or a code if all attempts have failed. */
int sl_happy_eyeballs_advance(sl_happy_eyeballs *race);

/* Ends the race and closes the descriptors of attempts in progress. */
void sl_happy_eyeballs_free(sl_happy_eyeballs *race);

#endif
