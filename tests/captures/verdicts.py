"""What becomes of every captured datagram, file by file: the answers are ours to give, so they stand here by hand.

A DHCP packet is asked of a server on the packet's own network that goes by the name the client used, once as address
server and once as proxy: `KIND: answer of the address server, answer of the proxy`, `-` for silence.  `refused` is no
DHCP or TFTP at all; DHCPv6 must be refused too, since it is no DHCPv4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from netboot.config import DhcpMode
from netboot.dhcp.answer import answer
from netboot.dhcp.decision import Reply
from netboot.dhcp.message import DecodeError, Message, decode
from netboot.dhcp.policy import Policy
from netboot.model.lease import Pool
from netboot.tftp import packet as tftp
from tests.captures.files import Datagram
from tests.dhcp_kit import NOW, SUBNET, arrival, make_policy

Verdicts = Mapping[str, int]

_REQUESTED, _SERVER_ID = 50, 54


def verdicts(datagrams: Iterable[Datagram]) -> Verdicts:
    """How often each verdict is passed."""
    return Counter(_verdict(each) for each in datagrams)


def home(message: Message, mode: DhcpMode) -> Policy:
    """The policy of a server where this packet was sent."""
    policy = make_policy(mode=mode, unknown="image:debian")
    named = message.options.get(_SERVER_ID, b"")
    if len(named) == 4:
        policy = replace(policy, also_known_as=frozenset([IPv4Address(named)]))
    if policy.subnet is None or (network := _network_of(message)) is None:
        return policy
    subnet = replace(SUBNET, network=network, pool=(Pool(network[1], network[254]),), router=None)
    return replace(policy, subnet=subnet)


def _network_of(message: Message) -> IPv4Network | None:
    wanted = message.options.get(_REQUESTED, b"")
    for octets in (message.giaddr.packed, message.ciaddr.packed, wanted if len(wanted) == 4 else b""):
        if any(octets):
            return IPv4Network((octets, 24), strict=False)
    return None


def _verdict(datagram: Datagram) -> str:
    if datagram.is_dhcp or datagram.is_dhcp6:
        try:
            message = decode(datagram.payload)
        except DecodeError:
            return "refused" if datagram.is_dhcp else "DHCPv6"
        assert datagram.is_dhcp, "DHCPv6 was taken for DHCPv4"
        own, proxy = (_answer(message, datagram, mode) for mode in (DhcpMode.OWN, DhcpMode.PROXY))
        return f"{message.type.name if message.type else 'OTHER'}: {own}, {proxy}"
    try:
        packet = tftp.decode(datagram.payload)
    except tftp.PacketError:
        return "refused"
    return packet.opcode.name if isinstance(packet, tftp.Request) else type(packet).__name__


def _answer(message: Message, datagram: Datagram, mode: DhcpMode) -> str:
    by = arrival(port=4011 if datagram.dport == 4011 else 67)
    decision = answer(message, by, home(message, mode), NOW)
    if not isinstance(decision, Reply):
        return "-"
    assert decision.message.type
    return decision.message.type.name


EXPECTED: Mapping[str, Verdicts] = {
    "fuzz-seeds/kea/dhcp-payload-only.pkt4": {"DISCOVER: OFFER, -": 1},
    "fuzz-seeds/kea/dhcp-payload-only.pkt6": {"DHCPv6": 1},
    "fuzz-seeds/kea/full-dhcp-packet.pkt4": {"DISCOVER: OFFER, -": 1},
    "fuzz-seeds/kea/full-dhcp-packet.pkt6": {"DHCPv6": 1},
    "fuzz-seeds/kea/udp-header.pkt4": {},
    "fuzz-seeds/kea/udp-header.pkt6": {"DHCPv6": 1},
    "fuzz-seeds/perfdhcp/discover-example.hex": {"DISCOVER: OFFER, -": 1},
    "fuzz-seeds/perfdhcp/request4-example.hex": {"REQUEST: ACK, -": 1},
    "fuzz-seeds/perfdhcp/request6-example.hex": {"DHCPv6": 1},
    "fuzz-seeds/perfdhcp/solicit-example.hex": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-client/dnr_invalid": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-client/dnr_v4": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-client/parse-memleak": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-client/timeout-lease_parse_routes": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server-relay/sample1": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server-relay/sample2": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server-relay/too-large-packet": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/buffer-overflow-1": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/buffer-overflow-2": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/discover-existing": {"DISCOVER: OFFER, -": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/discover-new": {"DISCOVER: -, -": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/duplicate-input-data": {"refused": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/release": {"RELEASE: -, -": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/request-existing": {"REQUEST: -, -": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/request-new": {"REQUEST: -, -": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/request-reboot": {"REQUEST: -, -": 1},
    "fuzz-seeds/systemd/fuzz-dhcp-server/request-renew": {"REQUEST: -, -": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/crash-13578": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/crash-13591": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/crash-buf-size": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/crash-domainname": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/crash-initial1": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/crash-initial2": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/crash-initial3": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/dnr_v6": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/oss-fuzz-10746": {"DHCPv6": 1},
    "fuzz-seeds/systemd/fuzz-dhcp6-client/oss-fuzz-11019": {"DHCPv6": 1},
    "public-hex/bios_pxe_discover_smoltcp.hex": {"DISCOVER: OFFER, OFFER": 1},
    "public-hex/dnsmasq_offer_pxelinux_209_210.hex": {"OFFER: -, -": 1},
    "public-hex/hp_bios_pxe_discover.hex": {"DISCOVER: OFFER, OFFER": 1},
    "public-hex/hyperv_gen1_pxe_discover_hops2.hex": {"DISCOVER: OFFER, OFFER": 1},
    "public-hex/kea_v4_captureBadRelayedDiscover.hex": {"DISCOVER: OFFER, -": 1},
    "public-hex/kea_v4_captureRelayedDiscover.hex": {"DISCOVER: OFFER, -": 1},
    "public-hex/kea_v4_captureRelayedDiscover2.hex": {"DISCOVER: OFFER, -": 1},
    "public-hex/kea_v4_discoverGenexis.hex": {"DISCOVER: OFFER, -": 1},
    "public-hex/kea_v4_discoverWithTruncatedVIVSO.hex": {"DISCOVER: OFFER, -": 1},
    "public-hex/kea_v4_discoverWithValidVIVSO.hex": {"DISCOVER: OFFER, -": 1},
    "public-hex/kea_v6_captureCableLabsShortVendorClass.hex": {"DHCPv6": 1},
    "public-hex/kea_v6_captureDocsisRelayedSolicit.hex": {"DHCPv6": 1},
    "public-hex/kea_v6_captureRelayed2xRSOO.hex": {"DHCPv6": 1},
    "public-hex/kea_v6_captureRelayedSolicit.hex": {"DHCPv6": 1},
    "public-hex/kea_v6_captureSolicitWithTruncatedVIVSO.hex": {"DHCPv6": 1},
    "public-hex/kea_v6_captureSolicitWithVIVSO.hex": {"DHCPv6": 1},
    "public-hex/kea_v6_captureeRouterRelayedSolicit.hex": {"DHCPv6": 1},
    "public-hex/networkmanager_rebind_request_leading_pad.hex": {"REQUEST: ACK, -": 1},
    "public-hex/nuc_uefi_discover_rebuilt.hex": {"DISCOVER: OFFER, OFFER": 1},
    "public-hex/rpi3_discover.hex": {"DISCOVER: OFFER, -": 1},
    "public-hex/rpi4_frame1_discover.eth.hex": {"DISCOVER: OFFER, -": 1},
    "public-hex/rpi4_frame2a_router_offer.eth.hex": {"OFFER: -, -": 1},
    "public-hex/rpi4_frame2b_proxy_offer.eth.hex": {"OFFER: -, -": 1},
    "public-hex/rpi4_frame3a_request.eth.hex": {"REQUEST: ACK, -": 1},
    "public-hex/uboot_armv8_request.hex": {"REQUEST: ACK, -": 1},
    "public-hex/uefi_x64_httpboot_discover.hex": {"DISCOVER: OFFER, OFFER": 1},
    "public-pcap/ndpi-dhcp-fuzz.pcapng": {"OTHER: -, -": 1},
    "public-pcap/ndpi-tftp.pcap": {"RRQ": 1, "Data": 51, "Ack": 51, "WRQ": 1},
    "public-pcap/netboot-dhcp4.pcap": {"DISCOVER: OFFER, OFFER": 1, "OFFER: -, -": 2, "REQUEST: ACK, -": 1},
    "public-pcap/netboot-dhcp6.pcap": {"DHCPv6": 4},
    "public-pcap/netboot-nsec-asrock-bios-pxe.pcap": {
        "DISCOVER: OFFER, OFFER": 1,
        "OFFER: -, -": 2,
        "REQUEST: ACK, -": 1,
        "ACK: -, -": 2,
        "REQUEST: ACK, ACK": 1,
        "RRQ": 2,
    },
    "public-pcap/pcapplusplus-Dhcp1.pcap": {"OFFER: -, -": 1},
    "public-pcap/pcapplusplus-Dhcp2.pcap": {"DISCOVER: OFFER, -": 1},
    "public-pcap/pcapplusplus-Dhcp3.pcap": {"ACK: -, -": 1},
    "public-pcap/pcapplusplus-Dhcp4.pcap": {"RELEASE: -, -": 1},
    "public-pcap/pcapplusplus-dhcpv6.pcap": {"DHCPv6": 2},
    "public-pcap/suricata-ack.pcap": {"ACK: -, -": 1},
    "public-pcap/suricata-discover.pcap": {"DISCOVER: OFFER, -": 1},
    "public-pcap/suricata-offer.pcap": {"OFFER: -, -": 1},
    "public-pcap/suricata-request.pcap": {"REQUEST: ACK, -": 1},
    "public-pcap/suricata-verify-dhcp-eve-extended-option-60.pcap": {"REQUEST: ACK, -": 1},
    "public-pcap/suricata-verify-dhcp-eve-extended.pcap": {"REQUEST: ACK, -": 1, "ACK: -, -": 1},
    "public-pcap/suricata-verify-dhcp-option-52-overload-both.pcap": {"DISCOVER: OFFER, -": 1},
    "public-pcap/suricata-verify-dhcp-option-52-overload.pcap": {
        "DISCOVER: OFFER, -": 2,
        "OFFER: -, -": 2,
        "REQUEST: ACK, -": 2,
        "ACK: -, -": 2,
    },
    "public-pcap/suricata-verify-dhcp-request-flood.pcap.gz": {"DISCOVER: OFFER, -": 10000},
    "public-pcap/suricata-verify-output-eve-tftp-01.pcap": {"RRQ": 1, "Data": 49, "Ack": 49},
    "public-pcap/suricata-verify-tftp-tx-handling-wrq.pcap": {"WRQ": 1, "Ack": 50, "Data": 49},
    "public-pcap/tcpdump-QinQpacket.pcap": {"DISCOVER: OFFER, -": 144},
    "public-pcap/tcpdump-bootp_asan-2.pcap": {"refused": 1},
    "public-pcap/tcpdump-bootp_asan.pcap": {"refused": 1},
    "public-pcap/tcpdump-dhcp-mud.pcap": {"REQUEST: ACK, -": 1, "ACK: -, -": 1},
    "public-pcap/tcpdump-dhcp-rfc3004.pcap": {
        "DISCOVER: OFFER, -": 1,
        "OFFER: -, -": 1,
        "REQUEST: ACK, -": 1,
        "ACK: -, -": 1,
    },
    "public-pcap/tcpdump-dhcp-rfc4388.pcap": {
        "DISCOVER: OFFER, -": 4,
        "OFFER: -, -": 4,
        "REQUEST: NAK, -": 4,
        "ACK: -, -": 4,
        "OTHER: -, -": 18,
        "refused": 2,
    },
    "public-pcap/tcpdump-dhcp-rfc5859.pcap": {
        "DISCOVER: OFFER, -": 1,
        "OFFER: -, -": 1,
        "REQUEST: ACK, -": 1,
        "ACK: -, -": 1,
    },
    "public-pcap/tcpdump-dhcp6_reconf_asan.pcap": {"DHCPv6": 1},
    "public-pcap/tcpdump-dhcpv6-domain-list.pcap": {"DHCPv6": 1},
    "public-pcap/tcpdump-dhcpv6-ia-na.pcap": {"DHCPv6": 4},
    "public-pcap/tcpdump-dhcpv6-ia-pd.pcap": {"DHCPv6": 4},
    "public-pcap/tcpdump-dhcpv6-ia-ta.pcap": {"DHCPv6": 4},
    "public-pcap/tcpdump-tftp-heapoverflow.pcap": {"refused": 1},
    "public-pcap/tcpdump-tftp.pcap": {"RRQ": 1, "Data": 3, "Ack": 3},
    "public-pcap/wireshark-dhcp.pcap": {
        "DISCOVER: OFFER, -": 1,
        "OFFER: -, -": 1,
        "REQUEST: ACK, -": 1,
        "ACK: -, -": 1,
    },
    "public-pcap/wireshark-tftp.pcap": {"RRQ": 1},
    "public-pcap/zeek-dhcp.pcap": {
        "DISCOVER: OFFER, -": 1,
        "OFFER: -, -": 1,
        "REQUEST: ACK, -": 2,
        "NAK: -, -": 1,
        "ACK: -, -": 1,
        "DECLINE: -, -": 1,
        "RELEASE: -, -": 1,
        "INFORM: ACK, -": 1,
    },
    "public-pcap/zeek-dhcp_ack_subscriber_id_and_agent_remote_id.pcap": {"ACK: -, -": 1},
    "public-pcap/zeek-dhcp_bad_cookie_option_retention.pcap": {"DISCOVER: OFFER, -": 2, "refused": 3},
    "public-pcap/zeek-dhcp_discover_param_req_and_client_id.pcap": {"DISCOVER: OFFER, -": 1},
    "public-pcap/zeek-dhcp_flood.pcap": {"INFORM: ACK, -": 250, "ACK: -, -": 250},
    "public-pcap/zeek-dhcp_inform.pcap": {"INFORM: ACK, -": 1, "ACK: -, -": 1},
    "public-pcap/zeek-dhcp_time_and_nameserver.pcap": {"REQUEST: ACK, -": 1, "ACK: -, -": 1},
    "public-pcap/zeek-hw-type0.pcap": {"REQUEST: ACK, -": 1},
}
