/*
 * error.h - codes of failures, and LuaSocket's messages for them.
 *
 * C functions return 0, an errno, or one of the negative codes below. Functions
 * for Lua return nil and LuaSocket's message for a failure of the outside
 * world. Misuse raises an error (sl_arg_*, luaL_error).
 */

#ifndef SL_ERROR_H
#define SL_ERROR_H

enum {
    SL_CLOSED = -1,    /* the connection or the socket is closed */
    SL_TIMEOUT = -2,   /* a time limit is over */
    SL_AGAIN = -3,     /* not ready: wait (never reaches Lua) */
    SL_BUSY = -4,      /* budget used up: continue later (never reaches Lua) */
    SL_TOO_BIG = -5,   /* the poller cannot hold so high a descriptor */
    SL_TOO_LONG = -6,  /* a line is longer than setmaxline allows */
    SL_UNNAMED = -7,   /* no descriptor before the socket has a name or peer */
    SL_TOO_MUCH = -8,  /* more bytes than setmaxread allows */
    SL_GAI = -1000     /* SL_GAI - n: getaddrinfo's error n */
};

/* LuaSocket's message for err, which is not 0. Valid until the next call. */
const char *sl_error_message(int err);

/* The system's message for an error of getaddrinfo; NULL for other errors. */
const char *sl_error_gaimessage(int err);

/* The code for a message. LuaSocket's objects return only messages. */
int sl_error_code(const char *message);

/* Whether this is the system's message for EPIPE, which LuaSocket reports as
 * 'closed'. */
int sl_error_isclosed(const char *message);

/* Converts the errno of a failed read from or write to a stream. */
int sl_error_ofstream(int err);

/* Whether err means that the connection broke. */
int sl_error_isbroken(int err);

/* Picks the failure to report. The later one wins, except that 'unreachable'
 * never replaces an answer from a host. former may be 0. */
int sl_error_prefer(int former, int latter);

/* Converts a result of getaddrinfo. Uses errno. */
int sl_error_gai(int gai);

#endif
