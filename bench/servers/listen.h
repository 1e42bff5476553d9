/*
 * listen.h - a listening socket for the servers in C.
 */

#ifndef LISTEN_H
#define LISTEN_H

/* One that doesn't block, on a free port of 127.0.0.1, which is printed; its
 * clients inherit TCP_NODELAY. */
int listen_anywhere(void);

#endif
