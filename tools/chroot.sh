#!/bin/bash
# Proves README on a fresh Debian: debootstrap makes one with git and make only,
# in a temporary folder; the commit that is checked out here is cloned into it.
# There `make` has to say what it lacks, and `make demo` and `make test` run as
# README has them.
#
#     tools/chroot.sh [RUN...]        RUN as in tools/test.sh: only these
#
# The environment may give
#
#     SPECS     as in tools/test.sh
#     SUITE     the release, default this system's
#     BUSY      how many busy loops run beside it, default none
#     LIMIT     seconds until all of it is ended, default 7200
#
# Has to be root. Packages come from where this system's apt takes its own.
# Everything is started and mounted in namespaces of its own, which end with
# this program; the folder, 2 GB, is removed.

set -euo pipefail
cd "$(dirname "$0")/.."

in_chroot() {
    echo "--- $1"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
        SPECS="${SPECS:-}" chroot "$root" sh -c "cd /socketloop && $1"
}

# The part in the namespaces; its first argument is the folder.
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

# Where Debian's packages come from, as apt knows after `apt-get update`.
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
    sleep 1     # who has just been killed may have written meanwhile
    rm -rf --one-file-system "$folder"
}
trap remove_folder EXIT
awk -v suite="$SUITE" 'index($3, suite) == 1' <<<"$sources" \
    >"$folder/root.list"

# timeout leads a process group; when unshare is killed so is all it started.
timeout -s KILL "${LIMIT:-7200}" \
    unshare --mount --pid --fork --kill-child --mount-proc \
    tools/chroot.sh --prove "$folder" "$@" </dev/null &
trap 'kill -s KILL -- -$!; exit 1' INT TERM HUP
wait $!
