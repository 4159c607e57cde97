# shellcheck shell=sh
# The root: netboot.root= on the kernel line as the lower layer at $NB_RUN/lower, and a temporary layer over it.
#
#     nfs:SERVER:/PATH                a folder
#     nfs-file:SERVER:/PATH/FILE      a file system in a file; its hash tree is netboot.tree= beside it, or FILE.verity
#     iscsi:SERVER::PORT:LUN:IQN      a file system on a disk; its hash tree is on the next LUN

NB_MOUNTINFO=${NB_MOUNTINFO:-/proc/self/mountinfo}
# KiB read ahead of what is asked for.  A system's reads are small and scattered: more is fetched for nothing.
NB_READ_AHEAD=128

# What nb_release takes apart: loop devices and, in verity.sh, the device over them.
nb_loops=

# nb_mount_nfs HOST:/PATH DIRECTORY OPTIONS: one bounded try; what mount.nfs says goes to mount.log.
#
# Without vers= mount.nfs asks for 4.2 and goes down to 3 as the server refuses; nolock matters to 3 only.
nb_mount_nfs() {
	nb_ask "${1%%:*}" mount.nfs "$1" "$2" -n -o "hard,nolock,retry=0,$3"
}

# nb_mount_version HOST:/PATH DIRECTORY: a folder of a published version, which never changes.
#
# So nocto and actimeo are safe, and save most GETATTR calls.
nb_mount_version() {
	nb_mount_nfs "$1" "$2" ro,nocto,actimeo=3600 && nb_read_ahead "$2"
}

# nb_is_mounted DIRECTORY: whether something is.
nb_is_mounted() {
	awk -v place="$1" '$5 == place { found = 1 } END { exit !found }' "$NB_MOUNTINFO"
}

# nb_read_ahead DIRECTORY: bound the read-ahead of what is mounted there.
nb_read_ahead() {
	nb_number=$(awk -v place="$1" '$5 == place { number = $3 } END { print number }' "$NB_MOUNTINFO")
	echo "$NB_READ_AHEAD" 2>/dev/null >"$NB_SYS/class/bdi/$nb_number/read_ahead_kb" || true
}

# nb_loop FILE: a read-only loop device over the file, added to nb_loops; sets nb_device to it.
nb_loop() {
	nb_device=$(busybox losetup -f 2>"$NB_RUN/mount.log") &&
		busybox losetup -r "$nb_device" "$1" 2>"$NB_RUN/mount.log" || return 1
	nb_loops="$nb_device $nb_loops"
	echo "$NB_READ_AHEAD" 2>/dev/null >"$NB_SYS/block/${nb_device##*/}/queue/read_ahead_kb" || true
}

# nb_attach_file HOST:/PATH/FILE: set nb_data to a device with the file's content, nb_tree to one with its hash tree.
nb_attach_file() {
	nb_folder=${1%/*} nb_file=$NB_RUN/export/${1##*/} nb_tree=
	case $nb_folder in *:) nb_folder=$nb_folder/ ;; esac
	mkdir -p "$NB_RUN/export"
	modprobe loop
	nb_mount_version "$nb_folder" "$NB_RUN/export" || return
	[ -f "$nb_file" ] || nb_fail "no such file: $nb_folder/${1##*/}" || return
	nb_loop "$nb_file" || return
	nb_data=$nb_device
	nb_argument netboot.verity >/dev/null || return 0
	nb_beside=$(nb_argument netboot.tree) || nb_beside=${1##*/}.verity
	nb_file=$NB_RUN/export/$nb_beside
	[ -f "$nb_file" ] || nb_fail "verity: no such file: $nb_folder/$nb_beside" || return
	nb_loop "$nb_file" || return
	nb_tree=$nb_device
}

# nb_mount_blocks DIRECTORY OPTIONS: mount the file system on nb_data, checked block by block if the line says so.
nb_mount_blocks() {
	nb_fs=$(nb_argument netboot.fs) || nb_fs=
	case $nb_fs in
	ext4 | erofs | squashfs) modprobe "$nb_fs" ;;
	*) nb_fail "netboot.fs='$nb_fs' on the kernel line is not ext4, erofs or squashfs" || return ;;
	esac
	if nb_hash=$(nb_argument netboot.verity); then
		nb_verity_open "$nb_data" "$nb_tree" "$nb_hash" || return
		nb_data=$nb_verified
	fi
	mount -t "$nb_fs" -o "$2" "$nb_data" "$1" 2>"$NB_RUN/mount.log" && return 0
	nb_verity_damaged && nb_fail "verity: $nb_root is not what its root hash says"
	return 1
}

# nb_mount_lower: one try to mount netboot.root= read-only at $NB_RUN/lower; nothing is left of a try that failed.
nb_mount_lower() {
	nb_root=$(nb_argument netboot.root) || nb_root=
	case $nb_root in
	nfs:*:/*) nb_mount_version "${nb_root#nfs:}" "$NB_RUN/lower" ;;
	nfs-file:*:/*[!/]) nb_attach_file "${nb_root#nfs-file:}" && nb_mount_blocks "$NB_RUN/lower" ro ;;
	iscsi:*:*:*:*:?*) nb_attach_lun "${nb_root#iscsi:}" && nb_mount_blocks "$NB_RUN/lower" ro ;;
	*)
		nb_fail "netboot.root='$nb_root' on the kernel line is neither nfs:SERVER:/PATH nor" \
			"nfs-file:SERVER:/PATH/FILE nor iscsi:SERVER::PORT:LUN:IQN"
		;;
	esac && return 0
	nb_release
	return 1
}

# nb_release: take apart what a try to mount the root has put up.  An iSCSI session stays, for the next try.
nb_release() {
	nb_verity_close
	for nb_device in $nb_loops; do
		busybox losetup -d "$nb_device"
	done
	nb_loops=
	umount "$NB_RUN/export" 2>/dev/null
}

# nb_mount_own DIRECTORY: the client's own disk, writable, as its root; without any layer over it.
nb_mount_own() {
	nb_root=$(nb_argument netboot.root) || nb_root=
	case $nb_root in
	iscsi:*:*:*:*:?*) ;;
	*) nb_fail "netboot.writable=1 on the kernel line, but netboot.root='$nb_root' is no disk" || return ;;
	esac
	if nb_argument netboot.verity >/dev/null; then
		nb_fail "verity: netboot.writable=1 on the kernel line, and what is written has no root hash"
		return 1
	fi
	nb_attach_lun "${nb_root#iscsi:}" && nb_mount_blocks "$1" rw
}

# nb_attach_root DIRECTORY LEASE: the whole way; returns when the client's root stands at DIRECTORY, with all that is its
# own.  LEASE is what nb_resolv_conf reads.
nb_attach_root() {
	mkdir -p "$NB_RUN/lower"
	nb_insist "fetch the client's own files" nb_fetch_data
	if [ "$(nb_argument netboot.writable)" = 1 ]; then
		nb_insist "mount the root" nb_mount_own "$1"
		nb_upper=none
	else
		nb_insist "mount the root" nb_mount_lower
		nb_insist "make the temporary layer" nb_overlay "$1"
	fi
	nb_insist "read the system's first programs" nb_verity_try "$1"
	nb_personalise "$1" "$2" "$NB_LIB/boot.network" /run/systemd/network
	nb_personalise_iscsi "$1" /run/systemd/system
	nb_insist "put the client's own files in place" nb_place_data "$1"
	nb_report root-mounted message "$nb_root" upper "$nb_upper" || true
}
