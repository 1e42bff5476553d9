/*
 * install.h - loop.install.
 */

#ifndef SL_INSTALL_H
#define SL_INSTALL_H

#include "thread/compat.h"

/* install(): see install.c */
int sl_install(lua_State *L);

#endif
