/*
 * arg.c - errors for bad arguments, with the name of the function. See arg.h.
 */

#include "thread/arg.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static const char lists_key = 0;    /* its address is a registry key */

/* [-0, +1, m] Pushes the table of lists: address of a list -> whether it has
 * methods. */
static void push_lists(lua_State *L)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        sl_rawsetp(L, LUA_REGISTRYINDEX, &lists_key);
    }
}

void sl_arg_register(lua_State *L, const luaL_Reg *list, int are_methods)
{
    push_lists(L);
    lua_pushlightuserdata(L, (void *)list);
    lua_pushboolean(L, are_methods);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* [-0, +1, m] Pushes the running function, or nil. */
static void push_running_function(lua_State *L)
{
    lua_Debug where;
    if (lua_getstack(L, 0, &where))
        lua_getinfo(L, "f", &where);
    else
        lua_pushnil(L);
}

static const char *name_in(const luaL_Reg *list, lua_CFunction function)
{
    for (; list->name != NULL; list++)
        if (list->func == function)
            return list->name;
    return NULL;
}

/* [-0, +0, m] Returns the name of the running function, or NULL, and sets
 * *is_method. */
static const char *find_function_name(lua_State *L, int *is_method)
{
    const char *name = NULL;
    int top = lua_gettop(L);
    push_running_function(L);
    lua_CFunction function = lua_tocfunction(L, -1);
    push_lists(L);
    lua_pushnil(L);
    while (name == NULL && lua_next(L, top + 2) != 0) {
        name = name_in(lua_touserdata(L, -2), function);
        *is_method = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    return name;
}

int sl_arg_error(lua_State *L, int arg, const char *message)
{
    int is_method;
    const char *name = find_function_name(L, &is_method);
    if (name == NULL)
        return luaL_argerror(L, arg, message);
    if (is_method && --arg == 0)
        return luaL_error(L, "calling '%s' on bad self (%s)", name, message);
    return luaL_error(L, "bad argument #%d to '%s' (%s)", arg, name, message);
}

int sl_arg_mistyped(lua_State *L, int arg, const char *expected)
{
    lua_pushfstring(L, "%s expected, got %s", expected, sl_typename(L, arg));
    return sl_arg_error(L, arg, lua_tostring(L, -1));
}

const char *sl_arg_optlstring(lua_State *L, int arg, const char *otherwise,
                              size_t *size)
{
    if (!lua_isnoneornil(L, arg))
        return sl_arg_lstring(L, arg, size);
    *size = strlen(otherwise);
    return otherwise;
}

double sl_arg_number(lua_State *L, int arg)
{
    double number = lua_tonumber(L, arg);
    if (number == 0 && !lua_isnumber(L, arg))
        sl_arg_mistyped(L, arg, "number");
    return number;
}

lua_Integer sl_arg_integer(lua_State *L, int arg)
{
    const double limit = 9007199254740992;    /* 2^53 */
    double number = sl_arg_number(L, arg);
    if (!(number >= -limit && number <= limit) ||
        (double)(lua_Integer)number != number)
        sl_arg_error(L, arg, "number has no integer representation");
    return (lua_Integer)number;
}

/* --- numbers ----------------------------------------------------------- */

int sl_arg_toint(double number, int *value)
{
    int fits = number > INT_MIN - 1.0 && number < INT_MAX + 1.0;
    *value = fits ? (int)number : 0;
    return fits;
}

int sl_arg_int(lua_State *L, int arg)
{
    int value;
    sl_arg_check(L, sl_arg_toint(sl_arg_number(L, arg), &value), arg,
                 "number out of range");
    return value;
}

long sl_arg_optindex(lua_State *L, int arg, long otherwise)
{
    const double limit = (double)(LONG_MAX / 4);
    double index = sl_arg_optnumber(L, arg, (double)otherwise);
    sl_arg_check(L, index == index, arg, "not a number");
    return (long)fmax(-limit, fmin(index, limit));
}

size_t sl_arg_optlimit(lua_State *L, int arg, size_t none)
{
    if (lua_isnoneornil(L, arg))
        return none;
    double limit = sl_arg_number(L, arg);
    sl_arg_check(L, limit >= 1 && floor(limit) == limit, arg,
                 "whole number from 1 on expected");
    return sl_arg_tosize(limit);
}

double sl_arg_seconds(lua_State *L, int arg)
{
    double seconds = sl_arg_number(L, arg);
    sl_arg_check(L, seconds == seconds, arg, "not a number");
    return seconds;
}

/* --- strings for C ----------------------------------------------------- */

const char *sl_arg_checktext(lua_State *L, int index, int arg)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    sl_arg_check(L, strlen(text) == size, arg,
                 "there is a zero byte in the string");
    return text;
}

const char *sl_arg_text(lua_State *L, int arg)
{
    sl_arg_string(L, arg);
    return sl_arg_checktext(L, arg, arg);
}

const char *sl_arg_name(lua_State *L, int arg)
{
    size_t size;
    const char *host = sl_arg_lstring(L, arg, &size);
    return strlen(host) == size ? host : "";
}

const char *sl_arg_port(lua_State *L, int arg)
{
    if (lua_type(L, arg) == LUA_TNUMBER) {
        double port = lua_tonumber(L, arg);
        sl_arg_check(L, port >= 0 && port <= 65535, arg,
                     "port out of range");
        lua_pushfstring(L, "%d", sl_arg_int(L, arg));
        lua_replace(L, arg);
    }
    return sl_arg_name(L, arg);
}

int sl_arg_option(lua_State *L, int arg, const char *otherwise,
                  const char *const *list)
{
    const char *name = otherwise;
    if (name == NULL || !lua_isnoneornil(L, arg))
        name = sl_arg_text(L, arg);
    for (int i = 0; list[i] != NULL; i++)
        if (strcmp(list[i], name) == 0)
            return i;
    lua_pushfstring(L, "invalid option '%s'", name);
    return sl_arg_error(L, arg, lua_tostring(L, -1));
}
