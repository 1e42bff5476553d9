#!/bin/bash
# Runs the specs of threads and the loop on another architecture of Debian's:
#
#     tools/foreign.sh arm64|i386|s390x [LUA...]
#
# The module is cross-compiled, with Debian's packages unpacked into
# build/ARCHITECTURE, and run under QEMU's user emulation (i386 without it if
# the kernel runs its programs). This system's own packages and apt
# configuration are not changed. SPECS is as for tools/test.sh.

set -euo pipefail
cd "$(dirname "$0")/.."
architecture=${1:?arm64, i386 or s390x}
shift
luas=("$@")
[[ $# -gt 0 ]] || luas=(lua5.4 luajit)
[[ $# -gt 0 || $architecture != s390x ]] || luas=(lua5.4)
root=$PWD/build/$architecture

packages=(libc6 libgcc-s1 libreadline8 libtinfo6 lua-socket lua-filesystem
    lua-system lua-term)
for lua in "${luas[@]}"; do
    case $lua in
    luajit)
        packages+=(luajit libluajit-5.1-2 libluajit-5.1-common
            libluajit-5.1-dev)
        ;;
    lua5.1) packages+=(lua5.1 liblua5.1-0 liblua5.1-0-dev) ;;
    *) packages+=("$lua" "lib$lua-0" "lib$lua-dev") ;;
    esac
done

# An apt with its own state, in build/ARCHITECTURE/apt, and the package sources
# of this system.
foreign_apt() {
    apt-get -qq -c "$root/apt/apt.conf" "$@"
}

make_apt() {
    mkdir -p "$root"/apt/{lists,cache/archives}/partial
    : >"$root/apt/status"
    cat >"$root/apt/apt.conf" <<EOF
APT::Architecture "$architecture";
#clear APT::Architectures;
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "$root/apt";
Dir::State::status "$root/apt/status";
Dir::Cache "$root/apt/cache";
Dir::Etc::sourcelist "$root/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
EOF
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | sort -u |
        sed 's/^/deb /' >"$root/apt/sources.list"
    if [[ ! -s $root/apt/sources.list ]]; then
        echo "$0: apt-get update has to be run first" >&2
        exit 1
    fi
}

# The packages of the list that are not unpacked yet.
missing=()
for package in "${packages[@]}"; do
    [[ -e $root/unpacked/$package ]] || missing+=("$package")
done
if [[ ${#missing[@]} -gt 0 ]]; then
    rm -rf "$root/apt"
    make_apt
    echo "fetching ${#missing[@]} packages into build/$architecture"
    foreign_apt update || true      # a part of the lists may be enough
    if ! (cd "$root/apt/cache" && foreign_apt download "${missing[@]}"); then
        echo "$0: the packages of $architecture cannot be had now" >&2
        exit 75     # EX_TEMPFAIL
    fi
    for package in "$root"/apt/cache/*.deb; do
        dpkg -x "$package" "$root"
    done
    rm -rf "$root/apt"
    mkdir -p "$root/unpacked"
    touch "${missing[@]/#/$root/unpacked/}"
fi

export SPECS=${SPECS:-fiber* recursion thread* suspend program_end loop sleep \
    coro* bothloops*}
runs=()
for lua in "${luas[@]}"; do
    runs+=("$architecture-$lua:epoll")
done
exec tools/test.sh "${runs[@]}"
