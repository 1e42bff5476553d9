#!/bin/bash
# Installs the Debian packages that a job needs and this system lacks:
#
#     tools/setup.sh JOB [LUA...]
#
# JOB: build, demo, test, lint, libfuzzer, platforms, arm64, bench, chroot.
#
# LUA: lua5.1, lua5.2, lua5.3, lua5.4, luajit; default all of them. No package
# is known for another LUA, which has to be installed. Does nothing if no
# package is missing. Installs as root or through sudo; if it can't, and for
# `build`, prints the missing packages and fails.

set -euo pipefail

job=${1:?build, demo, test, lint, libfuzzer, platforms, arm64, bench, chroot}
shift
luas=("$@")
[[ $# -gt 0 ]] || luas=(lua5.1 lua5.2 lua5.3 lua5.4 luajit)

# Requirements: Debian's packages, and their equivalents on other systems:
# commands, names for pkg-config, and modules of Lua.
packages=(gcc libc6-dev make pkg-config)
commands=(cc make pkg-config "${luas[@]}")
modules=()
[[ $job = build ]] || packages+=(lua-socket) modules+=(socket)

for lua in "${luas[@]}"; do
    case $lua in
    lua5.1) packages+=(lua5.1 liblua5.1-0-dev) ;;
    luajit) packages+=(luajit libluajit-5.1-dev) ;;
    lua5.[2-9]) packages+=("$lua" "lib$lua-dev") ;;
    esac
done

case $job in
build | demo) ;;
test)
    packages+=(lua-busted lua-check lua-filesystem luarocks clang valgrind
        nginx-light curl strace wrk lua-sec openssl ca-certificates lua-redis
        redis-server postgresql vsftpd)
    commands+=(busted luacheck luarocks clang valgrind nginx curl strace wrk
        openssl redis-server initdb vsftpd)
    modules+=(lfs ssl)
    ;;
lint)
    packages+=(cppcheck clang-tidy)
    commands+=(cppcheck clang-tidy)
    ;;
libfuzzer)
    packages+=(clang libclang-rt-dev)
    commands+=(clang)
    ;;
platforms)
    packages+=(lua-busted lua-filesystem musl-tools qemu-user-static
        gcc-i686-linux-gnu libc6-dev-i386-cross
        gcc-s390x-linux-gnu libc6-dev-s390x-cross
        gcc-x86-64-linux-gnux32 libc6-dev-x32-cross)
    commands+=(busted musl-gcc qemu-i386-static qemu-s390x-static
        i686-linux-gnu-gcc s390x-linux-gnu-gcc x86_64-linux-gnux32-gcc
        apt-get)
    modules+=(lfs)
    ;;
arm64)
    packages+=(lua-busted gcc-aarch64-linux-gnu libc6-dev-arm64-cross
            qemu-user-static)
    commands+=(busted aarch64-linux-gnu-gcc qemu-aarch64-static apt-get)
    ;;
bench)
    packages+=(lua-luv lua-cqueues lua-copas valgrind strace gnuplot-nox)
    commands+=(valgrind strace gnuplot)
    ;;
chroot)
    packages=(debootstrap git util-linux)
    commands=(debootstrap git unshare apt-get)
    luas=()
    ;;
*)
    echo "$0: no such job: $job" >&2
    exit 2
    ;;
esac

PATH=$PATH:/usr/sbin:/sbin      # for nginx; not in every PATH

# The packages of the list that are not installed.
missing_packages() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
        awk '$1 == "installed" { print $2 }' | sort -u |
        comm -13 - <(printf '%s\n' "$@" | sort -u)
}

# On a system other than Debian: the requirements that were not found.
missing_tools() {
    local name
    for name in "${commands[@]}"; do
        command -v "$name" >/dev/null || echo "the command $name"
    done
    for lua in ${luas[@]+"${luas[@]}"}; do
        pkg-config --exists "$lua" 2>/dev/null || echo "the headers of $lua"
        command -v "$lua" >/dev/null || continue
        for name in ${modules[@]+"${modules[@]}"}; do
            "$lua" -e "require '$name'" 2>/dev/null ||
                echo "the module $name for $lua"
        done
    done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    missing=$(missing_tools)
    [[ -n $missing ]] || exit 0
    echo "$0: not a Debian system; please install what is missing:"
    sed 's/^/    /' <<<"$missing"
    echo "On Debian these packages bring it: ${packages[*]}"
    exit 1
fi >&2

mapfile -t missing < <(missing_packages "${packages[@]}")
[[ ${#missing[@]} -gt 0 ]] || exit 0

# Root installs directly; other users through sudo, which may ask for a password
# only on a terminal.
if [[ $job = build ]]; then
    echo "please have what is missing installed:" >&2
    echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
elif [[ $(id -u) = 0 ]]; then
    root=(env)
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }
then
    root=(sudo env)
else
    echo "$0: not root and no sudo; please have these installed:" >&2
    echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

# These packages are needed for their programs, not as services: they must
# neither be started now nor at boot. An administrator's policy is kept.
services=()
for package in nginx-light redis-server postgresql vsftpd; do
    [[ " ${missing[*]} " != *" $package "* ]] || services+=("${package%-light}")
done
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
cleanup() {
    rm -f "$log"
    [[ -z ${policy_made:-} ]] || "${root[@]}" rm -f "$policy"
}
trap cleanup EXIT
if [[ ${#services[@]} -gt 0 && ! -e $policy ]]; then
    policy_made=yes
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod 755 "$policy"
fi

install_missing() {
    "${root[@]}" DEBIAN_FRONTEND=noninteractive apt-get \
        -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
        "${missing[@]}" </dev/null >"$log" 2>&1
}

echo "installing: ${missing[*]}"
if ! install_missing; then      # the package lists may be missing or old
    "${root[@]}" apt-get update </dev/null >"$log" 2>&1 || true
    if ! install_missing; then
        cat "$log" >&2
        echo "$0: could not install ${missing[*]}" >&2
        exit 1
    fi
fi
if [[ -n ${policy_made:-} ]]; then
    for service in "${services[@]}"; do
        "${root[@]}" update-rc.d "$service" disable >/dev/null 2>&1 || true
    done
fi
