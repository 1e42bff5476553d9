/*
 * pin.c - the module asks the dynamic linker never to unload it: a worker
 * thread may be in it for longer than the Lua state that loaded it, and LuaJIT
 * runs finalizers after it has let go of modules.
 */

#define _GNU_SOURCE    /* dladdr, RTLD_NOLOAD, RTLD_NODELETE */

#include "os/pin.h"

#include <dlfcn.h>

void sl_process_pin(void)
{
    static const char here = 0;
    Dl_info module;
    if (dladdr(&here, &module) != 0)
        dlopen(module.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}
