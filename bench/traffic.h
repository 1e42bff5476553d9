/*
 * traffic.h - what the load generator sends and what has to come back.
 *
 * All of it is made from the connection's and the request's number, so that
 * nothing has to be remembered to check every byte.
 */

#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <stddef.h>

typedef struct traffic_kind {
    enum {
        LINES,     /* depth lines of size bytes come back as they are */
        BY_COUNT,  /* size bytes, again and again */
        TO_THE_END /* size bytes, then the stream ends */
    } kind;
    size_t size, depth;
} traffic_kind;

/* Makes the bytes that are sent. */
void traffic_init(const traffic_kind *traffic);

/* Bytes of the request with these numbers, from the offset on; returns how
 * many there are, 0 at its end. Bulk data is asked back if verify, else its
 * size. Valid until the next call. */
size_t traffic_request(const traffic_kind *traffic, unsigned connection,
                       unsigned number, int verify, size_t offset,
                       const char **bytes);

/* The same for the answer that has to come. */
size_t traffic_answer(const traffic_kind *traffic, unsigned connection,
                      unsigned number, int verify, size_t offset,
                      const char **bytes);

#endif
