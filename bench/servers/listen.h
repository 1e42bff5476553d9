/*
 * listen.h - a listening socket for the servers in C.
 */

#ifndef LISTEN_H
#define LISTEN_H

/* Returns a non-blocking listening socket on a free port of 127.0.0.1, and
 * prints the port. Its clients inherit TCP_NODELAY. */
int listen_anywhere(void);

#endif
