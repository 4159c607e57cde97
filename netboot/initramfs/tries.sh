# shellcheck shell=sh
# Trying again: whatever a boot needs may be away for a while, and somebody must hear of it.

# Waits between the tries of one round, in seconds; one try more than there are waits.  Whoever watches hears within ten
# seconds that it does not work.
NB_WAITS=${NB_WAITS:-1 2 3}
# Wait between rounds, and the rounds after which a client whose server answers starts afresh: its kernel
# line may name an export that is gone, and the server would now give it another.
NB_ROUND_WAIT=${NB_ROUND_WAIT:-30}
NB_ROUNDS=${NB_ROUNDS:-3}

# One try to reach a server may take this long: mount(2) of a hard NFS mount would otherwise hang for minutes.
NB_MOUNT_TIMEOUT=${NB_MOUNT_TIMEOUT:-25}
# After so many seconds without an answer somebody hears of it, though the try goes on.
NB_SILENCE=${NB_SILENCE:-5}

# nb_ask SERVER COMMAND...: one bounded try of a program that asks SERVER; what it says goes to mount.log.
nb_ask() {
	nb_asked=$1
	shift
	(
		busybox sleep "$NB_SILENCE"
		nb_report root-awaited message "no answer from $nb_asked for $NB_SILENCE s"
	) </dev/null >/dev/null 2>&1 &
	nb_watcher=$!
	busybox timeout -s KILL "$NB_MOUNT_TIMEOUT" "$@" >"$NB_RUN/mount.log" 2>&1
	nb_status=$?
	kill "$nb_watcher" 2>/dev/null
	wait "$nb_watcher" 2>/dev/null
	[ "$nb_status" -ne 137 ] || nb_fail "no answer from $nb_asked within $NB_MOUNT_TIMEOUT s"
	return "$nb_status"
}

# nb_fail TEXT...: note why a step failed, where the tries find it; fails itself.
nb_fail() {
	echo "$*" >"$NB_RUN/mount.log"
	return 1
}

# nb_insist WHAT COMMAND...: run COMMAND until it succeeds.  Its last words are in mount.log; WHAT is told to people.
nb_insist() {
	nb_what=$1
	shift
	nb_rounds=1
	until nb_round "$@"; do
		nb_give_up "$nb_rounds"
		nb_rounds=$((nb_rounds + 1))
	done
}

# nb_round COMMAND...: tries with growing waits; each failure is reported.
nb_round() {
	nb_attempt=0
	for nb_wait in $NB_WAITS 0; do
		nb_attempt=$((nb_attempt + 1))
		"$@" && return 0
		nb_error=$(tail -n 1 "$NB_RUN/mount.log")
		nb_say "try $nb_attempt to $nb_what failed: $nb_error"
		[ "$nb_wait" -gt 0 ] || return 1
		nb_report root-retried attempt "$nb_attempt" message "$nb_error" || nb_say "the boot server does not answer"
		sleep "$nb_wait"
	done
}

# nb_give_up ROUND: report that the root cannot be had; then a shell, another round, or a fresh start.
nb_give_up() {
	nb_heard=yes
	nb_report root-failed attempt "$nb_attempt" message "$nb_error" log "$(nb_log_tail)" || nb_heard=no
	nb_say "could not $nb_what: $nb_error"
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
