/*
 * buffer.h - bytes that were read and not yet received.
 *
 * An idle connection owns no receive memory. Reads go into the loop's one
 * scratch area, and the buffer that was read into last may leave its bytes
 * there: that buffer is the scratch's user. Before another buffer uses the
 * scratch, the user's bytes move into memory of the user's own.
 */

#ifndef SL_BUFFER_H
#define SL_BUFFER_H

#include <stddef.h>

typedef struct sl_bytes {
    char *data;            /* behind this struct, or the scratch's */
    size_t first, last;    /* the bytes are data[first .. last - 1] */
    size_t size;           /* of data */
    size_t scanned;        /* the first so many bytes hold no line feed */
} sl_bytes;

typedef struct sl_buffer {
    sl_bytes *bytes;       /* owned, or the scratch's; NULL when empty */
} sl_buffer;

typedef struct sl_scratch {
    sl_bytes bytes;        /* the data is owned */
    sl_buffer *user;       /* the buffer whose bytes are here, or NULL */
} sl_scratch;

enum {
    SL_STREAM_SIZE = 64 * 1024,             /* the part for a stream's bytes */
    SL_SCRATCH_SIZE = SL_STREAM_SIZE + 256  /* the longest datagram, and its
                                               sender's name */
};

/* Makes the scratch; 0 or ENOMEM. */
int sl_scratch_init(sl_scratch *scratch);
void sl_scratch_free(sl_scratch *scratch);

static inline size_t sl_buffer_count(const sl_buffer *buffer)
{
    const sl_bytes *bytes = buffer->bytes;
    return bytes != NULL ? bytes->last - bytes->first : 0;
}

/* The bytes of a buffer that is not empty. */
static inline const char *sl_buffer_bytes(const sl_buffer *buffer)
{
    return buffer->bytes->data + buffer->bytes->first;
}

/* Slow paths of sl_buffer_reserve and sl_buffer_skip. */
char *sl_buffer_makeroom(sl_buffer *buffer, sl_scratch *scratch,
                         size_t wanted, size_t *size);
void sl_buffer_drop(sl_buffer *buffer, sl_scratch *scratch, size_t n);

/* Returns where to read a stream's bytes to, and sets *size to the room there.
 * wanted is the number of bytes that would finish the receive in progress, as
 * far as known. NULL: no memory. */
static inline char *sl_buffer_reserve(sl_buffer *buffer, sl_scratch *scratch,
                                      size_t wanted, size_t *size)
{
    if (buffer->bytes != NULL || scratch->user != NULL)
        return sl_buffer_makeroom(buffer, scratch, wanted, size);
    scratch->user = buffer;
    buffer->bytes = &scratch->bytes;
    *size = SL_STREAM_SIZE;
    return scratch->bytes.data;
}

/* For an empty buffer: returns where to read size bytes to. NULL: no memory. */
char *sl_buffer_room(sl_buffer *buffer, sl_scratch *scratch, size_t size);

/* n bytes were written to the room that sl_buffer_reserve or sl_buffer_room
 * returned. */
static inline void sl_buffer_add(sl_buffer *buffer, size_t n)
{
    buffer->bytes->last += n;
}

/* The scratch's user has no bytes in the scratch any more. */
static inline void sl_scratch_leave(sl_scratch *scratch)
{
    scratch->user->bytes = NULL;
    scratch->user = NULL;
    scratch->bytes.first = scratch->bytes.last = scratch->bytes.scanned = 0;
}

/* The first n bytes were received. */
static inline void sl_buffer_skip(sl_buffer *buffer, sl_scratch *scratch,
                                  size_t n)
{
    if (buffer == scratch->user && n >= sl_buffer_count(buffer))
        sl_scratch_leave(scratch);
    else
        sl_buffer_drop(buffer, scratch, n);
}

/* Appends a copy of n bytes. 0 or ENOMEM. */
int sl_buffer_append(sl_buffer *buffer, sl_scratch *scratch,
                     const char *data, size_t n);

/* For a buffer that is not empty: the length of the first line including the
 * line feed, or 0 if the line is incomplete. */
size_t sl_buffer_line(sl_buffer *buffer);

/* Drops all bytes and memory. */
void sl_buffer_free(sl_buffer *buffer, sl_scratch *scratch);

#endif
