/*
 * buffer.c - growing, scanning and emptying of receive buffers.
 */

#include "loop/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 256 };

int sl_scratch_init(sl_scratch *scratch)
{
    char *data = malloc(SL_SCRATCH_SIZE);
    *scratch = (sl_scratch){{data, 0, 0, SL_SCRATCH_SIZE, 0}, NULL};
    return data != NULL ? 0 : ENOMEM;
}

void sl_scratch_free(sl_scratch *scratch)
{
    free(scratch->bytes.data);
}

/* Allocates room for so many bytes. NULL: no memory. */
static sl_bytes *new_bytes(size_t size)
{
    sl_bytes *bytes = malloc(sizeof *bytes + size);
    if (bytes != NULL)
        *bytes = (sl_bytes){(char *)(bytes + 1), 0, 0, size, 0};
    return bytes;
}

/* Moves the buffer's bytes to the start of a block of so many bytes that the
 * buffer owns. 0 or ENOMEM. */
static int move_bytes(sl_buffer *buffer, sl_scratch *scratch, size_t size)
{
    sl_bytes *old = buffer->bytes;
    if (buffer != scratch->user && old != NULL && old->first == 0) {
        sl_bytes *bytes = realloc(old, sizeof *bytes + size);
        if (bytes == NULL)
            return ENOMEM;
        bytes->data = (char *)(bytes + 1);
        bytes->size = size;
        buffer->bytes = bytes;
        return 0;
    }
    sl_bytes *bytes = new_bytes(size);
    if (bytes == NULL)
        return ENOMEM;
    if (old != NULL) {
        bytes->last = sl_buffer_count(buffer);
        bytes->scanned = old->scanned;
        memcpy(bytes->data, sl_buffer_bytes(buffer), bytes->last);
    }
    sl_buffer_free(buffer, scratch);
    buffer->bytes = bytes;
    return 0;
}

/* Makes room for so many more bytes in memory of the buffer's own. 0 or
 * ENOMEM. */
static int reserve_own(sl_buffer *buffer, sl_scratch *scratch, size_t room)
{
    sl_bytes *bytes = buffer != scratch->user ? buffer->bytes : NULL;
    size_t count = sl_buffer_count(buffer);
    if (bytes != NULL && bytes->size - bytes->last >= room)
        return 0;
    size_t size = bytes != NULL ? bytes->size : FIRST_SIZE;
    while (size < count + room)
        size *= 2;
    if (bytes == NULL || size > bytes->size || bytes->first < count)
        return move_bytes(buffer, scratch, size);
    memcpy(bytes->data, sl_buffer_bytes(buffer), count);
    bytes->first = 0;
    bytes->last = count;
    return 0;
}

/* Moves the scratch's bytes to memory of their user's own. 0 or ENOMEM. */
static int evict_user(sl_scratch *scratch)
{
    sl_buffer *user = scratch->user;
    return user == NULL ? 0 : reserve_own(user, scratch, 0);
}

/* Makes an empty buffer the scratch's user. 0 or ENOMEM. */
static int enter_scratch(sl_buffer *buffer, sl_scratch *scratch)
{
    if (evict_user(scratch) != 0)
        return ENOMEM;
    free(buffer->bytes);
    buffer->bytes = &scratch->bytes;
    scratch->user = buffer;
    return 0;
}

char *sl_buffer_makeroom(sl_buffer *buffer, sl_scratch *scratch,
                         size_t wanted, size_t *size)
{
    if (sl_buffer_count(buffer) == 0 && buffer != scratch->user &&
        enter_scratch(buffer, scratch) != 0)
        return NULL;
    sl_bytes *bytes = buffer->bytes;
    if (buffer == scratch->user) {
        if (bytes->first == bytes->last)
            bytes->first = bytes->last = bytes->scanned = 0;
        *size = SL_STREAM_SIZE - bytes->last;
        if (*size >= SL_STREAM_SIZE / 2)
            return bytes->data + bytes->last;
    }
    /* A buffer that is longer than the scratch grows by doubling, but not
     * beyond the requested size. Memory follows the received bytes, not the
     * size that a peer has announced. */
    size_t room = sl_buffer_count(buffer);
    if (room < SL_STREAM_SIZE)
        room = SL_STREAM_SIZE;
    if (room > wanted && wanted > 0)
        room = wanted;
    if (reserve_own(buffer, scratch, room) != 0)
        return NULL;
    bytes = buffer->bytes;
    *size = bytes->size - bytes->last;
    return bytes->data + bytes->last;
}

char *sl_buffer_room(sl_buffer *buffer, sl_scratch *scratch, size_t size)
{
    size_t free_size;
    if (size <= SL_SCRATCH_SIZE)    /* an empty buffer gets the whole scratch */
        return sl_buffer_reserve(buffer, scratch, 0, &free_size);
    return reserve_own(buffer, scratch, size) == 0
               ? buffer->bytes->data + buffer->bytes->last : NULL;
}

void sl_buffer_drop(sl_buffer *buffer, sl_scratch *scratch, size_t n)
{
    sl_bytes *bytes = buffer->bytes;
    bytes->first += n;
    bytes->scanned = bytes->scanned > n ? bytes->scanned - n : 0;
    if (bytes->first == bytes->last)
        sl_buffer_free(buffer, scratch);
}

int sl_buffer_append(sl_buffer *buffer, sl_scratch *scratch,
                     const char *data, size_t n)
{
    if (reserve_own(buffer, scratch, n) != 0)
        return ENOMEM;
    memcpy(buffer->bytes->data + buffer->bytes->last, data, n);
    buffer->bytes->last += n;
    return 0;
}

size_t sl_buffer_line(sl_buffer *buffer)
{
    sl_bytes *bytes = buffer->bytes;
    size_t count = sl_buffer_count(buffer);
    const char *begin = sl_buffer_bytes(buffer);
    const char *lf = memchr(begin + bytes->scanned, '\n',
                            count - bytes->scanned);
    bytes->scanned = lf != NULL ? (size_t)(lf - begin) : count;
    return lf != NULL ? bytes->scanned + 1 : 0;
}

void sl_buffer_free(sl_buffer *buffer, sl_scratch *scratch)
{
    if (buffer == scratch->user)
        sl_scratch_leave(scratch);
    else
        free(buffer->bytes);
    buffer->bytes = NULL;
}
