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

/* [-0, +0, e] In straight-line C: makes a->lookup a finished look-up. Waits
 * for it in a thread of our own, blocks elsewhere. 0 or how it failed. */
int sl_dns_now(lua_State *L, sl_asocket *a, const sl_query *query);

/* The i-th address of the look-up a->lookup, from 0 on; NULL: there are no
 * more, or it was ended. To be asked for anew after each call of Lua. */
const struct addrinfo *sl_dns_address(const sl_asocket *a, int i);

/* The seconds that a call on the socket may take, or negative. */
double sl_dns_limit(const sl_asocket *a);

/* resolve(host [, port [, timeout]]) -> list of addresses or nil, error. The
 * purpose (lookup.h) adds names: SL_TO_NAME list.name, SL_TO_REVERSE
 * list.service and the name of each address. */
int sl_dns_names(lua_State *L, int purpose);

#endif
