#!/bin/bash
# Builds and runs the specs, four files at a time:
#
#     tools/test.sh [RUN...]        RUN: [VARIANT-]LUA:POLLER
#
# for example `tools/test.sh lua5.1:poll asan-luajit:epoll`. Without a RUN: all
# Luas on all pollers, and the ucontext build on one; Lua 5.5 if there is a
# lua5.5. The environment may contain
#
#     SPECS     files, folders, or names such as receive; default test
#     FILTER    a Lua pattern: only tests whose name matches
#     JOBS      number of files at a time, default 4
#     LIMIT     seconds until a file of specs is ended, default 300 (more
#               where slow)
#     SOCKETLOOP_TEST_GC    see test/support/gc.lua
#
# A run that crashes, hangs, or executes no test counts as one failure. The last
# line is `N passed, N failed`, with `, N skipped` if some were.

set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
unset MAKEFLAGS MFLAGS

# LD_PRELOAD cannot contain names with blanks or colons.
if [[ $root = *[[:space:]:]* ]]; then
    links=$(mktemp -d)
    trap 'rm -r "$links"' EXIT
    ln -s "$root" "$links/tree"
    root=$links/tree
    cd "$root"
fi

# Preloads a library of gcc's, for this program only.
preload() {
    echo "$(ldd "$(command -v "$lua")" | awk '/ld-linux/ { print $1 }')" \
        "--preload $(gcc -print-file-name="$1") --argv0 \"\$0\"" \
        "$(command -v "$lua")"
}

# Prints the command that runs an interpreter of another architecture, which
# tools/foreign.sh unpacked.
emulation() {
    local system=$root/build/$variant linker=lib/ld-linux.so.2
    local version=${lua#lua}
    [[ $lua != luajit ]] || version=5.1
    local libraries=$system/lib/i386-linux-gnu:$system/usr/lib/i386-linux-gnu
    if [[ $variant = i386 ]] &&
        "$system/$linker" --version >/dev/null 2>&1
    then
        echo "export LUA_CPATH=\"\$LUA_CPATH;\
$system/usr/lib/i386-linux-gnu/lua/$version/?.so\"
exec $system/$linker --library-path $libraries --argv0 \"\$0\" \
$system/usr/bin/$lua"
    else
        echo "exec qemu-${variant/arm64/aarch64}-static -L $system -0 \"\$0\" \
$system/usr/bin/$lua"
    fi
}

# Makes build/BUILD/lua for variants that need more than the plain interpreter.
# A script keeps the environment of other programs unchanged, and specs can
# start Luas of the same kind. TEST_LEAKS=0 in the environment turns leak checks
# off.
make_interpreter() {
    local command
    case $variant in
    asan)
        command="export ASAN_OPTIONS=detect_leaks=\${TEST_LEAKS:-1}
ASAN_OPTIONS=\$ASAN_OPTIONS:verify_asan_link_order=0
export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$root/tools/lsan.supp:print_suppressions=0
exec $(preload libasan.so)"
        ;;
    tsan)   # gcc 12's can't bear address space randomization
        command="export TSAN_OPTIONS=die_after_fork=0:\
suppressions=$root/tools/tsan.supp
exec setarch -R $(preload libtsan.so)"
        ;;
    valgrind)
        command="exec valgrind -q --error-exitcode=99 --num-callers=24 \
--leak-check=full --show-leak-kinds=definite \
--errors-for-leak-kinds=definite \
--suppressions=$root/tools/valgrind.supp $(command -v "$lua")"
        ;;
    arm64 | i386 | s390x)
        command=$(emulation)
        ;;
    *)
        return
        ;;
    esac
    printf '#!/bin/sh\n%s "$@"\n' "$command" >"$folder/lua"
    chmod +x "$folder/lua"
}

# Splits a RUN into variant, lua, poller and the folder of its build.
parse() {
    poller=${1#*:}
    local build=${1%:*}
    lua=${build##*-}
    variant=${build%"$lua"}
    variant=${variant%-}
    folder=build/$build
}

# Prints the files named by the words of SPECS.
find_specs() {
    local word name found
    for word; do
        name=${word##*/}
        name=${name%_spec.lua}
        found=$word
        [[ -f $word ]] ||
            found=$(find "$word" -name "*_spec.lua" 2>/dev/null) || true
        [[ -n $found ]] || found=$(find test -name "${name%_spec}_spec.lua")
        if [[ -z $found ]]; then
            echo "$0: there are no specs $word" >&2
            return 1
        fi
        echo "$found"
    done
}

# The slowest files, which are started first.
slow=(memory linger_clients fiber inquiry race build unsent unix_lock resolver
    closing reclaim fuzz model)
slowest_first() {
    awk -F/ -v slow="${slow[*]/%/_spec.lua}" '
        { print (index(" " slow " ", " " $NF " ") ? 0 : 1), $0 }' |
        sort -u | cut -d ' ' -f 2-
}

# Runs one file of specs in a process of its own: memory that it leaks costs
# other files nothing, and they still run if it crashes. Uses run_one's
# variables.
run_spec() {
    local status=0 why='' own=$report.${1//\//_}
    timeout -k 5 "$limit" "$command" "${runner[@]}" "$own" "${options[@]}" \
        "$1" </dev/null >"$own.log" 2>&1 6>&- 7>&- &
    trap 'kill $! 2>/dev/null; exit 1' INT TERM HUP
    wait $! 2>/dev/null || status=$?
    if [[ $(tail -n 1 "$own") != end* ]]; then
        why="died with status $status"
        [[ $status != 124 && $status != 137 ]] ||
            why="was ended after $limit s"
        why+=" in: $(grep '^run' "$own" | tail -n 1 | cut -c 5-)"
    elif ((status != 0)) && ! grep -q '^fail' "$own"; then
        why="ended with status $status"
    fi
    [[ -z $why ]] || echo "fail $1 $why" | tee -a "$own" >>"$own.log"
    (
        flock 8
        cat "$own" >&8
        cat "$own.log" >>"$report.log"
    ) 8>>"$report"
    rm "$own" "$own.log"
}

# Runs the specs once. Leaves $reports/RUN (see report.lua) and RUN.log; prints
# the result in one line, and the log after failures. A file is started when a
# line can be read from descriptor 7, and writes the line back when it ends.
# Descriptor 6 gets a line when the last file was started.
run_one() {
    parse "$1"
    local command spec report=$root/$reports/$1 limit=${LIMIT:-300}
    local runner=(/usr/bin/busted -o tools/report.lua -Xoutput)
    local options=()
    case $variant in
    asan | tsan) limit=${LIMIT:-600} ;;
    valgrind | arm64 | i386 | s390x) limit=${LIMIT:-1200} ;;
    esac
    case $variant in
    '' | kqueue | ucontext) ;;
    *) export SOCKETLOOP_TEST_LIMIT=60 ;;
    esac
    [[ $variant != coverage ]] || export SOCKETLOOP_TEST_EXIT=1
    [[ -z ${SOCKETLOOP_TEST_GC:-} ]] || options+=(--helper test/support/gc.lua)
    [[ -z ${FILTER:-} ]] || options+=(--filter "$FILTER")
    command=$root/$folder/lua
    [[ -x $command ]] || command=$(command -v "$lua")
    export SOCKETLOOP_POLLER=$poller
    export LUA_PATH="$root/$folder/?.lua;$root/test/support/?.lua;\
$root/test/?.lua;;"
    export LUA_CPATH="$root/$folder/?.so;;"
    "$command" -e 'require "busted.modules.files.moonscript"' 2>/dev/null ||
        runner=(tools/runner.lua)
    : >"$report"
    : >"$report.log"
    local start=$SECONDS
    trap 'kill $(jobs -p) 2>/dev/null; exit 1' INT TERM HUP
    for spec in "${specs[@]}"; do
        read -ru 7
        (
            run_spec "$spec"
            echo >&7
        ) &
    done
    echo >&6
    wait

    local passed failed skipped
    read -r passed failed skipped < <(count "$report")
    if ((passed + failed == 0)); then
        echo "fail the run executed no test" | tee -a "$report" >>"$report.log"
        failed=1
    fi
    exec 9>>"$reports/done"
    flock 9     # one writer at a time
    echo "$1" >&9
    printf "$clear%-24s %5d passed, %d failed, %d skipped, %d s\n" "$1" \
        "$passed" "$failed" "$skipped" $((SECONDS - start))
    if ((failed > 0)); then
        echo "    $reports/$1.log:"
        head -n 100 "$report.log" | sed 's/^/    /'
        [[ $(wc -l <"$report.log") -le 100 ]] || echo '    ...'
        tail -n +101 "$report.log" | tail -n 100 | sed 's/^/    /'
    fi
}

# Prints the progress of the runs: on a terminal every second on one line,
# elsewhere twice a minute. Runs until it is killed.
clear='' end='\n' interval=30
[[ ! -t 1 ]] || clear='\r\e[K' end='' interval=1
show_progress() {
    local passed failed skipped
    mkfifo "$reports/never"
    exec 8<>"$reports/never" 9>>"$reports/done"
    while ! read -rt "$interval" <&8; do    # no sleep that would outlive this
        read -r passed failed skipped < <(count "${files[@]}")
        flock 9
        printf "$clear%d of %d runs done after %d:%02d, %d tests passed, \
%d failed$end" "$(wc -l <"$reports/done")" ${#runs[@]} $((SECONDS / 60)) \
            $((SECONDS % 60)) "$passed" "$failed"
        flock -u 9
    done
}

# Sums up report files: passed, failed, skipped.
count() {
    awk '{ n[$1]++ }
        END { print n["pass"] + 0, n["fail"] + 0, n["skip"] + 0 }' "$@"
}

runs=("$@")
if [[ $# -eq 0 ]]; then
    for lua in lua5.1 lua5.2 lua5.3 lua5.4 luajit; do
        for poller in epoll poll select; do
            runs+=("$lua:$poller")
        done
    done
    runs+=(ucontext-lua5.4:epoll)
    if command -v lua5.5 >/dev/null; then
        runs+=(lua5.5:epoll)
    else
        echo 'there is no lua5.5 here: not tested'
    fi
fi

# shellcheck disable=SC2086
specs=$(find_specs ${SPECS:-test} | slowest_first)
mapfile -t specs <<<"$specs"

mkdir -p build
reports=$(mktemp -d build/report.XXXXXX)    # several scripts may run at once
for build in $(printf '%s\n' "${runs[@]%:*}" | sort -u); do
    parse "$build:"
    make -s -j2 LUA="$lua" VARIANT="$variant"
    [[ $variant =~ ^(arm64|i386|s390x)$ ]] || ! pkg-config --exists "$lua" ||
        make -s LUA="$lua" VARIANT="$variant" helpers
    make_interpreter
done
echo "built; ${#runs[@]} runs of the specs"

files=("${runs[@]/#/$reports/}")
touch "${files[@]}"
trap 'kill $(jobs -p) 2>/dev/null; echo "ended by a signal" >&2; exit 1' \
    INT TERM HUP
show_progress &
progress=$!
mkfifo "$reports/begun" "$reports/jobs"
exec 6<>"$reports/begun" 7<>"$reports/jobs"
for ((i = 0; i < ${JOBS:-4}; i++)); do echo >&7; done
running=()
for run in "${runs[@]}"; do
    run_one "$run" &
    running+=($!)
    read -ru 6
done
wait "${running[@]}" || true
kill $progress
wait $progress 2>/dev/null || true

for file in "${files[@]}"; do
    [[ -s $file ]] || echo 'fail the run' >"$file"
done
read -r passed failed skipped < <(count "${files[@]}")
summary="$passed passed, $failed failed"
((skipped == 0)) || summary+=", $skipped skipped"
((failed > 0)) || rm -rf "$reports"
printf "$clear%s\n" "$summary"
((failed == 0 && passed > 0))
