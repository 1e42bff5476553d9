/*
 * fd.h - system calls on socket descriptors. Each new descriptor is
 * non-blocking and close-on-exec. No call raises SIGPIPE or returns EINTR;
 * EWOULDBLOCK becomes EAGAIN. Functions return 0 or an errno, unless their
 * comments say otherwise.
 */

#ifndef SL_FD_H
#define SL_FD_H

#include "os/sockaddr.h"

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Makes a socket. One of IPv6 accepts no IPv4 addresses. */
int sl_fd_socket(int family, int type, int *fd);

/* Connects: 0; EINPROGRESS if that goes on; or how it failed. */
int sl_fd_connect(int fd, const struct sockaddr *address, socklen_t size);

/* Removes the peer of a connected datagram socket. */
void sl_fd_disconnect(int fd);

int sl_fd_bind(int fd, const struct sockaddr *address, socklen_t size);

/* Sets SO_REUSEADDR: bind succeeds while former connections of the address
 * last. */
void sl_fd_reusing(int fd);

int sl_fd_listen(int fd, int backlog);

/* Accepts a connection. */
int sl_fd_accept(int listener, int *fd);

void sl_fd_close(int fd);

/* how is SHUT_RD, SHUT_WR or SHUT_RDWR. */
void sl_fd_shutdown(int fd, int how);

int sl_fd_nonblock(int fd);

/* Sets *inode to the lower 32 bits of the inode, which distinguish open
 * files. */
int sl_fd_inode(int fd, uint32_t *inode);

/* Reads at most size bytes; *n is 0 at the end of the stream. */
int sl_fd_recv(int fd, char *data, size_t size, size_t *n);

/* Like sl_fd_recv, but leaves the bytes in the socket, and never blocks. */
int sl_fd_peek(int fd, char *data, size_t size, size_t *n);

/* Returns the number of bytes that can be read; at least 1. */
size_t sl_fd_pending(int fd);

/* Returns and clears the socket's pending error; 0: none. */
int sl_fd_error(int fd);

int sl_fd_send(int fd, const char *data, size_t size, size_t *n);

/* sl_fd_send for two pieces, one after the other. */
int sl_fd_sendtwo(int fd, const char *first, size_t first_size,
                  const char *second, size_t second_size, size_t *n);

/* Makes a pipe: ends[0] is to read, ends[1] to write. */
int sl_fd_pipe(int ends[2]);

/* Reads all bytes that are in a pipe. */
void sl_fd_drain(int fd);

/* Receives the first size bytes of a datagram, and the sender's address. */
int sl_fd_recvfrom(int fd, char *data, size_t size, size_t *n,
                   sl_sockaddr *from);

/* Sends a datagram to an address, or to the peer if `to` is empty. */
int sl_fd_sendto(int fd, const char *data, size_t size, const sl_sockaddr *to);

/* Sets SO_LINGER: a later close resets the connection, and the system drops
 * unsent bytes. */
void sl_fd_resetting(int fd);

/* Sets SO_SNDTIMEO: later blocking writes time out at once. */
void sl_fd_boundsend(int fd);

/* Asks without waiting which descriptors are ready. Returns their number, or -1
 * and sets errno. */
int sl_fd_poll(struct pollfd *set, size_t count);

/* Whether reading or writing would not block now. */
int sl_fd_ready(int fd, int writing);

/* 0 if fd is connected; EINPROGRESS if it is not or not yet; else how
 * connecting failed. */
int sl_fd_connected(int fd);

/* The result of a connection attempt: 0, how it failed, or EINPROGRESS while it
 * lasts. */
int sl_fd_attempted(int fd);

/* Whether fd is a listening socket. */
int sl_fd_listens(int fd);

/* Whether fd is connected. */
int sl_fd_haspeer(int fd);

/* The addresses of a socket: its local one and its peer's. */
int sl_fd_sockname(int fd, sl_sockaddr *name);
int sl_fd_peername(int fd, sl_sockaddr *name);

/* Returns AF_INET, ...; -1 if fd is not a socket. */
int sl_fd_family(int fd);

/* Returns SOCK_STREAM, ...; -1 if fd is not a socket. */
int sl_fd_type(int fd);

#endif
