/*
 * client_limit.h - how many clients of a listening socket are open at a time.
 *
 * The listening socket and its open clients share an object once setmaxclients
 * was called. At the limit the accepting thread is parked with no interest in
 * readiness, and retried when a client is closed. A closed client counts as
 * long as bytes for it are left (cork.h). When a new client comes, the closed
 * one whose peer has taken nothing for the longest time, at least a second, is
 * reset. A leaked client counts until it is collected, and an idle program
 * never collects; so the limit forces collections, with back-off.
 */

#ifndef SL_CLIENT_LIMIT_H
#define SL_CLIENT_LIMIT_H

#include "socket/asocket.h"

/* Whether the listening socket may accept: 0; SL_AGAIN if it has to wait for
 * a client to go, and then its reader's interest is none; or ENOMEM. */
int sl_client_limit_admit(sl_asocket *listener);

/* The client was accepted. */
void sl_client_limit_join(sl_asocket *listener, sl_asocket *client);

/* The client's connection goes on as another socket. */
void sl_client_limit_pass(sl_asocket *from, sl_asocket *to);

/* The socket is about to be closed: whether its descriptor was taken over for
 * bytes that are left. There are none after a send that timed out. */
int sl_client_limit_linger(sl_asocket *a);

/* A socket was closed, or is about to be. It need not be counted. */
void sl_client_limit_leave(sl_asocket *a);
void sl_client_limit_free(sl_asocket *a);

#endif
