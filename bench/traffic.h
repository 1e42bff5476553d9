/*
 * traffic.h - the data that the load generator sends, and the answers expected.
 *
 * All data is computed from the numbers of the connection and the request, so
 * that every byte can be checked without being stored.
 */

#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <stddef.h>

typedef struct traffic_kind {
    enum {
        LINES,     /* depth lines of size bytes are echoed */
        BY_COUNT,  /* size bytes, repeatedly */
        TO_THE_END /* size bytes, then the stream ends */
    } kind;
    size_t size, depth;
} traffic_kind;

/* Makes the pool. */
void traffic_init(const traffic_kind *traffic);

/* Bytes of the request with these numbers, from the offset on. Returns their
 * number, 0 at the end of the request. Bulk data is returned by the server if
 * verify, else only its size. Valid until the next call. */
size_t traffic_request(const traffic_kind *traffic, unsigned connection,
                       unsigned number, int verify, size_t offset,
                       const char **bytes);

/* Bytes of the expected answer, like those of a request. */
size_t traffic_answer(const traffic_kind *traffic, unsigned connection,
                      unsigned number, int verify, size_t offset,
                      const char **bytes);

#endif
