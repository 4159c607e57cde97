# shellcheck shell=sh
# What makes this client differ from all others of its version: its name, name servers, and its card's settings.

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
