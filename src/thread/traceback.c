/*
 * traceback.c - see traceback.h. Lua 5.1 has no luaL_traceback, and a program
 * may have replaced debug.traceback. So this file writes tracebacks for 5.1.
 */

#include "thread/traceback.h"

enum { FIRST_FRAMES = 12, LAST_FRAMES = 10 };    /* shown of a deep stack */

/* [-1, +1, m] Adds the line of a frame to the traceback on the top. */
static void traceback_addframe(lua_State *L, lua_State *co, lua_Debug *frame)
{
    lua_getinfo(co, "Snl", frame);
    lua_pushfstring(L, "\n\t%s:", frame->short_src);
    if (frame->currentline > 0)
        lua_pushfstring(L, "%d:", frame->currentline);
    else
        lua_pushliteral(L, "");
    if (*frame->namewhat != '\0')
        lua_pushfstring(L, " in function '%s'", frame->name);
    else if (*frame->what == 'm')
        lua_pushliteral(L, " in main chunk");
    else if (*frame->what == 'C' || *frame->what == 't')
        lua_pushliteral(L, " ?");
    else
        lua_pushfstring(L, " in function <%s:%d>", frame->short_src,
                        frame->linedefined);
    lua_concat(L, 4);    /* the traceback, place, line and name */
}

/* [-1, +1, m] Adds the mark of omitted frames. Returns the level of the next
 * frame to show, and sets *frame to it. */
static int traceback_skip(lua_State *L, lua_State *co, int level,
                          lua_Debug *frame)
{
    lua_pushliteral(L, "\n\t...");
    lua_concat(L, 2);
    while (lua_getstack(co, level + LAST_FRAMES, frame))
        level++;
    lua_getstack(co, level, frame);
    return level;
}

/* [-0, +1, m] luaL_traceback for 5.1, without a message. */
static void traceback_write(lua_State *L, lua_State *co)
{
    lua_Debug frame;
    lua_pushliteral(L, "stack traceback:");
    for (int level = 0; lua_getstack(co, level, &frame); level++) {
        if (level == FIRST_FRAMES &&
            lua_getstack(co, level + LAST_FRAMES + 1, &frame))
            level = traceback_skip(L, co, level, &frame);
        traceback_addframe(L, co, &frame);
    }
}

void sl_traceback_push(lua_State *L, lua_State *co)
{
    if (!sl_pushtraceback(L, co))
        traceback_write(L, co);
}
