#!/bin/bash
# Prints the findings of cppcheck and clang-tidy (checks: .clang-tidy) in src/,
# except those in lint.txt.

set -euo pipefail
cd "$(dirname "$0")/.."

export headers
headers=$(pkg-config --cflags lua5.4)
mkdir -p build
cppcheck --quiet --std=c99 --platform=unix64 --library=posix \
    --enable=warning,performance,portability -Iinclude -Isrc \
    -D__x86_64__ -D__linux__ -D__GNUC__ -DLUA_VERSION_NUM=504 \
    --template='{file}:{line}: {message} [{id}]' src/*.c src/*/*.c 2>build/lint
# shellcheck disable=SC2086
printf '%s\n' src/*.c src/*/*.c | xargs -P "$(nproc)" -n 4 sh -c \
    'for file; do clang-tidy --quiet "$file" -- -std=c99 -D_GNU_SOURCE= \
        -Iinclude -Isrc $headers -include tools/lint.h 2>/dev/null; done; :' \
    sh >>build/lint

# A finding ends in the names of its checks.
findings=$(sed "s|^$PWD/||" build/lint | awk '
    NR == FNR { known[$1, $2] = 1; next }
    /^(src|include|tools)\/.*\[[^]]*\]$/ {
        check = $0
        sub(/.*\[/, "", check)
        sub(/[],].*/, "", check)
        file = $1
        sub(/:.*/, "", file)
        if (!((file, check) in known)) print
    }' <(grep -v '^#' tools/lint.txt) - | sort -u)
if [[ -n $findings ]]; then
    echo "$findings"
    exit 1
fi
echo "cppcheck and clang-tidy: nothing that isn't known"
