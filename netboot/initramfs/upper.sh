# shellcheck shell=sh
# The temporary layer: where a client's changes go until it is switched off.  netboot.upper= on the kernel line:
#
#     SIZE          a tmpfs of that size (50%, 2g)
#     zram:SIZE     compressed memory that holds that much
#     disk:LABEL    a local partition with that file-system label; what is on it is wiped at each boot
#     crypt:LABEL   the same, encrypted with a key that nobody ever has
#
# All of them are bounded: a full layer answers ENOSPC, an unbounded one takes the machine down.

NB_MEMINFO=${NB_MEMINFO:-/proc/meminfo}
# Seconds that a local disk may take to appear.
NB_DISK_WAIT=${NB_DISK_WAIT:-3}
# Sectors of 512 bytes at the start of an encrypted partition that keep its label, so that the next boot finds it.
NB_CRYPT_HEAD=4096

# What nb_upper_close takes apart.
nb_crypted='' nb_zram=''

# nb_overlay DIRECTORY: put the temporary layer over the lower one and mount both at DIRECTORY.
nb_overlay() {
	nb_upper=$(nb_argument netboot.upper) || nb_upper=50%
	mkdir -p "$NB_RUN/rw"
	if nb_upper_mount "$nb_upper" 2>"$NB_RUN/mount.log" &&
		mkdir "$NB_RUN/rw/upper" "$NB_RUN/rw/work" 2>"$NB_RUN/mount.log" &&
		mount -t overlay \
			-o "lowerdir=$NB_RUN/lower,upperdir=$NB_RUN/rw/upper,workdir=$NB_RUN/rw/work" \
			overlay "$1" 2>"$NB_RUN/mount.log"; then
		return 0
	fi
	nb_fail "the temporary layer $nb_upper: $(tail -n 1 "$NB_RUN/mount.log")"
	nb_upper_close
	return 1
}

# nb_upper_close: take apart what a try has put up.
nb_upper_close() {
	umount "$NB_RUN/rw" 2>/dev/null
	[ -z "$nb_crypted" ] || dmsetup remove --noudevsync netboot-upper
	[ -z "$nb_zram" ] || echo "$nb_zram" >"$NB_SYS/class/zram-control/hot_remove"
	nb_crypted='' nb_zram=''
}

# nb_upper_mount KIND: the empty layer at $NB_RUN/rw; says on standard error why it cannot be.
nb_upper_mount() {
	case $1 in
	zram:?*) nb_upper_zram "${1#*:}" ;;
	disk:?*) nb_upper_disk "${1#*:}" && nb_upper_format "$nb_disk" "${1#*:}" ;;
	crypt:?*) nb_upper_disk "${1#*:}" && nb_upper_crypt "$nb_disk" "${1#*:}" ;;
	*:*) echo "it is neither a size nor zram:SIZE nor disk:LABEL nor crypt:LABEL" >&2 && return 1 ;;
	*) mount -t tmpfs -o "size=$1,mode=0755" netboot-upper "$NB_RUN/rw" ;;
	esac
}

# nb_upper_format DEVICE LABEL: an empty file system at $NB_RUN/rw.  No journal: there is nothing to come back to.
nb_upper_format() {
	modprobe ext4
	mke2fs -q -F -t ext4 -O ^has_journal -m 0 -E lazy_itable_init=1 -L "$2" "$1" >/dev/null &&
		mount -t ext4 -o noatime,discard "$1" "$NB_RUN/rw"
}

# nb_upper_zram SIZE: the first device is left to the system, whose swap may want it.
nb_upper_zram() {
	nb_bytes=$(nb_size_bytes "$1") || { echo "'$1' is no size" >&2 && return 1; }
	modprobe zram
	nb_zram=$(cat "$NB_SYS/class/zram-control/hot_add") || return
	echo "$nb_bytes" >"$NB_SYS/block/zram$nb_zram/disksize" || return
	nb_upper_format "/dev/zram$nb_zram" netboot-upper
}

# nb_size_bytes SIZE: bytes of 50%, 512m or 2g; a percentage is one of all memory.
nb_size_bytes() {
	nb_digits=${1%[%kKmMgG]}
	case $nb_digits in '' | *[!0-9]*) return 1 ;; esac
	case $1 in
	*%) awk -v part="$nb_digits" '/^MemTotal:/ { printf "%.0f\n", int($2 * part / 100) * 1024 }' "$NB_MEMINFO" ;;
	*[kK]) echo $((nb_digits * 1024)) ;;
	*[mM]) echo $((nb_digits * 1048576)) ;;
	*[gG]) echo $((nb_digits * 1073741824)) ;;
	*) echo "$nb_digits" ;;
	esac
}

# nb_upper_disk LABEL: set nb_disk to the one local, writable block device with that label, which may still come.
nb_upper_disk() {
	nb_waited=0
	while :; do
		nb_disks=$(busybox blkid | nb_labelled "$1" | nb_local)
		case $nb_disks in
		'') ;;
		*[!A-Za-z0-9/_-]*)
			echo "several disks have the label $1: $(echo "$nb_disks" | tr '\n' ' ')" >&2
			return 1
			;;
		*) nb_disk=$nb_disks && return 0 ;;
		esac
		[ "$nb_waited" -lt "$NB_DISK_WAIT" ] || break
		nb_waited=$((nb_waited + 1))
		sleep 1
	done
	echo "no local disk has the label $1" >&2
	return 1
}

# nb_labelled LABEL: of what blkid says on standard input, the devices with that label.
nb_labelled() {
	awk -v wanted="LABEL=\"$1\"" '{ for (i = 2; i <= NF; i++) if ($i == wanted) print substr($1, 1, length($1) - 1) }'
}

# nb_local: of the devices on standard input, those that are writable and neither made of others nor on the network.
nb_local() {
	while read -r nb_device; do
		nb_place=$NB_SYS/class/block/${nb_device##*/}
		[ "$(cat "$nb_place/ro")" = 0 ] || continue
		case $(readlink -f "$nb_place") in
		*/virtual/* | */session[0-9]*/*) ;;
		*) echo "$nb_device" ;;
		esac
	done
}

# nb_upper_crypt DEVICE LABEL: dm-crypt behind the head; the key comes from the kernel and stays there.
nb_upper_crypt() {
	nb_sectors=$(cat "$NB_SYS/class/block/${1##*/}/size") || return
	[ "$nb_sectors" -gt $((NB_CRYPT_HEAD * 2)) ] || { echo "$1 is too small" >&2 && return 1; }
	# A file system of its own keeps the label; in blocks of 1 KiB.
	mke2fs -q -F -t ext2 -L "$2" "$1" $((NB_CRYPT_HEAD / 2)) >/dev/null || return
	modprobe dm_crypt
	nb_key=$(od -An -v -tx1 -N 64 /dev/urandom | tr -d ' \n')
	# By a pipe: what is on a command line can be read by others.
	echo "0 $((nb_sectors - NB_CRYPT_HEAD)) crypt aes-xts-plain64 $nb_key 0 $1 $NB_CRYPT_HEAD" |
		dmsetup create netboot-upper --noudevsync >/dev/null || return
	nb_key=
	nb_crypted=/dev/dm-$(dmsetup info -c --noheadings -o minor netboot-upper)
	nb_upper_format "$nb_crypted" netboot-upper
}
