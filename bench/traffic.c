/*
 * traffic.c - the data sent and the answers expected.
 *
 * Lines are cut from a pool of random letters, bulk data from a pool of random
 * bytes. Bulk data follows a line that contains what to do with it, and its
 * size: `echo 1048576` or `size 1048576`.
 */

#include "traffic.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_SIZE = 1 << 20 };    /* places where a line may begin */

static char *pool;     /* POOL_SIZE + the size of a request */
static char *lines;    /* the latest request */

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

void traffic_init(const traffic_kind *traffic)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    size_t size = POOL_SIZE + traffic->size;
    pool = malloc(size);
    lines = malloc(traffic->size * traffic->depth);
    if (pool == NULL || lines == NULL)
        abort();
    for (size_t i = 0; i < size; i++) {
        uint32_t random = mix((uint32_t)i + 1);
        pool[i] = traffic->kind == LINES ? letters[random % 64]
                                         : (char)random;
    }
}

static void make_lines(const traffic_kind *traffic, unsigned connection,
                       unsigned number)
{
    static unsigned of_connection, of_number;
    static int made;
    if (made && of_connection == connection && of_number == number)
        return;
    for (size_t i = 0; i < traffic->depth; i++) {
        uint32_t place = mix(connection * 2654435761u + number * 64u +
                             (uint32_t)i) % POOL_SIZE;
        char *line = lines + i * traffic->size;
        memcpy(line, pool + place, traffic->size - 1);
        line[traffic->size - 1] = '\n';
    }
    of_connection = connection;
    of_number = number;
    made = 1;
}

/* Returns a piece of a head and the body that follows. */
static size_t piece(const char *head, size_t head_size, const char *body,
                    size_t body_size, size_t offset, const char **bytes)
{
    if (offset < head_size) {
        *bytes = head + offset;
        return head_size - offset;
    }
    offset -= head_size;
    *bytes = body + offset;
    return body_size - offset;
}

size_t traffic_request(const traffic_kind *traffic, unsigned connection,
                       unsigned number, int verify, size_t offset,
                       const char **bytes)
{
    static char head[64];
    if (traffic->kind == LINES) {
        make_lines(traffic, connection, number);
        return piece("", 0, lines, traffic->size * traffic->depth, offset,
                     bytes);
    }
    int size = snprintf(head, sizeof head, "%s %zu\n",
                        verify ? "echo" : "size", traffic->size);
    return piece(head, (size_t)size, pool + number % POOL_SIZE,
                 traffic->size, offset, bytes);
}

size_t traffic_answer(const traffic_kind *traffic, unsigned connection,
                      unsigned number, int verify, size_t offset,
                      const char **bytes)
{
    static char head[64];
    if (traffic->kind == LINES)
        return traffic_request(traffic, connection, number, verify, offset,
                               bytes);
    if (verify)
        return piece("", 0, pool + number % POOL_SIZE, traffic->size,
                     offset, bytes);
    int size = snprintf(head, sizeof head, "%zu\n", traffic->size);
    return piece(head, (size_t)size, "", 0, offset, bytes);
}
