# shellcheck shell=sh
# boot=netboot on the kernel line: the root is ours to find, and dracut need not know where it is.

# shellcheck disable=SC2034 # dracut reads both
[ "$(getarg boot=)" != netboot ] || root=netboot rootok=1
