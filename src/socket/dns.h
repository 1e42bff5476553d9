/*
 * dns.h - look-ups of names for sockets, and walks over the addresses found.
 */

#ifndef SL_DNS_H
#define SL_DNS_H

#include "loop/resolver.h"
#include "socket/asocket.h"

/* Begins the look-up a->lookup, for an operation of the writer; the writer has
 * no interest in readiness until the look-up is finished. Returns 0 or a
 * code (error.h). */
int sl_dns_begin(sl_asocket *a, const sl_query *query);

/* Ends the look-up a->lookup, if there is one, and sets the writer's interest
 * to writability. */
void sl_dns_end(sl_asocket *a);

/* A walk over the addresses of the look-up a->lookup. */
typedef struct sl_dns_walk {
    int next;      /* number of the next address to try, from 0 on */
    int failed;    /* the failure to report if no attempt succeeds, or 0 */
} sl_dns_walk;

/* Tries an address, for instance binds a socket to it. Returns 0, a code, or
 * one of the values that sl_dns_try stops at. May run Lua code. */
typedef int (*sl_dns_attempt)(lua_State *L, sl_asocket *a,
                              const struct addrinfo *ai, void *arg);

/* True if a->lookup has more than i addresses. */
int sl_dns_has(const sl_asocket *a, int i);

/* Tries one address after another. Stops at an attempt that returns 0,
 * EINPROGRESS or SL_BUSY (the next call tries this address again), and returns
 * that value. Returns a code if all attempts have failed. If an attempt ends
 * the look-up there are no more addresses. */
int sl_dns_try(lua_State *L, sl_asocket *a, sl_dns_walk *walk,
               sl_dns_attempt attempt, void *arg);

/* Notes the failure of an attempt that was in progress when sl_dns_try
 * returned. */
void sl_dns_failed(sl_dns_walk *walk, int err);

/* Ends the walk: no more addresses are tried. */
void sl_dns_stop(sl_dns_walk *walk);

/* [-0, +0, e] Looks a name up, and tries one address after another. A thread of
 * the loop waits for the look-up, and freezes; other callers block. Returns 0
 * or a code. */
int sl_dns_each(lua_State *L, sl_asocket *a, const sl_query *query,
                sl_dns_attempt attempt, void *arg);

/* The Lua function resolve(host [, port [, timeout]]) -> list of addresses or
 * nil, error. The purpose (lookup.h) SL_TO_NAME adds list.name, SL_TO_REVERSE
 * adds list.service and the name of each address. */
int sl_dns_names(lua_State *L, int purpose);

#endif
