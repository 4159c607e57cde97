# shellcheck shell=sh
# What a client does between its kernel and its system, for every kind of initramfs.  This file has what all others
# need: the kernel line, the network card, reports.  Beside it: tries.sh, root.sh and what it builds on (iscsi.sh,
# verity.sh, upper.sh), and what makes a client itself (client.sh, data.sh).
#
# POSIX shell only: it runs under dash, busybox ash and (in a dracut initramfs) bash.  Every function starts
# with nb_.  The frame around it (initramfs-tools/scripts/netboot, dracut's module) brings up the network and
# calls nb_attach_root; the system's own unit uses nb_report.
#
# The rule it keeps: the boot never waits for the report server, and a failure is told, retried and told again;
# nobody gets a shell unless the kernel line says netboot.shell=1.

NB_CMDLINE=${NB_CMDLINE:-/proc/cmdline}
NB_RUN=${NB_RUN:-/run/netboot}
NB_SYS=${NB_SYS:-/sys}
# Where the files of this core lie.
NB_LIB=${NB_LIB:-/netboot}

# A report waits this long for the server, in seconds: a local network answers in milliseconds.
NB_REPORT_TIMEOUT=${NB_REPORT_TIMEOUT:-3}
# The server takes at most 8 KiB of log; URL encoding adds to it.
NB_LOG_BYTES=6000

nb_say() {
	echo "netboot: $*"
}

# nb_argument KEY: print the value of KEY= on the kernel line; the last one wins; fail when there is none.
nb_argument() {
	nb_found=1
	nb_value=
	read -r nb_line <"$NB_CMDLINE" || [ -n "$nb_line" ] || return 1
	while [ -n "$nb_line" ]; do
		nb_word=${nb_line%%[ 	]*}
		case $nb_word in
		"$1="*)
			nb_value=${nb_word#*=}
			nb_found=0
			;;
		esac
		case $nb_line in
		*[\ \	]*) nb_line=${nb_line#*[ 	]} ;;
		*) nb_line= ;;
		esac
	done
	[ "$nb_found" -eq 0 ] && printf '%s\n' "$nb_value"
	return "$nb_found"
}

# nb_boot_mac: the address of the NIC that the firmware booted from, as the kernel writes it (aa:bb:...).
nb_boot_mac() {
	nb_bootif=$(nb_argument BOOTIF) || return 1
	# BOOTIF=01-aa-bb-cc-dd-ee-ff: hardware type 1 (Ethernet), then the address.
	printf '%s\n' "${nb_bootif#*-}" | tr 'A-F-' 'a-f:'
}

# nb_boot_nic: print the name of the interface that has this address, or fail while there is none.
nb_boot_nic() {
	nb_mac=$(nb_boot_mac) || return 1
	for nb_nic in "$NB_SYS"/class/net/*; do
		# A VLAN or bond on top shares the address; only the card itself has a device.
		[ -e "$nb_nic/device" ] || continue
		[ "$(cat "$nb_nic/address")" = "$nb_mac" ] || continue
		printf '%s\n' "${nb_nic##*/}"
		return 0
	done
	return 1
}

# nb_raise_nic NIC: switch the card on and wait for its link, ten seconds at most; it may be another one's cable.
#
# What is sent while a link is negotiated is lost, and who asks for an address without an answer asks again in seconds:
# an emulated card takes milliseconds for it, one of metal up to three seconds.
nb_raise_nic() {
	busybox ip link set dev "$1" up
	nb_looks=0
	until grep -qx -e up -e unknown "$NB_SYS/class/net/$1/operstate"; do
		[ "$nb_looks" -lt 100 ] || return 0
		nb_looks=$((nb_looks + 1))
		busybox sleep 0.1
	done
}

# nb_urlencode: standard input as the value of a form field.
nb_urlencode() {
	od -An -v -tu1 | LC_ALL=C awk '
		BEGIN { for (i = 33; i < 127; i++) if (sprintf("%c", i) ~ /[A-Za-z0-9._~-]/) plain[i] = sprintf("%c", i) }
		{ for (i = 1; i <= NF; i++)
			if ($i + 0 in plain) printf "%s", plain[$i + 0]
			else printf "%%%02X", $i }'
}

# nb_form NAME VALUE ...: pairs as application/x-www-form-urlencoded; pairs without value are left out.
nb_form() {
	nb_glue=
	while [ $# -ge 2 ]; do
		case $2 in
		'') ;;
		*[!A-Za-z0-9._~-]*)
			printf '%s%s=%s' "$nb_glue" "$1" "$(printf '%s' "$2" | nb_urlencode)"
			nb_glue='&'
			;;
		*)
			# Most values need no encoding, and a small machine feels each process of the pipe.
			printf '%s%s=%s' "$nb_glue" "$1" "$2"
			nb_glue='&'
			;;
		esac
		shift 2
	done
}

# nb_report KIND [NAME VALUE ...]: tell the server; fails, soon, when it does not listen.
#
# The time limit is timeout's: Debian builds busybox wget without one, and its -T then crashes (1.35).
nb_report() {
	nb_url=$(nb_argument netboot.report) || return 0
	nb_kind=$1
	shift
	nb_body=$(nb_form kind "$nb_kind" "$@")
	busybox timeout "$NB_REPORT_TIMEOUT" \
		busybox wget -q -O /dev/null --post-data "$nb_body" "$nb_url" 2>/dev/null
}

# nb_log_tail: the end of the kernel's log and the mount program's last words.
nb_log_tail() {
	{
		dmesg
		cat "$NB_RUN/mount.log" 2>/dev/null
	} | tail -c "$NB_LOG_BYTES"
}
