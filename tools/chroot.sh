#!/bin/bash
# Tests README on a fresh Debian: debootstrap makes one with only git and make,
# in a temporary folder, into which the current commit is cloned. There `make`
# has to report the missing packages, and `make demo` and `make test` run as in
# README.
#
#     tools/chroot.sh [RUN...]        RUN as in tools/test.sh: only these
#
# The environment may contain
#
#     SPECS     as in tools/test.sh
#     SUITE     the release, default this system's
#     BUSY      number of busy loops that run beside it, default none
#     LIMIT     seconds until all of it is ended, default 7200
#
# Has to be run as root. Packages come from the sources of this system's apt.
# Processes and mounts are in namespaces of their own, which end with this
# program; the folder, 2 GB, is removed.

set -euo pipefail
cd "$(dirname "$0")/.."

in_chroot() {
    echo "--- $1"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
        SPECS="${SPECS:-}" chroot "$root" sh -c "cd /socketloop && $1"
}

# The part in the namespaces. Its argument is the folder.
prove() {
    local root=$1/root
    shift
    debootstrap --variant=minbase --include=git,make "$SUITE" "$root" \
        "$MIRROR" >"$root.log" 2>&1 || { cat "$root.log"; exit 1; }
    mv "$root.list" "$root/etc/apt/sources.list"
    mount -t proc proc "$root/proc"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mkdir "$root/dev/net"
    mknod "$root/dev/net/tun" c 10 200      # for lossy.c
    git clone -q --no-local . "$root/socketloop"
    echo "a fresh $SUITE after $SECONDS s: $(git log -1 --format='%h %s')"
    for ((i = 0; i < ${BUSY:-0}; i++)); do
        while :; do :; done &
    done
    in_chroot '! make 2>&1'
    in_chroot 'make demo'
    in_chroot "make test${*:+ TEST_RUNS='$*'}"
}

if [[ ${1:-} = --prove ]]; then
    shift
    prove "$@"
    exit
fi

if [[ $(id -u) != 0 ]]; then
    echo "$0: has to be run as root" >&2
    exit 1
fi

# The source of Debian's packages, as known to apt after `apt-get update`.
sources=$(apt-get indextargets --format \
    'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' \
    'Origin: Debian' | sort -u)
SUITE=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
MIRROR=$(awk -v suite="$SUITE" '$3 == suite { print $2; exit }' \
    <<<"$sources")
export SUITE MIRROR
if [[ -z $MIRROR ]]; then
    echo "$0: apt knows no source of $SUITE; is this Debian?" \
        'apt-get update has to be run first' >&2
    exit 1
fi

folder=$(mktemp -d)
remove_folder() {
    rm -rf --one-file-system "$folder" 2>/dev/null && return
    sleep 1     # killed processes may still be writing
    rm -rf --one-file-system "$folder"
}
trap remove_folder EXIT
awk -v suite="$SUITE" 'index($3, suite) == 1' <<<"$sources" \
    >"$folder/root.list"

# timeout leads a process group; if unshare is killed, all its processes are.
timeout -s KILL "${LIMIT:-7200}" \
    unshare --mount --pid --fork --kill-child --mount-proc \
    tools/chroot.sh --prove "$folder" "$@" </dev/null &
trap 'kill -s KILL -- -$!; exit 1' INT TERM HUP
wait $!
