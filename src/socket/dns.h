/*
 * dns.h - looking names up for threads.
 */

#ifndef SL_DNS_H
#define SL_DNS_H

#include "loop/resolver.h"
#include "socket/asocket.h"

/* Begins the look-up a->lookup, for an operation of the writer. 0 or how it
 * failed. */
int sl_dns_begin(sl_asocket *a, const sl_query *query);

/* Ends it, if there is one; whoever waits on the writer wants the descriptor
 * again. */
void sl_dns_end(sl_asocket *a);

/* A walk over the addresses of the look-up a->lookup. */
typedef struct sl_dns_walk {
    int next;      /* which address is to be tried, from 0 on */
    int failed;    /* how an attempt failed, or 0 */
} sl_dns_walk;

/* Tries an address, for instance binds a socket to it: a code (error.h). */
typedef int (*sl_dns_attempt)(lua_State *L, sl_asocket *a,
                              const struct addrinfo *ai, void *arg);

/* Whether the look-up has an i-th address, from 0 on. */
int sl_dns_has(const sl_asocket *a, int i);

/* Tries address after address until an attempt gives 0, EINPROGRESS, or
 * SL_BUSY: to try the address again. That, or how all have failed. An attempt
 * may run Lua, and with it whatever ends the look-up. */
int sl_dns_try(lua_State *L, sl_asocket *a, sl_dns_walk *walk,
               sl_dns_attempt attempt, void *arg);

/* An attempt has failed, whose address the walk has passed. */
void sl_dns_failed(sl_dns_walk *walk, int err);

/* The walk ends before the next address. */
void sl_dns_stop(sl_dns_walk *walk);

/* [-0, +0, e] In blocking style: looks up and tries address after address. 0
 * or how it failed. */
int sl_dns_each(lua_State *L, sl_asocket *a, const sl_query *query,
                sl_dns_attempt attempt, void *arg);

/* resolve(host [, port [, timeout]]) -> list of addresses or nil, error. The
 * purpose (lookup.h) adds names: SL_TO_NAME list.name, SL_TO_REVERSE
 * list.service and the name of each address. */
int sl_dns_names(lua_State *L, int purpose);

#endif
