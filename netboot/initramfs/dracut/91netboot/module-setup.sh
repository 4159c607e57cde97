#!/bin/bash
# Puts netboot's client side into a dracut initramfs: the core, the programs that it calls, and drivers.

# Only when asked for: by netboot.conf.
check() {
	return 255
}

depends() {
	echo base udev-rules
}

installkernel() {
	# The distribution's own list of network drivers is in a package that wants a DHCP client; wired ones are here.
	instmods '=drivers/net/ethernet' '=drivers/net/phy' '=drivers/net/mdio' '=drivers/net/usb' '=drivers/net/hyperv' \
		virtio_net vmxnet3 xen-netfront
	# What the core needs, the ciphers and digests that the kernel asks for by name, local disks and keyboards.
	instmods af_packet nfs nfsv3 nfsv4 overlay loop ext4 erofs squashfs iscsi_tcp sd_mod \
		dm_mod dm_verity dm_crypt zram \
		sha256_generic sha256-ssse3 crc32c_generic crc32c-intel xts ecb aesni-intel lzo-rle \
		ahci nvme virtio_blk virtio_scsi uas mmc_block sdhci_pci virtio_pci \
		hid-generic usbhid i8042 atkbd '=drivers/usb/host'
}

install() {
	inst_multiple busybox mount.nfs iscsistart iscsid dmsetup mke2fs chroot setsid modprobe mount umount \
		awk od tr sed grep find readlink chown chmod head tail cut sync hostname dmesg sleep
	# libtirpc, with which mount.nfs asks for NFS 3, reads its transports from here.
	inst_simple /etc/netconfig
	# shellcheck disable=SC2154 # dracut sets these
	for part in "${dracutsysrootdir-}"/usr/share/netboot/*.sh; do
		inst_simple "$part" "/netboot/${part##*/}"
	done
	inst_simple /usr/share/netboot/boot.network /netboot/boot.network
	inst_simple /usr/share/netboot/iscsi.conf /netboot/iscsi.conf
	# shellcheck disable=SC2154
	inst_simple "$moddir/udhcpc" /netboot/udhcpc
	# Cards have their lasting names from the start: the system could not rename one that is up.
	inst_rules 75-net-description.rules 80-net-setup-link.rules
	inst_multiple -o /usr/lib/systemd/network/*.link
	# The core calls it by its name; without systemd nothing else in the initrd has it.
	ln -sf busybox "${initdir-}/usr/bin/reboot"
	inst_hook cmdline 30 "$moddir/cmdline.sh"
	inst_hook mount 99 "$moddir/mount.sh"
}
