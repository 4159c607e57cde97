#!/bin/sh
# What udhcpc ($1: bound, renew, deconfig) and dhclient ($reason) run: it sets the address and touches nothing else.
case "${1:-$reason}" in
    bound | renew | BOUND | RENEW | REBIND | REBOOT)
        busybox ip -4 address flush dev "$interface"
        busybox ip address add "${ip:-$new_ip_address}/${mask:-24}" dev "$interface"
        ;;
    PREINIT)
        busybox ip link set "$interface" up
        ;;
    RELEASE | deconfig)
        busybox ip -4 address flush dev "$interface"
        ;;
esac
