# shellcheck shell=sh
# dm-verity: every block that is read is checked against the root hash on the kernel line.
#
# A block that does not fit is an I/O error, never wrong data.  No restart on corruption: whoever boots from the network
# would do so for ever.

# The device that is checked, and its name for dmsetup; empty while there is none.
nb_verified=
NB_VERITY_NAME=netboot-root

# nb_verity_superblock TREE: what the hash tree says of itself, as "BLOCKS SALT"; fails when it is none that we can use.
#
# Format 1, SHA-256, blocks of 4096 bytes, as `veritysetup format` writes by default.  Source: cryptsetup's
# docs/on-disk-format of verity: signature at 0, version 8, hash type 12, algorithm 32, block sizes 64 and 68, number of
# data blocks 72, size of the salt 80, salt 88.
nb_verity_superblock() {
	od -An -v -tu1 -N 344 "$1" | LC_ALL=C awk '
		{ for (i = 1; i <= NF; i++) byte[n++] = $i }
		function number(at, size,  value) { while (size--) value = value * 256 + byte[at + size]; return value }
		function text(at,  value) { while (byte[at]) value = value sprintf("%c", byte[at++]); return value }
		END {
			if (n != 344 || text(0) != "verity" || number(8, 4) != 1 || number(12, 4) != 1) exit 1
			if (text(32) != "sha256" || number(64, 4) != 4096 || number(68, 4) != 4096) exit 1
			if (number(80, 2) > 256) exit 1
			for (i = 0; i < number(80, 2); i++) salt = salt sprintf("%02x", byte[88 + i])
			printf "%.0f %s\n", number(72, 8), salt == "" ? "-" : salt
		}'
}

# nb_verity_open DATA TREE ROOT_HASH: set nb_verified to a device with DATA's content, checked.
nb_verity_open() {
	nb_super=$(nb_verity_superblock "$2" 2>/dev/null) ||
		nb_fail "verity: $nb_root has a hash tree that cannot be read" || return
	nb_blocks=${nb_super% *} nb_salt=${nb_super#* }
	modprobe dm_verity
	echo "0 $((nb_blocks * 8)) verity 1 $1 $2 4096 4096 $nb_blocks 1 sha256 $3 $nb_salt" |
		dmsetup create "$NB_VERITY_NAME" --readonly --noudevsync >/dev/null 2>"$NB_RUN/mount.log" ||
		nb_fail "verity: $(tail -n 1 "$NB_RUN/mount.log")" || return
	# The node that the kernel makes; the name below /dev/mapper is udev's, in its own time.
	nb_verified=/dev/dm-$(dmsetup info -c --noheadings -o minor "$NB_VERITY_NAME")
}

nb_verity_close() {
	[ -n "$nb_verified" ] || return 0
	dmsetup remove --noudevsync "$NB_VERITY_NAME"
	nb_verified=
}

# nb_verity_damaged: whether a block was found that does not fit.
nb_verity_damaged() {
	case $(dmsetup status "$NB_VERITY_NAME" 2>/dev/null) in
	*verity\ C*) return 0 ;;
	esac
	return 1
}

# nb_verity_try ROOT: read what every boot needs first; without it the kernel could only panic, and nobody would hear why.
nb_verity_try() {
	[ -n "$nb_verified" ] || return 0
	[ -x "$1/lib/systemd/systemd" ] || return 0
	chroot "$1" /lib/systemd/systemd --version >/dev/null 2>"$NB_RUN/mount.log" && return 0
	nb_verity_damaged && nb_fail "verity: $nb_root is not what its root hash says"
	return 1
}
