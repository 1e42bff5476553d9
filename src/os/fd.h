/*
 * fd.h - the system calls on socket descriptors, made alike: each new
 * descriptor is non-blocking and close-on-exec, none raises SIGPIPE, and a
 * signal (EINTR) is never seen; nor is EWOULDBLOCK, only EAGAIN. Functions
 * return 0 or an errno.
 */

#ifndef SL_FD_H
#define SL_FD_H

#include "os/sockaddr.h"

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* A new socket of that family and type; of IPv6: for IPv6 only. */
int sl_fd_socket(int family, int type, int *fd);

/* Connects, or begins to: EINPROGRESS. */
int sl_fd_connect(int fd, const struct sockaddr *address, socklen_t size);

/* The peer of a connected datagram socket is forgotten. */
void sl_fd_disconnect(int fd);

int sl_fd_bind(int fd, const struct sockaddr *address, socklen_t size);

/* bind succeeds while connections of another socket's address last. */
void sl_fd_reusing(int fd);

int sl_fd_listen(int fd, int backlog);

/* The next connection of a listening socket. */
int sl_fd_accept(int listener, int *fd);

void sl_fd_close(int fd);

/* how is SHUT_RD, SHUT_WR or SHUT_RDWR. */
void sl_fd_shutdown(int fd, int how);

int sl_fd_nonblock(int fd);

/* Which open file the descriptor is: the lower 32 bits of its inode. */
int sl_fd_inode(int fd, uint32_t *inode);

/* Reads at most size bytes; *n is 0 at the end of the stream. */
int sl_fd_recv(int fd, char *data, size_t size, size_t *n);

/* Like sl_fd_recv, but leaves the bytes in the socket, and never blocks. */
int sl_fd_peek(int fd, char *data, size_t size, size_t *n);

/* The number of bytes that can be read; at least 1. */
size_t sl_fd_pending(int fd);

/* The socket's pending error, which is cleared; or 0. */
int sl_fd_error(int fd);

int sl_fd_send(int fd, const char *data, size_t size, size_t *n);

/* Like sl_fd_send, for two pieces one after the other. */
int sl_fd_sendtwo(int fd, const char *first, size_t first_size,
                  const char *second, size_t second_size, size_t *n);

/* A pipe: the end to read and the end to write. */
int sl_fd_pipe(int ends[2]);

/* Reads all bytes that are in a pipe. */
void sl_fd_drain(int fd);

/* Receives a datagram: its first size bytes, and who sent it. */
int sl_fd_recvfrom(int fd, char *data, size_t size, size_t *n,
                   sl_sockaddr *from);

/* Sends a datagram; without a name to the peer. */
int sl_fd_sendto(int fd, const char *data, size_t size, const sl_sockaddr *to);

/* From now on close resets the connection, and the system drops unsent
 * bytes. */
void sl_fd_resetting(int fd);

/* From now on blocking writes time out at once (SO_SNDTIMEO): LuaSec's close
 * makes the descriptor blocking before it sends its last bytes. */
void sl_fd_boundsend(int fd);

/* Asks which of `count` descriptors are ready now: how many; or -1, and
 * errno. */
int sl_fd_poll(struct pollfd *set, size_t count);

/* Whether reading or writing would not block now. */
int sl_fd_ready(int fd, int writing);

/* 0: fd is connected; EINPROGRESS: it is not, or not yet; else how connecting
 * failed. */
int sl_fd_connected(int fd);

/* The result of a connection attempt; EINPROGRESS while it lasts. */
int sl_fd_attempted(int fd);

/* Whether fd is a listening socket. */
int sl_fd_listens(int fd);

/* Whether fd is connected. */
int sl_fd_haspeer(int fd);

/* The names that a socket has: its own, and its peer's. */
int sl_fd_sockname(int fd, sl_sockaddr *name);
int sl_fd_peername(int fd, sl_sockaddr *name);

/* AF_INET, ...; or -1 when fd is not a socket. */
int sl_fd_family(int fd);

/* SOCK_STREAM, ...; or -1 when fd is not a socket. */
int sl_fd_type(int fd);

#endif
