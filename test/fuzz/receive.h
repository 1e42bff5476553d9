/*
 * receive.h - the description of receive's calls that the target (receive.c)
 * passes to the model (received.c).
 */

#ifndef RECEIVE_H
#define RECEIVE_H

#include <stddef.h>

enum {
    STREAM_MAX = 200000,    /* bytes through one pair of sockets */
    UNREAD_MAX = 60000,     /* s room's room */
    STEPS_MAX = 256,
    PLACES_MAX = 512
};

enum { SEND, END, LINE, COUNT, ALL };

typedef struct step {
    int what, which;        /* SEND to ALL; socket */
    size_t offset, size;    /* s bytes's bytes */
    size_t count;           /* COUNT */
    char prefix[4];
    size_t prefix_size;
    int less_is_ok;
} step;

typedef struct stream {
    char bytes[STREAM_MAX];
    size_t size;            /* bytes sent, or to be sent */
    size_t sent;            /* bytes sent so far */
    int ended, overlong, overfull;
    size_t places[PLACES_MAX];    /* possible ends of the bytes received */
    int count;              /* of places; 0: too many */
    int peer;               /* descriptor of the sender */
    int next;               /* next step, with a thread per socket */
} stream;

/* Settings of all calls. */
typedef struct rules {
    int instant;            /* the timeout is 0, else there is none */
    size_t max_line;        /* setmaxline, or 0 */
    size_t max_read;        /* setmaxread, or 0 */
} rules;

/* Results of one call; NULL for nil. */
typedef struct result {
    const char *data, *err, *partial;
    size_t data_size, partial_size;
} result;

/* Returns true if the step can have this result; then marks the stream as
 * received up to the result's end. */
int is_possible(const rules *now, const step *s, stream *t, const result *r);

#endif
