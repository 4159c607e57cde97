#!/bin/sh
# NetworkManager with its own DHCP client on eth0, on a bus of its own; run by machine.sh.  FOLDER/state keeps its leases.
set -eu
state=$1/state
mkdir -p "$state" /run/dbus
mount --bind "$state" /var/lib/NetworkManager
mount -t tmpfs tmpfs /etc/NetworkManager
mkdir /etc/NetworkManager/system-connections
cat >/etc/NetworkManager/NetworkManager.conf <<END
[main]
plugins=keyfile
dhcp=internal
dns=none
rc-manager=unmanaged
systemd-resolved=false
hostname-mode=none
auth-polkit=false
no-auto-default=*
END
card=/etc/NetworkManager/system-connections/eth0.nmconnection
cat >$card <<END
[connection]
id=eth0
uuid=6e657462-0000-4000-8000-000000000001
type=ethernet
interface-name=eth0
[ipv4]
method=auto
[ipv6]
method=disabled
END
chmod 600 $card
cat >/run/bus.conf <<END
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
END
dbus-daemon --config-file=/run/bus.conf --nopidfile --fork
exec NetworkManager --debug --log-level=INFO
