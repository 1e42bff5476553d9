/*
 * buffer.c - growing, scanning and emptying of receive buffers.
 */

#include "buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 256 };

static int in_scratch(const sl_buffer *buffer)
{
    return buffer->data != NULL && buffer->size == 0;
}

/* Moves the bytes to the start of an own block of so many bytes. */
static int move(sl_buffer *buffer, sl_scratch *scratch, size_t size)
{
    size_t count = sl_buffer_count(buffer);
    char *data;
    if (buffer->first == 0 && !in_scratch(buffer)) {
        data = realloc(buffer->data, size);
        if (data == NULL)
            return ENOMEM;
    } else {
        data = malloc(size);
        if (data == NULL)
            return ENOMEM;
        memcpy(data, sl_buffer_bytes(buffer), count);
        if (in_scratch(buffer))
            scratch->user = NULL;
        else
            free(buffer->data);
    }
    buffer->data = data;
    buffer->size = size;
    buffer->first = 0;
    buffer->last = count;
    return 0;
}

/* Room for so many bytes in memory of the buffer's own; ENOMEM or 0. */
static int own(sl_buffer *buffer, sl_scratch *scratch, size_t room)
{
    size_t count = sl_buffer_count(buffer);
    if (buffer->size > 0 && buffer->size - buffer->last >= room)
        return 0;
    size_t size = buffer->size > 0 ? buffer->size : FIRST_SIZE;
    while (size < count + room)
        size *= 2;
    if (size > buffer->size || buffer->first < count)
        return move(buffer, scratch, size);
    memcpy(buffer->data, sl_buffer_bytes(buffer), count);
    buffer->first = 0;
    buffer->last = count;
    return 0;
}

/* The scratch's bytes move to their user's own memory; ENOMEM or 0. */
static int evict(sl_scratch *scratch)
{
    sl_buffer *user = scratch->user;
    return user == NULL ? 0 : own(user, scratch, 0);
}

char *sl_buffer_makeroom(sl_buffer *buffer, sl_scratch *scratch,
                         size_t wanted, size_t *size)
{
    if (sl_buffer_count(buffer) == 0 && !in_scratch(buffer)) {
        if (evict(scratch) != 0)
            return NULL;
        free(buffer->data);
        *buffer = (sl_buffer){scratch->data, 0, 0, 0, 0};
        scratch->user = buffer;
    }
    if (in_scratch(buffer)) {
        if (buffer->first == buffer->last)
            buffer->first = buffer->last = 0;
        *size = SL_SCRATCH_SIZE - buffer->last;
        if (*size >= SL_SCRATCH_SIZE / 2)
            return buffer->data + buffer->last;
    }
    /* What is longer than the scratch grows by doubling, but not beyond what
     * was asked for: a peer's promise alone costs nothing. */
    size_t room = sl_buffer_count(buffer);
    if (room < SL_SCRATCH_SIZE)
        room = SL_SCRATCH_SIZE;
    if (room > wanted && wanted > 0)
        room = wanted;
    if (own(buffer, scratch, room) != 0)
        return NULL;
    *size = buffer->size - buffer->last;
    return buffer->data + buffer->last;
}

char *sl_buffer_room(sl_buffer *buffer, sl_scratch *scratch, size_t size)
{
    size_t free_size;
    if (size <= SL_SCRATCH_SIZE)    /* which the empty buffer gets */
        return sl_buffer_reserve(buffer, scratch, 0, &free_size);
    return own(buffer, scratch, size) == 0 ? buffer->data + buffer->last
                                           : NULL;
}

void sl_buffer_drop(sl_buffer *buffer, sl_scratch *scratch, size_t n)
{
    buffer->first += n;
    buffer->scanned = buffer->scanned > n ? buffer->scanned - n : 0;
    if (buffer->first == buffer->last)
        sl_buffer_free(buffer, scratch);
}

int sl_buffer_append(sl_buffer *buffer, sl_scratch *scratch,
                     const char *bytes, size_t n)
{
    if (own(buffer, scratch, n) != 0)
        return ENOMEM;
    memcpy(buffer->data + buffer->last, bytes, n);
    buffer->last += n;
    return 0;
}

size_t sl_buffer_line(sl_buffer *buffer)
{
    size_t count = sl_buffer_count(buffer);
    const char *bytes = sl_buffer_bytes(buffer);
    const char *lf = memchr(bytes + buffer->scanned, '\n',
                            count - buffer->scanned);
    buffer->scanned = lf != NULL ? (size_t)(lf - bytes) : count;
    return lf != NULL ? buffer->scanned + 1 : 0;
}

void sl_buffer_free(sl_buffer *buffer, sl_scratch *scratch)
{
    if (in_scratch(buffer))
        scratch->user = NULL;
    else
        free(buffer->data);
    *buffer = (sl_buffer){NULL, 0, 0, 0, 0};
}
