#!/bin/bash
# Runs the specs of threads and the loop on aarch64: cross-compiled, with
# Debian's arm64 packages unpacked into build/arm64, under QEMU's user
# emulation. This system's own packages and apt configuration stay as they are.

set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/build/arm64

packages=(libc6 libgcc-s1 libreadline8 libtinfo6 lua5.4 liblua5.4-0
    liblua5.4-dev luajit libluajit-5.1-2 libluajit-5.1-common
    libluajit-5.1-dev lua-socket lua-filesystem lua-system lua-term)

# An apt of its own, in build/arm64/apt, which takes from where this system's
# Debian comes from.
apt_arm64() {
    apt-get -qq -c "$root/apt/apt.conf" "$@"
}

make_apt() {
    mkdir -p "$root"/apt/{lists,cache/archives}/partial
    : >"$root/apt/status"
    cat >"$root/apt/apt.conf" <<EOF
APT::Architecture "arm64";
#clear APT::Architectures;
APT::Architectures { "arm64"; };
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

if [[ ! -e $root/complete ]]; then
    rm -rf "$root"
    make_apt
    echo "fetching arm64 packages into build/arm64"
    apt_arm64 update
    (cd "$root/apt/cache" && apt_arm64 download "${packages[@]}")
    for package in "$root"/apt/cache/*.deb; do
        dpkg -x "$package" "$root"
    done
    rm -rf "$root/apt"
    touch "$root/complete"
fi

export SPECS=${SPECS:-$(ls test/{fiber,recursion,thread,loop}*_spec.lua \
    test/{coro,bothloops}*_spec.lua)}
exec tools/test.sh arm64-lua5.4:epoll arm64-luajit:epoll
