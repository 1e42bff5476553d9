/*
 * process.h - the server as a process of its own: starting it, what it costs,
 * ending it. There is one at a time.
 */

#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

/* Says what went wrong, ends the server, and exits. */
void fail(const char *format, ...);

/* Seconds on a clock that is never set back. */
double now(void);

/* Pins this process to the first CPU it may use, and the server, started with
 * that command, to the last one; on one_cpu both share the first, and the
 * server runs only while we wait. Returns the port that the server prints as
 * its first line; seconds bounds the wait for it. */
int start_server(char **command, int one_cpu, double seconds);

/* CPU time that the server has used so far, in seconds. */
double server_cpu(void);

/* The server's share of the memory in use, in bytes. */
double server_memory(void);

/* Ends the server, or the program that it runs under strace, and waits until
 * it has ended. */
void end_server(void);

#endif
