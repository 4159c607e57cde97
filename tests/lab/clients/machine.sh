#!/bin/sh
# A guest becomes a machine of its own and then COMMAND: its /run, /sys and host name are not those of the build machine.
# usage: unshare --mount --uts sh machine.sh FOLDER COMMAND...     FOLDER/run becomes /run, and can be read from outside
set -eu
folder=$1
shift
mount --make-rprivate /
# With /sys read-only networkd and NetworkManager do not wait for udev to present the card.
mount -t sysfs -o ro sysfs /sys
mkdir -p "$folder/run"
mount --bind "$folder/run" /run
# Client identifiers are made from it.
echo 6e657462000000000000000000000001 >/run/machine-id
mount --bind /run/machine-id /etc/machine-id
exec "$@"
