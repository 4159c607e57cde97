# shellcheck shell=sh
# root=netboot on the kernel line: the root is ours to find.

# shellcheck disable=SC2034,SC2154 # dracut sets the one and reads the other
[ "$root" != netboot ] || rootok=1
