/*
 * process.h - the server as a separate process: starting, cost, ending. There
 * is one server at a time.
 */

#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

/* Prints the message, ends the server, and exits. */
void fail(const char *format, ...);

/* Seconds on a monotonic clock. */
double now(void);

/* Starts the server with that command. Pins this process to the first CPU it
 * may use and the server to the last one. With one_cpu they share the first
 * one, and the server runs only while this process waits. Returns the port,
 * which the server prints as its first line; seconds limits the wait. */
int start_server(char **command, int one_cpu, double seconds);

/* CPU time that the server has used so far, in seconds. */
double server_cpu(void);

/* The server's share of the memory in use, in bytes. */
double server_memory(void);

/* Ends the server, or the program that strace runs, and waits for its end. */
void end_server(void);

#endif
