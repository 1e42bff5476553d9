/*
 * error.c - the table of messages. LuaSocket's messages are in its pierror.h,
 * io.c and usocket.c.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "os/error.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

enum {
    ERRNO_END = 256,     /* above every errno */
    GAI_MARGIN = 500     /* above every getaddrinfo error, of either sign */
};

static const struct {
    int err;
    const char *message;
} words[] = {
    {SL_CLOSED, "closed"},
    {SL_TIMEOUT, "timeout"},
    {SL_TOO_BIG, "too many open sockets for this poller"},
    {SL_TOO_LONG, "line too long"},
    {SL_TOO_MUCH, "too much data"},
    {SL_UNNAMED, "the socket has no descriptor: bind or connect it first"},
    {EADDRINUSE, "address already in use"},
    {EISCONN, "already connected"},
    {EACCES, "permission denied"},
    {ECONNREFUSED, "connection refused"},
    {ECONNABORTED, "closed"},
    {ECONNRESET, "closed"},
    {EPIPE, "closed"},
    {ETIMEDOUT, "timeout"},
    {ENOMEM, "not enough memory"},
    {ENAMETOOLONG, "path too long"},
    {SL_GAI - EAI_AGAIN, "temporary failure in name resolution"},
    {SL_GAI - EAI_BADFLAGS, "invalid value for ai_flags"},
    {SL_GAI - EAI_FAIL, "non-recoverable failure in name resolution"},
    {SL_GAI - EAI_FAMILY, "ai_family not supported"},
    {SL_GAI - EAI_MEMORY, "memory allocation failure"},
    {SL_GAI - EAI_NONAME, "host or service not provided, or not known"},
    {SL_GAI - EAI_OVERFLOW, "argument buffer overflow"},
    {SL_GAI - EAI_SERVICE, "service not supported for socket type"},
    {SL_GAI - EAI_SOCKTYPE, "ai_socktype not supported"},
};

const char *sl_error_gaimessage(int err)
{
    return err < SL_GAI + GAI_MARGIN ? gai_strerror(SL_GAI - err) : NULL;
}

const char *sl_error_message(int err)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].err == err)
            return words[i].message;
    if (err > 0)
        return strerror(err);
    const char *message = sl_error_gaimessage(err);
    return message != NULL ? message : "unknown error";
}

int sl_error_code(const char *message)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].message, message) == 0)
            return words[i].err;
    for (int err = 1; err < ERRNO_END; err++)
        if (strcmp(strerror(err), message) == 0)
            return err;
    return EIO;
}

int sl_error_isclosed(const char *message)
{
    return strcmp(message, strerror(EPIPE)) == 0;
}

int sl_error_ofstream(int err)
{
    if (err == EAGAIN)
        return SL_AGAIN;
    if (err == EPIPE || err == ECONNRESET || err == EBADF)
        return SL_CLOSED;    /* EBADF: the descriptor was closed without
                                notice */
    return err;
}

int sl_error_isbroken(int err)
{
    return err == ECONNRESET || err == ECONNABORTED || err == ETIMEDOUT ||
           err == EHOSTUNREACH || err == ENETUNREACH;
}

static int is_unreachable(int err)
{
    return err == ENETUNREACH || err == EHOSTUNREACH || err == ENETDOWN ||
           err == EADDRNOTAVAIL || err == EAFNOSUPPORT;
}

int sl_error_prefer(int former, int latter)
{
    return former != 0 && is_unreachable(latter) ? former : latter;
}

int sl_error_gai(int gai)
{
    if (gai == 0)
        return 0;
    return gai == EAI_SYSTEM ? errno : SL_GAI - gai;
}
