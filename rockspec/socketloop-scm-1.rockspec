rockspec_format = '3.0'
package = 'socketloop'
version = 'scm-1'
source = {
   url = '.',   -- built where it is: luarocks make rockspec/...
}
description = {
   summary = 'Straight-line network code, thousands of connections at once',
   detailed = [[
      Each connection has its own coroutine; a call that would block lets the
      others run, wherever it is made: inside pcall, an iterator, a sort
      comparator or a library that knows nothing of coroutines. Works with
      LuaSocket's objects and libraries. For Lua 5.1 to 5.5 and LuaJIT.]],
   license = 'MIT',
}
supported_platforms = {'unix'}
dependencies = {
   'lua >= 5.1, < 5.6',
   'luasocket >= 3.0',
}
build = {
   type = 'make',     -- GNU's
   variables = {
      LUA = '$(LUA)',
      LUA_INCDIR = '$(LUA_INCDIR)',
      CFLAGS = '$(CFLAGS)',
   },
   install_variables = {
      LUA_CMOD = '$(LIBDIR)',
      LUA_LMOD = '$(LUADIR)',
      INCLUDE = '$(PREFIX)/include',
   },
}
