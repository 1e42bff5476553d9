#!/bin/bash
# Static checks: warnings of two compilers on five Luas, exported names, the
# kqueue back-end (against a stub header), the includes between folders, system
# calls outside of src/os/, luacheck, the style's cheap rules, and the rockspec.

set -euo pipefail
cd "$(dirname "$0")/.."
unset MAKEFLAGS MFLAGS
luas=(lua5.1 lua5.2 lua5.3 lua5.4 luajit)
! command -v lua5.5 >/dev/null || luas+=(lua5.5)

for compiler in gcc clang; do
    for lua in "${luas[@]}"; do
        make -s -j2 LUA="$lua" VARIANT="$compiler" CC="$compiler" \
            CFLAGS='-O2 -Werror'
    done
    echo "$compiler: no warnings with ${luas[*]}"

    "$compiler" -std=c99 -Wall -Wextra -pedantic -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Werror -fsyntax-only -D_POSIX_C_SOURCE=200809L \
        -DSL_HAVE_KQUEUE=1 -Isrc -Itest/kqueue src/os/kqueue.c
    echo "$compiler: the kqueue back-end compiles against the stub header"
done

for lua in "${luas[@]}"; do
    others=$(nm -D --defined-only "build/gcc-$lua/socketloop.so" |
        awk '$3 !~ /^luaopen_/ { print $3 }')
    if [[ -n $others ]]; then
        echo "exported, but not luaopen_*:" "$others"
        exit 1
    fi
done
echo "only luaopen_* is exported"

# Static variables are shared between Lua states in several threads. Allowed:
# constants, the count of forks, and the key of each thread's pointer.
variables=$(size -A build/gcc-lua5.4/obj/{,*/}*.o | awk '
    $2 == ":" { file = $1 }
    $1 ~ /^\.t?(data|bss)/ && $1 !~ /rel\.ro/ && $2 > 0 &&
    file !~ /\/(process|perthread)\.o/ {
        print file, $1
    }')
if [[ -n $variables ]]; then
    echo "variables that are not of a Lua state: $variables"
    exit 1
fi
echo "no static variables"

lua5.4 tools/arrows.lua

# Only os/ calls the system, even where a header of the system is needed for
# types.
calls=$(nm -Au build/gcc-lua5.4/obj/{,[^o]*/}*.o | awk '
    $2 == "U" && $3 !~ /^(sl_|lua|_GLOBAL_|__errno_location$|__.*_chk)/ &&
    $3 !~ /^(mem|str)/ && $3 !~ /^(calloc|malloc|realloc|free|getenv)$/ &&
    $3 !~ /^(fmin|fmax|floor|ceil|fmod|pow)$/ { print $1, $3 }')
if [[ -n $calls ]]; then
    echo "calls of the system outside src/os/: $calls"
    exit 1
fi
echo "outside src/os/ only functions of standard C are called"

luacheck -q --no-color .

find . \( -path ./build -o -path ./.git \) -prune -o -type f -print >build/files
if xargs grep -nIP '[ \t]+$' <build/files; then
    echo 'white space at the end of lines'
    exit 1
fi
if grep -vE '(^|/)Makefile$' build/files | xargs grep -nIP '\t'; then
    echo 'tabs'
    exit 1
fi
if grep -E '\.([ch]|lua|sh)$' build/files | xargs grep -nIE '^.{81}'; then
    echo 'lines of more than 80 columns'
    exit 1
fi
echo 'no tabs, no white space at the end of lines, no line over 80 columns'

# README's installation with luarocks, in a copy without anything built. No
# module that require would find may be left in the copy.
rock=$(sed -n 's/^ *\(luarocks make .*\.rockspec\)$/\1/p' README.md)
rm -rf build/rock
mkdir build/rock
cp -r Makefile src include rockspec tools build/rock
for lua in lua5.1 lua5.3 lua5.4 luajit; do
    version=${lua#lua}
    [[ $lua != luajit ]] || version=5.1
    about=$(tools/lua.sh "$lua" cc)
    (
        cd build/rock
        # shellcheck disable=SC2086
        $rock --lua-version "$version" --tree "tree-$lua" \
            LUA="$(command -v "$lua")" LUA_INCDIR="${about#*-I}" \
            >log 2>&1 || { cat log; exit 1; }
    )
    tree=build/rock/tree-$lua
    LUA_CPATH="$tree/lib/lua/$version/?.so;;" \
        LUA_PATH="$tree/share/lua/$version/?.lua;;" \
        "$lua" -e 'assert(require "socketloop".install() and require "coro")'
    ls "$tree"/lib/luarocks/rocks-*/socketloop/*/include/socketloop.h >/dev/null
    echo "$lua: the rock builds and loads"
done
left=$(find build/rock \( -path build/rock/build -o -path '*/tree-*' \) -prune \
    -o -name '*.o' -print -o -name '*.so' -print)
if [[ -n $left ]]; then
    echo "luarocks leaves in a clone:" "$left"
    exit 1
fi
