/*
 * happy_eyeballs.h - connecting to several addresses at once (RFC 8305).
 *
 * The attempts begin one after another, a quarter of a second apart, or at
 * once when one has failed; families alternate. The first connection wins.
 * Each attempt is a source of its own, and its readiness makes the waiting
 * thread's operation try again; that advances the race.
 */

#ifndef SL_HAPPY_EYEBALLS_H
#define SL_HAPPY_EYEBALLS_H

#include "loop/loop.h"
#include "os/lookup.h"

typedef struct sl_happy_eyeballs sl_happy_eyeballs;

/* A race between the addresses, which must live as long, for the one who
 * waits in that wait. NULL: no memory. */
sl_happy_eyeballs *sl_happy_eyeballs_new(sl_wait *wait,
                                         const struct addrinfo *list);

/* Goes on with the race: 0 if it was won, and then the wait's source has the
 * descriptor; SL_AGAIN, or how all have failed. */
int sl_happy_eyeballs_advance(sl_happy_eyeballs *race);

/* Closes what is still under way. */
void sl_happy_eyeballs_free(sl_happy_eyeballs *race);

#endif
