/*
 * error.h - the three kinds of errors, and the one translation of them.
 *
 * Inside C a function returns 0, an errno, or one of the negative codes
 * below. Towards Lua the outside world's failures are nil and LuaSocket's
 * words for them. Misuse raises, with sl_arg_* or luaL_error.
 */

#ifndef SL_ERROR_H
#define SL_ERROR_H

enum {
    SL_CLOSED = -1,    /* the connection or the socket is closed */
    SL_TIMEOUT = -2,   /* the time set with settimeout is over */
    SL_AGAIN = -3,     /* not ready: wait (never reaches Lua) */
    SL_BUSY = -4,      /* budget used up: continue later (never reaches Lua) */
    SL_TOO_BIG = -5,   /* the poller cannot hold so high a descriptor */
    SL_TOO_LONG = -6,  /* a line is longer than setmaxline allows */
    SL_UNNAMED = -7,   /* no descriptor before the socket has a name or peer */
    SL_TOO_MUCH = -8,  /* more bytes than setmaxread allows */
    SL_GAI = -1000     /* SL_GAI - n: getaddrinfo's error n */
};

/* LuaSocket's words for err, which is not 0. Valid until the next call. */
const char *sl_error_message(int err);

/* The system's own words for an error of getaddrinfo, or NULL for others. */
const char *sl_error_gaimessage(int err);

/* The error with that message: LuaSocket's objects return only messages. */
int sl_error_code(const char *message);

/* Whether that is the system's message for EPIPE, for which LuaSocket has the
 * word 'closed'. */
int sl_error_isclosed(const char *message);

/* The code for how reading from or writing to a stream failed. */
int sl_error_ofstream(int err);

/* Whether that error means that the connection broke. */
int sl_error_isbroken(int err);

/* The failure to report of two. The latter wins, but 'unreachable' does not
 * replace an answer from a host. former may be 0. */
int sl_error_prefer(int former, int latter);

/* getaddrinfo's result as one of our codes; uses errno. */
int sl_error_gai(int gai);

#endif
