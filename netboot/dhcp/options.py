"""The options that we read or write, each with its name and its shape on the wire.

`Option.read` gives None for an option that is absent or has the wrong length: the packet is kept, the option is
not believed.  `Option.write` gives the (code, bytes) pair of a reply.  Codes that are not listed stay raw bytes.
Sources: RFC 2132, 3004 (77), 3046 (82), 3442 (121), 4578 (93, 94, 97), and iPXE for 175.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Generic, TypeVar

from netboot.errors import InvalidInput

T = TypeVar("T")
Options = Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """How a value stands on the wire.  `read` gives None for bytes of another shape."""

    read: Callable[[bytes], T | None]
    write: Callable[[T], bytes]


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    code: int
    name: str
    shape: Shape[T]

    def read(self, options: Options) -> T | None:
        raw = options.get(self.code)
        return None if raw is None else self.shape.read(raw)

    def write(self, value: T) -> tuple[int, bytes]:
        """Raises `InvalidInput` for a value that clients would reject or that needs more than one instance."""
        raw = self.shape.write(value)
        if not 0 < len(raw) <= 255:
            # EDK2 drops a packet with an empty option, and reads the first instance of a split one only.
            raise InvalidInput(f"DHCP option {self.code} ({self.name}) cannot hold {len(raw)} bytes")
        return self.code, raw


def _whole(size: int) -> Shape[int]:
    return Shape(
        read=lambda raw: int.from_bytes(raw, "big") if len(raw) == size else None,
        write=lambda value: value.to_bytes(size, "big"),
    )


def _read_addresses(raw: bytes) -> tuple[IPv4Address, ...] | None:
    if not raw or len(raw) % 4:
        return None
    return tuple(IPv4Address(raw[at : at + 4]) for at in range(0, len(raw), 4))


def _read_words(raw: bytes) -> tuple[int, ...] | None:
    if not raw or len(raw) % 2:
        return None
    return tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))


def _write_routes(routes: Sequence[tuple[IPv4Network, IPv4Address]]) -> bytes:
    """RFC 3442: the width of the mask, the octets that it covers, the gateway."""
    return b"".join(
        bytes((network.prefixlen,)) + network.network_address.packed[: (network.prefixlen + 7) // 8] + gateway.packed
        for network, gateway in routes
    )


def _read_routes(raw: bytes) -> tuple[tuple[IPv4Network, IPv4Address], ...] | None:
    routes = []
    while raw:
        octets = (raw[0] + 7) // 8
        if raw[0] > 32 or len(raw) < 5 + octets:
            return None
        network = IPv4Network((raw[1 : 1 + octets].ljust(4, b"\0"), raw[0]), strict=False)
        routes.append((network, IPv4Address(raw[1 + octets : 5 + octets])))
        raw = raw[5 + octets :]
    return tuple(routes) or None


RAW: Shape[bytes] = Shape(read=lambda raw: raw, write=lambda value: value)
BYTE, WORD, LONG = _whole(1), _whole(2), _whole(4)
ADDRESS: Shape[IPv4Address] = Shape(
    read=lambda raw: IPv4Address(raw) if len(raw) == 4 else None, write=lambda value: value.packed
)
ADDRESSES: Shape[Sequence[IPv4Address]] = Shape(
    read=_read_addresses, write=lambda value: b"".join(each.packed for each in value)
)
WORDS: Shape[Sequence[int]] = Shape(
    read=_read_words, write=lambda value: b"".join(each.to_bytes(2, "big") for each in value)
)
# RFC 2132 section 2: strings are binary-safe, and trailing NULs are no part of them.
TEXT: Shape[bytes] = Shape(read=lambda raw: raw.rstrip(b"\0"), write=lambda value: value)
# Several ROMs take 66 and 67 for C strings and would ask for `name\xff`, so a NUL goes along.
C_TEXT: Shape[bytes] = Shape(read=TEXT.read, write=lambda value: value + b"\0")
ROUTES: Shape[Sequence[tuple[IPv4Network, IPv4Address]]] = Shape(read=_read_routes, write=_write_routes)

SUBNET_MASK = Option(1, "subnet mask", ADDRESS)
ROUTER = Option(3, "router", ADDRESSES)
DNS = Option(6, "name servers", ADDRESSES)
HOSTNAME = Option(12, "hostname", TEXT)
DOMAIN = Option(15, "domain", TEXT)
BROADCAST = Option(28, "broadcast address", ADDRESS)
VENDOR = Option(43, "vendor-specific", RAW)
REQUESTED_ADDRESS = Option(50, "requested address", ADDRESS)
LEASE_TIME = Option(51, "lease time", LONG)
MESSAGE_TYPE = Option(53, "message type", BYTE)
SERVER_ID = Option(54, "server identifier", ADDRESS)
PARAMETER_LIST = Option(55, "parameter request list", RAW)
ERROR_TEXT = Option(56, "message", TEXT)
MAX_SIZE = Option(57, "maximum message size", WORD)
RENEWAL_TIME = Option(58, "renewal time T1", LONG)
REBINDING_TIME = Option(59, "rebinding time T2", LONG)
VENDOR_CLASS = Option(60, "vendor class", TEXT)
CLIENT_ID = Option(61, "client identifier", RAW)
TFTP_SERVER = Option(66, "TFTP server", C_TEXT)
BOOT_FILE = Option(67, "boot file", C_TEXT)
USER_CLASS = Option(77, "user class", TEXT)
RELAY_INFO = Option(82, "relay agent information", RAW)
ARCH = Option(93, "client architecture", WORDS)
NETWORK_INTERFACE = Option(94, "network interface", RAW)
MACHINE_ID = Option(97, "machine identifier", RAW)
RAPID_COMMIT = 80  # RFC 4039: it stands for itself and holds nothing, which no other option of ours does
SUBNET_SELECTION = Option(118, "subnet selection", ADDRESS)
CLASSLESS_ROUTES = Option(121, "classless routes", ROUTES)
IPXE = Option(175, "iPXE", RAW)
MS_CLASSLESS_ROUTES = Option(249, "classless routes, Microsoft's number", ROUTES)

_ALL: tuple[Option[Any], ...] = (
    *(SUBNET_MASK, ROUTER, DNS, HOSTNAME, DOMAIN, BROADCAST, VENDOR, REQUESTED_ADDRESS, LEASE_TIME, MESSAGE_TYPE),
    *(SERVER_ID, PARAMETER_LIST, ERROR_TEXT, MAX_SIZE, RENEWAL_TIME, REBINDING_TIME, VENDOR_CLASS, CLIENT_ID),
    *(TFTP_SERVER, BOOT_FILE, USER_CLASS, RELAY_INFO, ARCH, NETWORK_INTERFACE, MACHINE_ID, SUBNET_SELECTION),
    *(CLASSLESS_ROUTES, IPXE, MS_CLASSLESS_ROUTES),
)
REGISTRY: Mapping[int, Option[Any]] = {each.code: each for each in _ALL}


def read_suboptions(raw: bytes) -> dict[int, bytes]:
    """The (code, length, value) entries inside of options 43, 82 and 175, up to END or the first broken one."""
    return dict(_suboptions(raw))


def write_suboptions(entries: Mapping[int, bytes], *, end: bytes = b"") -> bytes:
    """The entries one after another, then `end`.  Raises `InvalidInput` for an entry above 255 bytes."""
    if too_long := [code for code, value in entries.items() if len(value) > 255]:
        raise InvalidInput(f"sub-option {too_long[0]} is longer than 255 bytes")
    return b"".join(bytes((code, len(value))) + value for code, value in entries.items()) + end


def _suboptions(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(raw):
        code, size = raw[at], raw[at + 1]
        if code == 0:
            at += 1
            continue
        if code == 255 or at + 2 + size > len(raw):
            return
        yield code, raw[at + 2 : at + 2 + size]
        at += 2 + size
