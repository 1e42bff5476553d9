/*
 * arg.h - the arguments of functions that Lua calls.
 *
 * As luaL_check* and luaL_opt*, but errors always name the function. Lua knows
 * no name where no Lua code made the call (pcall(f, x), a coroutine's body),
 * and then counts a method's self as an argument. The names here are those in
 * the lists that functions are registered from.
 */

#ifndef SL_ARG_H
#define SL_ARG_H

#include "compat.h"

#include <stddef.h>

/* [-0, +0, m] The functions of the list are known from now on. */
void sl_arg_register(lua_State *L, const luaL_Reg *list, int are_methods);

/* Raises: the argument of the running function is bad. */
int sl_arg_error(lua_State *L, int arg, const char *message);

/* Raises: it is not of the type with that name. */
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

/* [-0, +0, e] A function that a coroutine can run: see sl_fitbody. */
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

/* The default is not NULL where size is not. */
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

/* An integer that a double can hold. */
lua_Integer sl_arg_integer(lua_State *L, int arg);

/* The position of a string in the list, which ends with NULL. */
int sl_arg_option(lua_State *L, int arg, const char *otherwise,
                  const char *const *list);

#endif
