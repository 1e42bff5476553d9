/*
 * install.h - loop.install, which makes LuaSocket itself cooperative.
 */

#ifndef SL_INSTALL_H
#define SL_INSTALL_H

#include "thread/compat.h"

/* The Lua function install(). See doc/reference.md. */
int sl_install(lua_State *L);

#endif
