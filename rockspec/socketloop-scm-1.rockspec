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
      LuaSocket's objects and libraries.]],
   license = 'MIT',
}
supported_platforms = {'unix'}
dependencies = {
   'lua >= 5.1, < 5.6',
   'luasocket >= 3.0',
}
build = {
   type = 'builtin',
   modules = {
      coro = 'src/coro.lua',
      ['socketloop.classes'] = 'src/socketloop/classes.lua',
      ['socketloop.families'] = 'src/socketloop/families.lua',
      ['socketloop.functions'] = 'src/socketloop/functions.lua',
      ['socketloop.identity'] = 'src/socketloop/identity.lua',
      ['socketloop.install'] = 'src/socketloop/install.lua',
      ['socketloop.loops'] = 'src/socketloop/loops.lua',
      ['socketloop.methods'] = 'src/socketloop/methods.lua',
      ['socketloop.names'] = 'src/socketloop/names.lua',
      ['socketloop.own'] = 'src/socketloop/own.lua',
      ['socketloop.replace'] = 'src/socketloop/replace.lua',
      ['socketloop.tls'] = 'src/socketloop/tls.lua',
      socketloop = {
         sources = {
            'src/accept.c',
            'src/address.c',
            'src/anchor.c',
            'src/api.c',
            'src/asocket.c',
            'src/bind.c',
            'src/buffer.c',
            'src/clock.c',
            'src/connect.c',
            'src/coro.c',
            'src/crowd.c',
            'src/datagram.c',
            'src/descriptor.c',
            'src/fiber.c',
            'src/foreign.c',
            'src/fork.c',
            'src/gather.c',
            'src/install.c',
            'src/local.c',
            'src/loop.c',
            'src/luasocket.c',
            'src/name.c',
            'src/option.c',
            'src/pin.c',
            'src/poller.c',
            'src/poller_epoll.c',
            'src/poller_kqueue.c',
            'src/poller_poll.c',
            'src/poller_select.c',
            'src/property.c',
            'src/race.c',
            'src/receive.c',
            'src/record.c',
            'src/resolve.c',
            'src/resolver.c',
            'src/result.c',
            'src/run.c',
            'src/send.c',
            'src/server.c',
            'src/socketloop.c',
            'src/source.c',
            'src/stream.c',
            'src/thread.c',
            'src/timer.c',
            'src/tls.c',
            'src/transport.c',
            'src/udp.c',
            'src/wait.c',
            'src/watch.c',
            'src/worker.c',
            'src/wrap.c',
         },
         incdirs = {'include'},
         libraries = {'pthread'},
      },
   },
   copy_directories = {'include'},
}
