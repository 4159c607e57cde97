"""What fuzzing starts from: every capture, as it is and with what fuzzers tend to break put right; and small deltas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from netboot.dhcp.message import COOKIE
from netboot.tftp import packet as tftp
from tests.captures.files import Datagram, datagrams, names
from tests.fuzz.image_targets import cow_seeds, tree_seeds
from tests.fuzz.targets import packed

# One flood holds ten thousand packets that differ in their xid.
_OF_ONE_FILE = 40
_NAMES = (
    *(
        b"own",
        b"boot/own",
        b"/boot//./own",
        rb"\boot\own",
        b"own\xff",
        b"boot/out/secret",
        b"../secret",
        b"boot/secret",
    ),
    *(b"52-54-00-00-00-01/start4.elf", b"0a1b2c3d/start4.elf", b"0a1b2c3d/config.txt", b"0a1b2c3d/cmdline.txt"),
    *(b"pxelinux.cfg/0A090032", b"autoexec.ipxe", b"52-54-00-00-00-01/overlays/disable-bt.dtbo", b"bootcode.bin"),
    *(b"ipxe/undionly.kpxe", b"pxelinux.cfg/01-52-54-00-00-00-01", b"pxelinux.cfg/default", b"/grub/grub.cfg"),
    *(b"grub/grub.cfg-01-52-54-00-00-00-01", b"boot/52-54-00-00-00-01/debian/1/vmlinuz", b"boot/secret"),
)

_REQUESTS = (
    b"GET /loader/ipxe/snponly.efi HTTP/1.1\r\nHost: 10.0.2.2:8080\r\nUser-Agent: UefiHttpBoot/1.0\r\n\r\n",
    b"HEAD /loader/ipxe/snponly.efi HTTP/1.1\r\nHost: 10.0.2.2\r\n\r\nGET / HTTP/1.1\r\nHost: 10.0.2.2\r\n\r\n",
    b"GET /boot/52-54-00-00-00-01/ipxe HTTP/1.1\r\nConnection: keep-alive\r\nHost: 10.0.2.2\r\n\r\n",
    b'GET /boot/52:54:00:00:00:01/debian/1/initrd.img HTTP/1.0\r\nRange: bytes=1-\r\nIf-Range: "x"\r\n\r\n',
    b"GET //boot//52-54-00-00-00-01//grub HTTP/1.1\r\nHost: x\r\nRange: bytes=-5\r\nIf-Match: *\r\n\r\n",
    b"GET /boot/525400000001/report?kind=loader-failed&file=kernel&message=a%20b%1b HTTP/1.1\r\n\r\n",
    b"POST /boot/525400000001/report HTTP/1.1\r\nContent-Length: 7\r\n\r\nkind=upGET / HTTP/1.1\r\n\r\n",
    b"POST /boot/525400000001/report HTTP/1.1\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\nkind=up",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET http://10.0.2.2:8080/autoexec.ipxe?a HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"GET /loader/%2e%2e/%00%ff HTTP/1.1\r\nA: b\r\nA: c\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"\r\nGET / HTTP/2.0\r\n\r\n",
)


def seeds(captures: Path) -> Mapping[str, list[bytes]]:
    """By target (tests/fuzz/targets.py), without repetition and always in the same order."""
    every = [each for name in names(captures) for each in datagrams(captures / name)[:_OF_ONE_FILE]]
    dhcp = _once(_dhcp(every))
    heard = [each.payload for each in every if not (each.is_dhcp or each.is_dhcp6)]
    return {
        "dhcp-message": dhcp,
        "dhcp-exchange": [*_exchanges(dhcp), *_sessions(captures)],
        "tftp-packet": _once([*heard, tftp.option_ack([(b"tsize", b"1")]), tftp.error(tftp.ErrorCode.OPTIONS, "no")]),
        "tftp-name": list(_NAMES),
        "cow-device": list(cow_seeds()),
        "hash-tree": list(tree_seeds()),
        "http-request": list(_REQUESTS),
    }


def _dhcp(every: list[Datagram]) -> Iterator[bytes]:
    for each in every:
        if each.is_dhcp:
            yield each.payload
            if len(each.payload) >= 240 and each.payload[236:240] != COOKIE:
                yield b"\x01\x01\x06\x00" + each.payload[4:236] + COOKIE + each.payload[240:]


def _exchanges(payloads: list[bytes]) -> Iterator[bytes]:
    """Each packet alone, in either mode, as it came and on port 4011."""
    for each in payloads:
        yield packed((0, each))
        yield packed((0, each), (3, each), mode=1)


def _sessions(captures: Path) -> Iterator[bytes]:
    """What a captured client said, in its order."""
    for name in names(captures):
        asked = [
            each for each in datagrams(captures / name)[:_OF_ONE_FILE] if each.is_dhcp and each.payload[:1] == b"\1"
        ]
        if len(asked) > 1:
            yield packed(*((3 if each.dport == 4011 else 0, each.payload) for each in asked[:8]))


def _once(payloads: Iterator[bytes] | list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(payloads))
