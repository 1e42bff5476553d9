#!/bin/bash
# Builds and runs the specs on variants of this system that represent other
# platforms:
#
#     tools/platforms.sh [quick] [PLATFORM...]
#
# quick: only those that take less than a minute each, with fewer specs, on one
# Lua each. A PLATFORM is a function below. The environment may contain
#
#     LUA_SOURCE    a folder with the source of a Lua or LuaJIT, which is built
#                   for `musl` and `lua_source`; without it they are skipped
#     SPECS         as for tools/test.sh

set -euo pipefail
cd "$(dirname "$0")/.."
unset MAKEFLAGS MFLAGS

# Specs of threads and of waits in the loop. They need no other programs and
# libraries, and hardly anything of LuaSocket.
core='fiber* recursion stack thread suspend program_end loop sleep timeout*
    receive* send* coro* bothloops*'

# Runs all specs; with quick, only those of core on the last of the runs, unless
# SPECS is set.
run() {
    [[ -z $quick ]] || set -- "${@: -1}"
    SPECS=${SPECS:-${quick:+$core}} tools/test.sh "$@"
}

# BSDs and macOS: kevent on top of epoll.
kqueue() {
    run kqueue-lua5.4:kqueue kqueue-luajit:kqueue
}

# 32 bits.
i386() {
    local luas=(lua5.4)
    [[ -n $quick ]] || luas=(lua5.1 lua5.2 lua5.3 lua5.4 luajit)
    local status=0
    SPECS=${SPECS:-$core} tools/foreign.sh i386 "${luas[@]}" || status=$?
    if [[ -n $quick && $status = 75 ]]; then
        echo 'i386: skipped'
        return
    fi
    return "$status"
}

arm64() {
    tools/foreign.sh arm64
}

# Big-endian.
s390x() {
    tools/foreign.sh s390x
}

# Pointers of 32 bits in registers of 64: only compiled, as few kernels run such
# programs.
x32() {
    make -s -j2 LUA=luajit VARIANT=x32 CFLAGS='-O2 -Werror'
    echo 'x32: compiles'
}

# The flags of the next two platforms, combined.
hard() {
    CFLAGS='-O3 -flto=auto -D_FORTIFY_SOURCE=3' MALLOC_PERTURB_=165 \
        run hard-lua5.4:epoll
}

# Link-time optimization, as used by distributions.
lto() {
    CFLAGS='-O3 -flto=auto' run lto-lua5.4:epoll lto-luajit:epoll
}

# The C library's checks, and memory filled with garbage.
fortify() {
    CFLAGS='-O2 -D_FORTIFY_SOURCE=3' MALLOC_PERTURB_=165 \
        run fortify-lua5.4:epoll fortify-lua5.1:epoll
}

# Marked indirect branches. No object may claim to support shadow stacks.
cet() {
    local objects=build/cet-lua5.4/obj
    make -s -j2 LUA=lua5.4 VARIANT=cet CFLAGS='-O2 -fcf-protection=full'
    if readelf -n "$objects"/*.o "$objects"/*/*.o | grep SHSTK; then
        echo 'cet: an object claims a shadow stack'
        return 1
    fi
    readelf -n "$objects"/os/fiber.o | grep -q IBT
    CFLAGS='-O2 -fcf-protection=full' SPECS=${SPECS:-$core} \
        tools/test.sh cet-lua5.4:epoll
}

# Small stacks, by SL_STACK_SIZE.
stack() {
    CPPFLAGS=-DSL_STACK_SIZE=524288 SPECS=${SPECS:-$core} \
        tools/test.sh stack-lua5.4:epoll
}

is_luajit() {
    [[ -e $1/luajit.h || -e $1/luajit_rolling.h ]]
}

# Builds the Lua of LUA_SOURCE with that compiler in build/NAME:
# build/NAME/NAME, with its headers beside it.
build_lua() {
    local name=$1 cc=$2 folder=build/$1 source=$LUA_SOURCE files
    [[ ! -e $source/src/lua.h ]] || source=$source/src
    rm -rf "$folder"
    if is_luajit "$source"; then
        cp -r "$source/.." "$folder"
        make -s -C "$folder/src" CC="$cc" HOST_CC=cc BUILDMODE=static >/dev/null
        mv "$folder/src" "$folder/built"
        mv "$folder"/built/* "$folder"
        mv "$folder/luajit" "$folder/$name"
        return
    fi
    cp -r "$source" "$folder"
    files=$(ls "$folder"/*.c |
        grep -vE '/(luac|print|onelua|ltests|lbitlib_)\.c$')
    # shellcheck disable=SC2086
    $cc -O2 -w -DLUA_USE_POSIX -DLUA_USE_DLOPEN -DLUA_COMPAT_5_3 \
        -I"$folder" -o "$folder/$name" $files -Wl,-E -lm -ldl
}

# Runs the specs with the Lua of LUA_SOURCE.
run_source() {
    local variant=$1 name=$2 cc=$3
    if [[ -z ${LUA_SOURCE:-} ]]; then
        echo "$name: skipped, LUA_SOURCE names no source of a Lua"
        return
    fi
    if [[ $cc = musl-gcc ]] && is_luajit "$LUA_SOURCE/src"; then
        echo "$name: skipped, LuaJIT needs libgcc, and here that is for glibc"
        return
    fi
    build_lua "$name" "$cc"
    "build/$name/$name" -v
    PATH=$PWD/build/$name:$PATH SPECS=${SPECS:-$core} \
        tools/test.sh "$variant$name:epoll"
}

lua_source() {
    run_source '' luasource cc
}

# Another C library, without contexts; the module must report that.
musl() {
    make -s -j2 LUA=luajit VARIANT=musl CFLAGS='-O2 -Werror'
    echo 'musl: compiles'
    if make -s LUA=luajit VARIANT=musl CPPFLAGS=-DSL_FIBER_UCONTEXT \
        OUT=build/musl-ucontext >build/musl.log 2>&1 ||
        ! grep -q 'install libucontext' build/musl.log; then
        echo 'musl: contexts are not refused'
        return 1
    fi
    run_source musl- luamusl musl-gcc
}

quick=
if [[ ${1:-} = quick ]]; then
    quick=yes
    shift
fi
platforms=("$@")
if [[ $# -eq 0 ]]; then
    platforms=(kqueue i386 x32 lto fortify cet stack musl lua_source arm64
        s390x)
    [[ -z $quick ]] || platforms=(kqueue i386 x32 hard musl lua_source)
fi

if [[ ${#platforms[@]} -eq 1 ]]; then
    echo "--- ${platforms[0]}"
    "${platforms[0]}"
    exit
fi

failed=()
for platform in "${platforms[@]}"; do
    tools/platforms.sh ${quick:+quick} "$platform" || failed+=("$platform")
done
if [[ ${#failed[@]} -gt 0 ]]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
echo "passed: ${platforms[*]}"
