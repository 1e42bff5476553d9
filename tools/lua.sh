#!/bin/sh
# Finds the properties of a Lua that the Makefile needs:
#
#     tools/lua.sh LUA CC [FLAGS]
#
# prints the version of LUA, a command, and the compiler's flags for its
# headers, for example `5.4 -I/usr/include/lua5.4`; the version of LuaJIT is
# luajit. The interpreter reports the version; if it doesn't run, an unambiguous
# name such as lua5.4 or luajit does. The headers have to be of that version:
# those that FLAGS lead to, else those beside the interpreter, those that
# pkg-config knows, or the system's. Fails with a message if something is
# missing.

set -eu

lua=$1 cc=$2 given=${3:-}

version_of_lua() {
    if command -v "$lua" >/dev/null; then
        "$lua" -e 'io.write(rawget(_G, "jit") and "luajit" or
            _VERSION:match "^Lua (%d%.%d)$")' 2>/dev/null </dev/null && return
    fi
    case ${lua##*/} in
    luajit*) echo luajit ;;
    lua5.[1-9]) echo "${lua##*lua}" ;;
    lua5[1-9] | lua-5.[1-9]) echo "5.${lua##*[5.]}" ;;
    esac
}

# Prints the version of the headers that these flags lead to, if any.
version_of_headers() {
    # shellcheck disable=SC2086
    {
        printf '%s\n' '#include <lua.h>' '#include <lauxlib.h>' \
            '#if LUA_VERSION_NUM == 501 && defined(LUA_OK)' 'version luajit'
        for minor in 1 2 3 4 5 6 7 8 9; do
            printf '%s\n' "#elif LUA_VERSION_NUM == 50$minor" \
                "version 5.$minor"
        done
        echo '#endif'
    } | $cc $1 -E -P - 2>/dev/null | sed -n 's/^version  *//p'
}

# Prints flags that may lead to the headers, a line each; the last line is
# empty.
candidates() {
    if path=$(command -v "$lua"); then
        folder=$(cd "$(dirname "$path")" && pwd)
        prefix=${folder%/*}
        for folder in "$prefix/include/lua$version" \
            "$prefix/include/lua-$version" "$prefix/include/lua/$version" \
            "$prefix/include/lua$digits" "$prefix/include/lua" \
            "$prefix/include"/luajit-2.* "$prefix/include" "$folder"; do
            [ ! -e "$folder/lua.h" ] || echo "-I$folder"
        done
    fi
    for name in "${lua##*/}" "lua$version" "lua-$version" "lua$digits" \
        "$version" lua; do
        pkg-config --cflags "$name" 2>/dev/null || :
    done
    echo
}

# Fails, with the names of Debian's packages if these are missing.
fail() {
    echo "$0: $1" >&2
    case $version in
    luajit) tools/setup.sh build luajit ;;
    *) tools/setup.sh build "lua$version" ;;
    esac
    exit 1
}

version=$(version_of_lua)
case $version in
luajit | [5-9].[0-9]) ;;
*)
    echo "$0: $lua doesn't run, and its name tells no version:" \
        "give LUA=lua5.4, LUA=luajit, or another command that runs a Lua" >&2
    exit 1
    ;;
esac
digits=$(echo "$version" | tr -d .)

command -v "${cc%% *}" >/dev/null || fail "there is no compiler: $cc"

if [ -n "$given" ]; then
    found=$(version_of_headers "$given")
    if [ "$found" != "$version" ]; then
        echo "$0: $lua is version $version, but $given leads to headers of" \
            "${found:-no Lua}" >&2
        exit 1
    fi
    echo "$version $given"
    exit
fi

seen=
while read -r flags; do
    found=$(version_of_headers "$flags")
    if [ "$found" = "$version" ]; then
        echo "$version $flags"
        exit
    fi
    seen="$seen${found:+ $found}"
done <<END
$(candidates)
END
fail "the headers of $lua (version $version) are not found\
${seen:+, but those of$seen}; LUA_INCDIR=folder says where they are"
