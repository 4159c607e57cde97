# shellcheck shell=sh
# dracut's frame around netboot's core: called once udev has settled, to mount the root at $NEWROOT.  Everything that is
# not particular to dracut is in /netboot/*.sh.

for netboot_part in /netboot/*.sh; do
	# shellcheck source=/dev/null
	. "$netboot_part"
done

NETBOOT_NIC_WAIT_S=60

# Wait for the boot NIC: its driver may load late (USB, firmware files).
netboot_find_nic() {
	netboot_waited=0
	until netboot_nic=$(nb_boot_nic); do
		[ "$netboot_waited" -lt "$NETBOOT_NIC_WAIT_S" ] || return 1
		[ "$netboot_waited" -ne 5 ] || nb_say "waiting for the network card $(nb_boot_mac)"
		netboot_waited=$((netboot_waited + 1))
		sleep 1
	done
}

netboot_configure_network() {
	modprobe af_packet
	until netboot_find_nic && [ -e "/run/net-$netboot_nic.conf" ]; do
		if [ -z "$netboot_nic" ]; then
			nb_say "no network card has the address $(nb_boot_mac) of BOOTIF; is its driver in the image?"
			netboot_offer_shell
			continue
		fi
		nb_raise_nic "$netboot_nic"
		busybox udhcpc -i "$netboot_nic" -n -q -t 4 -T 3 -s /netboot/udhcpc && continue
		nb_say "no DHCP answer on $netboot_nic, asking again"
		netboot_offer_shell
	done
}

netboot_offer_shell() {
	[ "$(nb_argument netboot.shell)" = 1 ] || return 0
	nb_shell
}

# The core asks for a shell by this name.
nb_shell() {
	sh -i </dev/console >/dev/console 2>&1
}

# dracut calls its mount hooks again and again until something is mounted.
if [ "$(nb_argument boot)" = netboot ] && ! nb_is_mounted "$NEWROOT"; then
	mkdir -p "$NB_RUN"
	nb_set_identity
	netboot_configure_network
	nb_report initramfs-started nic "$netboot_nic" kernel "$(uname -r)" ||
		nb_say "the boot server does not answer reports"
	modprobe overlay
	nb_attach_root "$NEWROOT" "/run/net-$netboot_nic.conf"
fi
