/*
 * exchange.h - calling an object that does its own I/O (foreign.h) until it
 * has done what it was asked for: waiting for what it wants, and what its
 * errors mean.
 *
 * 'timeout', 'wantread' and 'wantwrite' ask for another call. 'closed' is the
 * end of receiving, or of sending; the other direction may go on. Every other
 * error is final for both directions: the asocket remembers it, and does not
 * call the object's I/O again. LuaSec's would never return.
 *
 * The asocket lies at index 1 of the stack.
 */

#ifndef SL_EXCHANGE_H
#define SL_EXCHANGE_H

#include "socket/asocket.h"

/* Calls of the object's methods that go on until one of them is done. */
typedef struct sl_exchange {
    sl_asocket *a;
    sl_wait *wait;       /* in which the thread waits; NULL: as it wants */
    const char *name;    /* of the asocket's method, for messages */
    double until;        /* deadline, or negative */
    double since;        /* when the first of the tries was made */
    unsigned tries;      /* calls without progress that wanted what was there
                            already */
    unsigned wanted;     /* what the last call wanted, or 0 */
    int object;          /* its index */
    const sl_receive *receive;    /* its pattern; NULL if it is no receive */
} sl_exchange;

/* [-0, +1, e] Begins a receive or send; pushes the object. */
sl_exchange sl_exchange_begin(lua_State *L, sl_asocket *a, sl_wait *wait,
                              const char *name);

/* Restores the asocket's receive after other threads may have run: an object
 * that waits by itself, in sockets of its own, does not keep them from using
 * the asocket meanwhile. */
void sl_exchange_regain(const sl_exchange *x);

/* The thread, which may be NULL, has moved n bytes: charges them to its
 * budget. */
void sl_exchange_charge(sl_thread *t, size_t n);

/* n bytes have moved, in a thread. */
void sl_exchange_progress(sl_exchange *x, size_t n);

/* Seconds that the next wait may take: 0 none at all, negative no limit. */
double sl_exchange_timeleft(const sl_exchange *x);

/* [-0, +0, e] Lets other threads run if the budget is used up. 0 or
 * SL_CLOSED. */
int sl_exchange_turn(lua_State *L, sl_exchange *x);

/* [-0, +0, e] Waits for the readiness that the object wants. 0, or why it could
 * not. */
int sl_exchange_await(lua_State *L, sl_exchange *x);

/* [-nargs, +3, e] Calls the object's method with the values on the top. An
 * object that has failed is not called: nil and its error. */
void sl_exchange_call(lua_State *L, sl_exchange *x, const char *method,
                      int nargs);

/* [-0, +0, e] A function was called that gave the values from index first on.
 * Sets x->wanted, remembers a final error if the function is one of the
 * object's that do I/O, and wakes threads that can go on. */
void sl_exchange_called(lua_State *L, sl_exchange *x, int does_io, int first);

/* [-0, +0, e] Whether the function at that index is a method of the object
 * that does I/O. */
int sl_exchange_doesio(lua_State *L, const sl_exchange *x, int function);

/* [-0, +0, e] Whether the object has bytes that can be received without
 * waiting. */
int sl_exchange_isdirty(lua_State *L, const sl_exchange *x);

/* [-0, +0, e] Moves the bytes at index, if there are any, to the asocket's
 * buffer; how many. */
size_t sl_exchange_collect(lua_State *L, sl_asocket *a, int index);

/* The readiness that the error at index asks for, or 0. `own` is for the error
 * 'timeout', which names no direction. */
unsigned sl_exchange_wanted(lua_State *L, int index, unsigned own);

/* Whether the value at index is the word 'closed'. */
int sl_exchange_isclosed(lua_State *L, int index);

/* [-0, +0, e] LuaSec's object has just said 'closed' of a receive: whether
 * that was the peer's goodbye. */
int sl_exchange_isgoodbye(lua_State *L, sl_exchange *x);

#endif
