/*
 * exchange.h - calls of an object that does its own I/O (foreign.h), with waits
 * in between.
 *
 * The errors of such an object are of three kinds. 'timeout', 'wantread' and
 * 'wantwrite' mean: wait, and call again. 'closed' ends receiving or sending;
 * the other direction may go on. Any other error is final for both directions:
 * the asocket remembers the error, and does not call the object's I/O methods
 * again, since after a failure LuaSec's may never return.
 *
 * The asocket lies at index 1 of the stack.
 */

#ifndef SL_EXCHANGE_H
#define SL_EXCHANGE_H

#include "socket/asocket.h"

/* A method of an asocket in progress that calls methods of its object, perhaps
 * several times. */
typedef struct sl_exchange {
    sl_asocket *a;
    sl_wait *wait;       /* the wait that the thread uses; NULL: depends on
                            `wanted` */
    const char *name;    /* of the asocket's method, for messages */
    double until;        /* deadline; negative: none */
    double since;        /* time of the first of the `tries` */
    unsigned tries;      /* calls in succession that have moved no byte and
                            wanted readiness that was there already */
    unsigned wanted;     /* readiness that the last call wanted: SL_READABLE,
                            SL_WRITABLE or 0 */
    int object;          /* index of the object on the stack */
    const sl_receive *receive;    /* the receive in progress; NULL: another
                                     method */
} sl_exchange;

/* [-0, +1, e] Begins a receive or send; pushes the object. */
sl_exchange sl_exchange_begin(lua_State *L, sl_asocket *a, sl_wait *wait,
                              const char *name);

/* Restores a->receive after other threads may have run. An object that waits in
 * sockets of its own does not occupy the asocket's wait, so another thread may
 * have begun a receive on the asocket. */
void sl_exchange_regain(const sl_exchange *x);

/* Charges n bytes to the budget of a thread, which may be NULL. */
void sl_exchange_charge(sl_thread *t, size_t n);

/* To be called when a call has moved n bytes. Charges them to the running
 * thread's budget. */
void sl_exchange_progress(sl_exchange *x, size_t n);

/* Returns the seconds that the next wait may take; negative: no limit. */
double sl_exchange_timeleft(const sl_exchange *x);

/* [-0, +0, e] Gives way if the thread's budget is used up. Returns 0 or
 * SL_CLOSED. */
int sl_exchange_turn(lua_State *L, sl_exchange *x);

/* [-0, +0, e] Waits for the readiness x->wanted. Returns 0 or a code, for
 * instance SL_TIMEOUT. */
int sl_exchange_await(lua_State *L, sl_exchange *x);

/* [-nargs, +3, e] Calls the object's method with the values on the top. Does
 * not call an object that has failed: pushes nil, its error, nil. */
void sl_exchange_call(lua_State *L, sl_exchange *x, const char *method,
                      int nargs);

/* [-0, +0, e] To be called after a call of the object with results from index
 * `first` on. Sets x->wanted, and wakes threads for which the call may have
 * moved something. does_io: the function was one of the object's I/O methods,
 * so a final error is remembered. */
void sl_exchange_called(lua_State *L, sl_exchange *x, int does_io, int first);

/* [-0, +0, e] True if the value at index `function` is one of the object's
 * methods that do I/O: receive, send, dohandshake. */
int sl_exchange_doesio(lua_State *L, const sl_exchange *x, int function);

/* [-0, +0, e] True if the object has bytes in a buffer of its own. */
int sl_exchange_isdirty(lua_State *L, const sl_exchange *x);

/* [-0, +0, e] Appends the string at index, if it is one, to the asocket's
 * buffer. Returns the number of bytes. */
size_t sl_exchange_collect(lua_State *L, sl_asocket *a, int index);

/* Returns the readiness that the error at index asks for, or 0. `own` is the
 * readiness for 'timeout', which names no direction. */
unsigned sl_exchange_wanted(lua_State *L, int index, unsigned own);

/* True if the value at index is the string 'closed'. */
int sl_exchange_isclosed(lua_State *L, int index);

/* [-0, +0, e] To be called after a receive of LuaSec's object that has failed
 * with 'closed'. True if the peer has ended the stream with TLS's
 * close_notify. */
int sl_exchange_isgoodbye(lua_State *L, sl_exchange *x);

#endif
