/*
 * receive.h - what the target (receive.c) tells the model (received.c) of the
 * calls of receive that it makes.
 */

#ifndef RECEIVE_H
#define RECEIVE_H

#include <stddef.h>

enum {
    STREAM_MAX = 200000,    /* bytes through one pair of sockets */
    UNREAD_MAX = 60000,     /* of them at a time: the system's room */
    STEPS_MAX = 256,
    PLACES_MAX = 512
};

enum { SEND, END, LINE, COUNT, ALL };

typedef struct step {
    int what, which;        /* one of the above; which socket */
    size_t offset, size;    /* SEND: of the stream's bytes */
    size_t count;           /* COUNT */
    char prefix[4];
    size_t prefix_size;
    int less_is_ok;
} step;

typedef struct stream {
    char bytes[STREAM_MAX];
    size_t size;            /* all that was, or will be, sent */
    size_t sent;            /* so far */
    int ended, overlong, overfull;
    size_t places[PLACES_MAX];    /* up to which it was received */
    int count;              /* of them; 0: too many to tell */
    int peer;               /* the descriptor that sends */
    int next;               /* of its steps, with a thread of its own */
} stream;

/* What holds for all calls. */
typedef struct rules {
    int instant;            /* the timeout is 0, else there is none */
    size_t max_line;        /* setmaxline, or 0 */
    size_t max_read;        /* setmaxread, or 0 */
} rules;

/* Of one call; NULL for nil. */
typedef struct result {
    const char *data, *err, *partial;
    size_t data_size, partial_size;
} result;

/* True if the step can have this result, and then the stream is received up to
 * there. */
int is_possible(const rules *now, const step *s, stream *t, const result *r);

#endif
