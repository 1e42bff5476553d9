/*
 * client_limit.h - how many clients of a listening socket are open at a time.
 *
 * The listening socket and its open clients share an object once setmaxclients
 * was called. At the limit the accepting thread is parked with no interest in
 * readiness, and retried when a client is closed. A closed client counts while
 * it lingers with unsent bytes (cork.h). When a new client comes, the lingering
 * one whose peer has accepted nothing for the longest time, at least a second,
 * is reset. A leaked client counts until it is collected, and an idle program
 * never collects; so the limit forces collections, with back-off.
 */

#ifndef SL_CLIENT_LIMIT_H
#define SL_CLIENT_LIMIT_H

#include "socket/asocket.h"

/* Returns 0 if the listening socket may accept, SL_AGAIN if it has to wait, or
 * ENOMEM. Sets the reader's interest: none while a client has to be closed
 * first. */
int sl_client_limit_admit(sl_asocket *listener);

/* Counts the client, which was just accepted. */
void sl_client_limit_join(sl_asocket *listener, sl_asocket *client);

/* Moves the count of a client from one asocket to another one, which takes
 * over the connection. */
void sl_client_limit_pass(sl_asocket *from, sl_asocket *to);

/* To be called before a socket closes its descriptor. True if the socket has
 * unsent bytes: then the orphan (cork.h) owns the descriptor from now on.
 * After a send that timed out the unsent bytes are dropped. */
int sl_client_limit_linger(sl_asocket *a);

/* To be called when a socket is closed. Counts a client out. */
void sl_client_limit_leave(sl_asocket *a);

/* To be called when a socket is finalized. Counts a client out; a listening
 * socket gives up the object. */
void sl_client_limit_free(sl_asocket *a);

#endif
