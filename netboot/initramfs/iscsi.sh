# shellcheck shell=sh
# A root on an iSCSI disk: iscsistart logs in, iscsid logs in again when the server was away.
#
# The kernel keeps a session but cannot renew it.  The daemon that can must not live on the disk that it renews, so it
# runs from memory, in a folder of its own, from before the root is mounted until the machine is off.

# Seconds that a disk may take to appear after the login.
NB_LUN_WAIT=${NB_LUN_WAIT:-10}

# nb_attach_lun SERVER:PROTOCOL:PORT:LUN:IQN (RFC 4173): set nb_data to the disk, nb_tree to the one of its hash tree.
nb_attach_lun() {
	nb_rest=$1
	nb_server=${nb_rest%%:*} nb_rest=${nb_rest#*:}
	nb_rest=${nb_rest#*:}
	nb_port=${nb_rest%%:*} nb_rest=${nb_rest#*:}
	nb_lun=${nb_rest%%:*} nb_target=${nb_rest#*:} nb_tree=
	: "${nb_port:=3260}" "${nb_lun:=0}"
	case $nb_lun in *[!0-9]*) nb_fail "LUN '$nb_lun' of netboot.root is no number" || return ;; esac
	nb_iscsi_session "$nb_target" >/dev/null || nb_iscsi_login || return
	nb_wait_for_lun "$nb_lun" || return
	nb_data=$nb_disk
	nb_argument netboot.verity >/dev/null || return 0
	nb_wait_for_lun $((nb_lun + 1)) || nb_fail "verity: $(cat "$NB_RUN/mount.log")" || return
	nb_tree=$nb_disk
}

# nb_iscsi_login: one bounded try to log in to nb_target; then start the daemon.
#
# The password stands on iscsistart's command line while it runs: before there is any user to read it.
nb_iscsi_login() {
	nb_initiator=$(nb_argument netboot.initiator) ||
		nb_fail "netboot.initiator= is missing on the kernel line: the server would not know whose session this is" ||
		return
	modprobe iscsi_tcp
	modprobe sd_mod
	set -- -i "$nb_initiator" -t "$nb_target" -g 1 -a "$nb_server" -p "$nb_port"
	if nb_chap; then
		set -- "$@" -u "$nb_user" -w "$nb_password"
	fi
	for nb_setting in $(nb_iscsi_settings); do
		set -- "$@" -P "$nb_setting"
	done
	nb_ask "$nb_server" iscsistart "$@" || nb_iscsi_refused || return
	nb_iscsi_daemon
}

# nb_iscsi_refused: fail by what iscsistart said went wrong, as the last line of mount.log.
#
# Its errors come at once, and behind them, when it ends, what it was about to do.
nb_iscsi_refused() {
	nb_fail "$(sed '/: Logging into /d' "$NB_RUN/mount.log")"
}

# nb_iscsi_settings: iscsi.conf as words, name=value.
nb_iscsi_settings() {
	sed -n 's/^\([a-z][^ ]*\) = \([^ ]*\)$/\1=\2/p' "$NB_LIB/iscsi.conf"
}

# nb_chap: set nb_user and nb_password, if the client has them.
nb_chap() {
	[ -s "$NB_RUN/data/secrets/chap" ] || return 1
	read -r nb_user nb_password <"$NB_RUN/data/secrets/chap" || [ -n "$nb_password" ]
}

# nb_iscsi_session TARGET: print the folder of the session with it; fail when there is none.
nb_iscsi_session() {
	for nb_session in "$NB_SYS"/class/iscsi_session/session*; do
		[ "$(cat "$nb_session/targetname" 2>/dev/null)" = "$1" ] || continue
		echo "$nb_session"
		return 0
	done
	return 1
}

# nb_wait_for_lun LUN: set nb_disk to the disk of the session with nb_target.
nb_wait_for_lun() {
	nb_waited=0
	until nb_session=$(nb_iscsi_session "$nb_target") && nb_disk=$(nb_lun_disk "$nb_session" "$1"); do
		[ "$nb_waited" -lt "$NB_LUN_WAIT" ] ||
			nb_fail "it does not exist, or not for this client: LUN $1 of $nb_target at $nb_server" || return
		nb_waited=$((nb_waited + 1))
		sleep 1
	done
}

# nb_lun_disk SESSION LUN: print the disk, as /dev/sda.
nb_lun_disk() {
	for nb_disk in "$1"/device/target*/*:"$2"/block/*; do
		[ -e "$nb_disk" ] || continue
		echo "/dev/${nb_disk##*/}"
		return 0
	done
	return 1
}

# nb_iscsi_daemon: iscsid in memory, whatever becomes of the initramfs and of the root.
#
# An @ before its name keeps systemd from killing it at shutdown; see "Storage Daemons for the Root File System" in
# systemd's documentation.
nb_iscsi_daemon() {
	nb_home=$NB_RUN/iscsi
	mkdir -p "$nb_home"
	# A file system of its own, since nothing on /run may be run.  It has the password in it.
	mount -t tmpfs -o size=32m,mode=0700 netboot-iscsi "$nb_home"
	mkdir -p "$nb_home/sbin" "$nb_home/etc/iscsi" "$nb_home/run/lock/iscsi" "$nb_home/proc" "$nb_home/sys" "$nb_home/dev"
	nb_program=$(command -v iscsid)
	cp -L "$nb_program" "$nb_home/sbin/@iscsid"
	# What the loader would load, which is what ldd prints.
	for nb_file in $(LD_TRACE_LOADED_OBJECTS=1 "$nb_program" | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }'); do
		mkdir -p "$nb_home${nb_file%/*}"
		cp -L "$nb_file" "$nb_home$nb_file"
	done
	for nb_place in proc sys dev; do
		mount -o bind "/$nb_place" "$nb_home/$nb_place"
	done
	# It takes orders, of which the first is its own to take over the session, from who is called root.
	echo root:x:0:0::/: >"$nb_home/etc/passwd"
	echo "InitiatorName=$nb_initiator" >"$nb_home/etc/iscsi/initiatorname.iscsi"
	{
		cat "$NB_LIB/iscsi.conf"
		if nb_chap; then
			printf 'node.session.auth.authmethod = CHAP\nnode.session.auth.username = %s\n' "$nb_user"
			printf 'node.session.auth.password = %s\n' "$nb_password"
		fi
	} >"$nb_home/etc/iscsi/iscsid.conf"
	busybox setsid busybox chroot "$nb_home" @iscsid -f </dev/null >"$NB_RUN/iscsid.log" 2>&1 &
}

# nb_personalise_iscsi ROOT UNITS: the system has the name that the disk knows this client by, and leaves the session
# and its daemon alone; UNITS is a folder of systemd below /run.
nb_personalise_iscsi() {
	nb_iscsi_session "${nb_target:-}" >/dev/null || return 0
	if [ -d "$1/etc/iscsi" ]; then
		echo "InitiatorName=$nb_initiator" >"$1/etc/iscsi/initiatorname.iscsi"
	fi
	mkdir -p "$2"
	for nb_unit in iscsid.service iscsid.socket open-iscsi.service iscsi.service; do
		ln -sf /dev/null "$2/$nb_unit"
	done
}
