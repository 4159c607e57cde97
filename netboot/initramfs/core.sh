# shellcheck shell=sh
# What a client does between its kernel and its system: the core, for every kind of initramfs.
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

# A report waits this long for the server, in seconds: a local network answers in milliseconds.
NB_REPORT_TIMEOUT=${NB_REPORT_TIMEOUT:-3}
# The server takes at most 8 KiB of log; URL encoding adds to it.
NB_LOG_BYTES=6000
# One mount try may take this long: mount(2) of a hard NFS mount would otherwise hang for minutes.
NB_MOUNT_TIMEOUT=${NB_MOUNT_TIMEOUT:-25}
# Waits between the tries of one round, in seconds; one try more than there are waits.
NB_WAITS=${NB_WAITS:-1 2 4 8}
# Wait between rounds, and the rounds after which a client whose server answers starts afresh: its kernel
# line may name an export that is gone, and the server would now give it another.
NB_ROUND_WAIT=${NB_ROUND_WAIT:-30}
NB_ROUNDS=${NB_ROUNDS:-3}

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

# nb_set_identity: the client's name, before anything speaks NFS.
#
# An NFSv4.1 client is known to its server by "Linux NFSv4.x <unique id>/<node name>".  In an initramfs all clients
# are called (none): the server would take the second client for the first one restarted, and drop the first's state.
nb_set_identity() {
	if nb_name=$(nb_argument systemd.hostname); then
		hostname "$nb_name"
	fi
	modprobe nfs
	if nb_machine=$(nb_argument systemd.machine_id) || nb_machine=$(nb_boot_mac); then
		printf '%s' "$nb_machine" >"$NB_SYS/module/nfs/parameters/nfs4_unique_id"
	fi
}

# nb_mount_nfs HOST:/PATH DIRECTORY: one bounded try; what mount.nfs says goes to mount.log.
#
# Without vers= mount.nfs asks for 4.2 and goes down to 3 as the server refuses; nolock matters to 3 only.
# nocto and actimeo are safe since a published version never changes, and save most GETATTR calls.
nb_mount_nfs() {
	busybox timeout -s KILL "$NB_MOUNT_TIMEOUT" \
		mount.nfs "$1" "$2" -n -o ro,hard,nolock,nocto,actimeo=3600,retry=0 >"$NB_RUN/mount.log" 2>&1
	nb_status=$?
	[ "$nb_status" -ne 137 ] || echo "no answer from ${1%%:*} within $NB_MOUNT_TIMEOUT s" >"$NB_RUN/mount.log"
	return "$nb_status"
}

# nb_mount_lower: one try to mount netboot.root= read-only at $NB_RUN/lower.
nb_mount_lower() {
	nb_root=$(nb_argument netboot.root) || nb_root=
	case $nb_root in
	nfs:*:/*)
		nb_mount_nfs "${nb_root#nfs:}" "$NB_RUN/lower"
		;;
	*)
		echo "netboot.root='$nb_root' on the kernel line is not nfs:SERVER:/PATH" >"$NB_RUN/mount.log"
		return 1
		;;
	esac
}

# nb_round: tries with growing waits until the lower layer is there; each failure is reported.
nb_round() {
	nb_attempt=0
	for nb_wait in $NB_WAITS 0; do
		nb_attempt=$((nb_attempt + 1))
		nb_mount_lower && return 0
		nb_error=$(tail -n 1 "$NB_RUN/mount.log")
		nb_say "try $nb_attempt to mount the root failed: $nb_error"
		[ "$nb_wait" -gt 0 ] || return 1
		nb_report root-retried attempt "$nb_attempt" message "$nb_error" || nb_say "the boot server does not answer"
		sleep "$nb_wait"
	done
}

# nb_give_up ROUND: report that the root cannot be had; then a shell, another round, or a fresh start.
nb_give_up() {
	nb_heard=yes
	nb_report root-failed attempt "$nb_attempt" message "$nb_error" log "$(nb_log_tail)" || nb_heard=no
	nb_say "the root could not be mounted: $nb_error"
	if [ "$(nb_argument netboot.shell)" = 1 ]; then
		nb_say "netboot.shell=1: here is a shell; leave it to try again"
		nb_shell
	elif [ "$nb_heard" = yes ] && [ "$1" -ge "$NB_ROUNDS" ]; then
		nb_say "starting afresh: the boot server is there and may have another kernel line for this client"
		reboot -f
	else
		nb_say "trying again in $NB_ROUND_WAIT s"
		sleep "$NB_ROUND_WAIT"
	fi
}

# nb_overlay DIRECTORY: put the temporary layer over the lower one and mount both at DIRECTORY.
#
# The size is a bound: a full layer answers ENOSPC, an unbounded one takes the machine down.
nb_overlay() {
	nb_upper=$(nb_argument netboot.upper) || nb_upper=50%
	mkdir -p "$NB_RUN/rw" &&
		mount -t tmpfs -o "size=$nb_upper,mode=0755" netboot-upper "$NB_RUN/rw" &&
		mkdir "$NB_RUN/rw/upper" "$NB_RUN/rw/work" &&
		mount -t overlay \
			-o "lowerdir=$NB_RUN/lower,upperdir=$NB_RUN/rw/upper,workdir=$NB_RUN/rw/work" \
			overlay "$1"
}

# nb_lease_value KEY FILE: one value of the file that ipconfig leaves.
#
# Its values come from the network, so the file is read, never sourced; a value with odd characters is dropped.
nb_lease_value() {
	sed -n "s/^$1=['\"]\\{0,1\\}\\([A-Za-z0-9.:_-]*\\)['\"]\\{0,1\\}\$/\\1/p" "$2" | tail -n 1
}

# nb_resolv_conf FILE: the lease's name servers as a resolv.conf, on standard output.
nb_resolv_conf() {
	nb_domain=$(nb_lease_value DNSDOMAIN "$1")
	[ -z "$nb_domain" ] || echo "search $nb_domain"
	for nb_key in IPV4DNS0 IPV4DNS1; do
		nb_server=$(nb_lease_value "$nb_key" "$1")
		case $nb_server in
		'' | 0.0.0.0) ;;
		*) echo "nameserver $nb_server" ;;
		esac
	done
}

# nb_personalise ROOT LEASE_FILE TEMPLATE NETWORKS: what makes this client differ from all others of its version.
#
# The name and name servers go to the temporary layer; the card's file for systemd-networkd, filled in from TEMPLATE,
# goes to the folder NETWORKS below /run, where it is found whatever the image has in /etc.
nb_personalise() {
	if nb_name=$(nb_argument systemd.hostname); then
		echo "$nb_name" >"$1/etc/hostname"
		printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$nb_name" >"$1/etc/hosts"
	fi
	# An image may have a link to systemd-resolved's file here, which does not exist yet.
	rm -f "$1/etc/resolv.conf"
	nb_resolv_conf "$2" >"$1/etc/resolv.conf"
	mkdir -p "$4"
	sed "s/@MAC@/$(nb_boot_mac)/" "$3" >"$4/00-netboot.network"
}

# nb_attach_root DIRECTORY: the whole way; returns when the client's root stands at DIRECTORY.
nb_attach_root() {
	mkdir -p "$NB_RUN/lower"
	nb_rounds=1
	until nb_round; do
		nb_give_up "$nb_rounds"
		nb_rounds=$((nb_rounds + 1))
	done
	until nb_overlay "$1" 2>"$NB_RUN/mount.log"; do
		nb_attempt=1
		nb_error="the temporary layer: $(tail -n 1 "$NB_RUN/mount.log")"
		umount "$NB_RUN/rw" 2>/dev/null
		nb_give_up "$nb_rounds"
		nb_rounds=$((nb_rounds + 1))
	done
	nb_report root-mounted message "$(nb_argument netboot.root)" upper "$nb_upper" || true
}
