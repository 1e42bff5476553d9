/*
 * arg.h - arguments of C functions that Lua calls.
 *
 * Like luaL_check* and luaL_opt*, but errors always name the function. Lua
 * knows no name for a function that no Lua code called (pcall(f, x), a
 * coroutine's body), and then counts a method's self as an argument. The names
 * here come from the lists that functions are registered from.
 */

#ifndef SL_ARG_H
#define SL_ARG_H

#include "thread/compat.h"

#include <stddef.h>
#include <stdint.h>

/* [-0, +0, m] Registers the names of the functions in a list. */
void sl_arg_register(lua_State *L, const luaL_Reg *list, int are_methods);

/* Raises the error for a bad argument of the running function. */
int sl_arg_error(lua_State *L, int arg, const char *message);

/* Raises the error for an argument that is not of the type named `expected`. */
int sl_arg_mistyped(lua_State *L, int arg, const char *expected);

/* Raises if the condition does not hold. */
static inline void sl_arg_check(lua_State *L, int holds, int arg,
                                const char *message)
{
    if (!holds)
        sl_arg_error(L, arg, message);
}

static inline void sl_arg_type(lua_State *L, int arg, int type)
{
    if (lua_type(L, arg) != type)
        sl_arg_mistyped(L, arg, lua_typename(L, type));
}

static inline void sl_arg_any(lua_State *L, int arg)
{
    if (lua_isnone(L, arg))
        sl_arg_error(L, arg, "value expected");
}

/* [-0, +0, e] Checks for a function, and makes it one that a coroutine can run
 * (sl_fitbody). */
static inline void sl_arg_body(lua_State *L, int arg)
{
    sl_arg_type(L, arg, LUA_TFUNCTION);
    sl_fitbody(L, arg);
}

static inline const char *sl_arg_lstring(lua_State *L, int arg, size_t *size)
{
    const char *text = lua_tolstring(L, arg, size);
    if (text == NULL)
        sl_arg_mistyped(L, arg, "string");
    return text;
}

static inline const char *sl_arg_string(lua_State *L, int arg)
{
    return sl_arg_lstring(L, arg, NULL);
}

/* `otherwise`, the default, must not be NULL. */
const char *sl_arg_optlstring(lua_State *L, int arg, const char *otherwise,
                              size_t *size);

static inline const char *sl_arg_optstring(lua_State *L, int arg,
                                           const char *otherwise)
{
    return lua_isnoneornil(L, arg) ? otherwise : sl_arg_string(L, arg);
}

double sl_arg_number(lua_State *L, int arg);

static inline double sl_arg_optnumber(lua_State *L, int arg, double otherwise)
{
    return lua_isnoneornil(L, arg) ? otherwise : sl_arg_number(L, arg);
}

/* An integer that a double can represent. */
lua_Integer sl_arg_integer(lua_State *L, int arg);

/* Numbers of Lua are converted to C integers only by the functions below. */

/* Sets *value to the integer part of a number. False, and 0, if that is no
 * int. */
int sl_arg_toint(double number, int *value);

/* Converts a number that is not negative. SIZE_MAX / 2 stands for everything
 * larger. */
static inline size_t sl_arg_tosize(double number)
{
    return number < (double)(SIZE_MAX / 2) ? (size_t)number : SIZE_MAX / 2;
}

/* The integer part of a number. Raises if it is no int. */
int sl_arg_int(lua_State *L, int arg);

static inline int sl_arg_optint(lua_State *L, int arg, int otherwise)
{
    return lua_isnoneornil(L, arg) ? otherwise : sl_arg_int(L, arg);
}

/* The integer part of a position in a string. A position that is too large
 * becomes one that no string has. */
long sl_arg_optindex(lua_State *L, int arg, long otherwise);

/* An integer from 1 on; `none` if the argument is nil. */
size_t sl_arg_optlimit(lua_State *L, int arg, size_t none);

/* Seconds. May be infinite. */
double sl_arg_seconds(lua_State *L, int arg);

static inline double sl_arg_optseconds(lua_State *L, int arg,
                                       double otherwise)
{
    return lua_isnoneornil(L, arg) ? otherwise : sl_arg_seconds(L, arg);
}

/* A string without zero bytes, which C takes for the string's end. */
const char *sl_arg_text(lua_State *L, int arg);

/* sl_arg_text for a string at any index. Errors name the argument `arg`. */
const char *sl_arg_checktext(lua_State *L, int index, int arg);

/* The name of a host or service. A string with a zero byte becomes '', which is
 * no name. */
const char *sl_arg_name(lua_State *L, int arg);

static inline const char *sl_arg_optname(lua_State *L, int arg,
                                         const char *otherwise)
{
    return lua_isnoneornil(L, arg) ? otherwise : sl_arg_name(L, arg);
}

/* [-0, +0, v] A port as a string. A number is converted in place; a string may
 * be anything (see sl_sockaddr_isport). */
const char *sl_arg_port(lua_State *L, int arg);

/* The index of a string argument in the list, which ends with NULL. */
int sl_arg_option(lua_State *L, int arg, const char *otherwise,
                  const char *const *list);

#endif
