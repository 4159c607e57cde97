# shellcheck shell=sh
# The client's own files: what the server sends to it alone (netboot.data= on the kernel line), and what it keeps there.
#
#     files/...           laid over the root, with owners and modes
#     credentials/NAME    for systemd's services (LoadCredential=NAME)
#     secrets/chap        user and password for the iSCSI server, on a line
#     persist             first line SERVER:/PATH, an NFS export for this client; then an absolute path a line

# Seconds that the server may take to send them.
NB_DATA_TIMEOUT=${NB_DATA_TIMEOUT:-25}

NB_CREDENTIALS=${NB_CREDENTIALS:-/run/credstore}

# nb_fetch_data: one try to have the client's own files in $NB_RUN/data.  No other user can look into that folder.
nb_fetch_data() {
	nb_url=$(nb_argument netboot.data) || return 0
	rm -rf "$NB_RUN/data"
	mkdir -m 0700 "$NB_RUN/data"
	busybox timeout "$NB_DATA_TIMEOUT" busybox wget -q -O "$NB_RUN/data/archive" "$nb_url" 2>"$NB_RUN/mount.log" ||
		nb_fail "the client's own files: $(tail -n 1 "$NB_RUN/mount.log")" || return
	busybox tar -x -f "$NB_RUN/data/archive" -C "$NB_RUN/data" 2>"$NB_RUN/mount.log" ||
		nb_fail "the client's own files are no archive: $(tail -n 1 "$NB_RUN/mount.log")" || return
	rm "$NB_RUN/data/archive"
	# The archive may have an entry for its top.
	chmod 0700 "$NB_RUN/data"
}

# nb_place_data ROOT: put what was fetched where it belongs, and mount what is kept.
nb_place_data() {
	[ -d "$NB_RUN/data" ] || return 0
	nb_place_files "$NB_RUN/data/files" "$1" || return
	nb_place_credentials "$NB_RUN/data/credentials" || return
	nb_place_kept "$NB_RUN/data/persist" "$1" || return
	# Secrets have been where they were needed.
	rm -rf "$NB_RUN/data"
}

# nb_place_files FOLDER ROOT: lay the files over the root.  Folders that the root has keep their owners and modes.
nb_place_files() {
	[ -d "$1" ] || return 0
	(
		cd "$1" &&
			find . -type d | while IFS= read -r nb_place; do
				[ ! -d "$2/$nb_place" ] || continue
				mkdir "$2/$nb_place" &&
					chmod "$(busybox stat -c %a "$nb_place")" "$2/$nb_place" &&
					chown "$(busybox stat -c %u:%g "$nb_place")" "$2/$nb_place" || exit 1
			done &&
			find . ! -type d | while IFS= read -r nb_place; do
				# cp would write through a link that is there, to wherever it points.
				rm -f "$2/$nb_place"
				busybox cp -a "$nb_place" "$2/$nb_place" || exit 1
			done
	) 2>"$NB_RUN/mount.log" || nb_fail "the client's own files: $(tail -n 1 "$NB_RUN/mount.log")"
}

# nb_place_credentials FOLDER: where systemd looks for credentials that a service asks for by name.
nb_place_credentials() {
	[ -d "$1" ] || return 0
	# cp gives the folder the mode that it had in the archive.
	mkdir -p "$NB_CREDENTIALS" && busybox cp -a "$1/." "$NB_CREDENTIALS/" && chmod 0700 "$NB_CREDENTIALS"
}

# nb_place_kept LIST ROOT: mount the client's export and bind each path of it over the root's.
nb_place_kept() {
	[ -f "$1" ] || return 0
	read -r nb_export <"$1"
	mkdir -p "$NB_RUN/persist"
	nb_is_mounted "$NB_RUN/persist" || nb_mount_nfs "$nb_export" "$NB_RUN/persist" rw ||
		nb_fail "what the client keeps: $(tail -n 1 "$NB_RUN/mount.log")" || return
	sed 1d "$1" | while IFS= read -r nb_kept; do
		[ -n "$nb_kept" ] || continue
		# An earlier try may have come this far.
		! nb_is_mounted "$2$nb_kept" || continue
		nb_keep "$nb_kept" "$2" 2>"$NB_RUN/mount.log" ||
			nb_fail "what the client keeps: $nb_kept: $(tail -n 1 "$NB_RUN/mount.log")" || exit 1
	done
}

# nb_keep PATH ROOT: one path; what is kept begins with the image's own content.
nb_keep() {
	nb_own=$NB_RUN/persist$1
	if [ ! -e "$nb_own" ]; then
		# By another name until it is whole: a machine that is switched off now begins again.
		nb_half=$NB_RUN/persist/.half
		rm -rf "$nb_half" && mkdir -p "${nb_own%/*}" || return
		if [ -e "$2$1" ]; then
			busybox cp -a "$2$1" "$nb_half" || return
		else
			mkdir "$nb_half" || return
		fi
		sync && mv "$nb_half" "$nb_own" || return
	fi
	if [ ! -e "$2$1" ]; then
		mkdir -p "$2${1%/*}" || return
		if [ -d "$nb_own" ]; then mkdir "$2$1"; else : >"$2$1"; fi || return
	fi
	mount -o bind "$nb_own" "$2$1"
}
