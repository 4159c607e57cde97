"""What a booting client is told: the loader or script, and the options that make its firmware act on it.

The boot file stands both in the header (shim and iPXE read it there) and in options 66 and 67 (others read it
there), in OFFER and ACK alike (EDK2 takes it from the ACK).  Option 60 repeats the class that the client sent, and
a PXE client is told in option 43 to boot that file and not to look for boot servers: with option 60 alone EDK2 goes
on to ask on port 4011, which is what a ProxyDHCP wants and an address server does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from netboot.boot.choose import choose
from netboot.boot.loaders import boot_file, script_url
from netboot.dhcp import options as opt
from netboot.dhcp.decision import Query
from netboot.dhcp.identify import HTTP_CLASS, PXE_CLASS, written_uuid
from netboot.dhcp.message import ZERO
from netboot.model.event import Event, EventKind
from netboot.model.request import BootRequest, Firmware, Stage
from netboot.model.target import DeniedTarget, LocalTarget

_FILE_FIELD = 127  # the header's field with its NUL; a longer URL goes into option 67 alone

# Sub-options of 43 in class PXEClient (PXE 2.1 table 2-1).
_DISCOVERY_CONTROL, PXE_BOOT_ITEM = 6, 71
_USE_FILE = b"\x08"  # bit 3: boot the file named here, no prompt, no menu, no discovery
# Sub-option of 175: iPXE need not wait two seconds for a ProxyDHCP.
_IPXE_NO_PROXY = 0xB0


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a booting machine gets nothing to boot; `hint` names what would change that."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootInfo:
    """The fields and options of a reply that are about booting; empty for who boots nothing."""

    siaddr: IPv4Address = ZERO
    sname: bytes = b""
    file: bytes = b""
    options: Mapping[int, bytes] = field(default_factory=dict)


NO_BOOT = BootInfo()


def boot_name(query: Query) -> str | Denial | None:
    """The file or URL to boot, a denial, or None: for an ordinary client, and for one told to boot locally."""
    if query.asker is None:
        return None
    policy = query.policy
    target = choose(query.asker, policy.boot)
    if isinstance(target, DeniedTarget):
        return Denial(target.reason, target.hint)
    if isinstance(target, LocalTarget):
        return None
    name = boot_file(query.asker, target, server=policy.server, http_port=policy.http_port)
    if name is None:
        return Denial(
            f"no loader is known for {query.asker.firmware} of architecture {query.asker.arch}",
            "use a machine or firmware mode that the documentation lists, or set another loader for the client",
        )
    return name


def own_info(query: Query, name: str) -> BootInfo:
    """Boot fields of our own OFFER and ACK."""
    return _info(query, name, _pxe_control(query) | _ipxe_control(query))


def proxy_info(query: Query, name: str) -> BootInfo:
    """Boot fields of a ProxyDHCP's OFFER.

    UEFI takes it as an invitation to port 4011, which works with more firmware than the file alone; BIOS ROMs
    and iPXE boot the file at once.  A ProxyDHCP never tells iPXE not to wait for one.
    """
    invites = query.asker is not None and query.asker.firmware is Firmware.UEFI
    return _info(query, name, {} if invites else _pxe_control(query))


def boot_server_info(query: Query, name: str) -> BootInfo:
    """Boot fields of an ACK on port 4011; a request for a boot item (43.71) gets the item back."""
    vendor = opt.read_suboptions(query.message.options.get(opt.VENDOR.code, b""))
    item = vendor.get(PXE_BOOT_ITEM)
    if item is None:
        return _info(query, name, _pxe_control(query))
    control = opt.VENDOR.write(opt.write_suboptions({PXE_BOOT_ITEM: item}, end=b"\xff"))
    return _info(query, name, dict([control]))


def discovery_events(query: Query, name: str | Denial | None) -> tuple[Event, ...]:
    """What a DISCOVER of a booting machine tells: that it is there, and whether it may not boot."""
    asker = query.asker
    if asker is None:
        return ()
    seen = query.event(
        EventKind.DISCOVERED,
        firmware=asker.firmware.value,
        arch=int(asker.arch),
        stage=asker.stage.value,
        interface=query.policy.interface,
        uuid=written_uuid(asker),
    )
    if not isinstance(name, Denial):
        return (seen,)
    return seen, query.event(EventKind.DENIED, reason=name.reason, hint=name.hint, stage=asker.stage.value)


def script_events(query: Query, name: str | Denial | None) -> tuple[Event, ...]:
    """The event of a loader that now knows where its script is."""
    asker = query.asker
    if asker is None or asker.stage is not Stage.LOADER:
        return ()
    url = script_url(asker, server=query.policy.server, http_port=query.policy.http_port)
    return (query.event(EventKind.SCRIPT_OFFERED, url=url),) if name == url else ()


def _info(query: Query, name: str, control: dict[int, bytes]) -> BootInfo:
    server, message = query.policy.server, query.message
    file = name.encode("ascii")
    options = dict([opt.TFTP_SERVER.write(str(server).encode("ascii")), opt.BOOT_FILE.write(file)])
    if vendor_class := _reply_class(query.asker, message.options):
        options |= [opt.VENDOR_CLASS.write(vendor_class)]
    if machine_id := message.options.get(opt.MACHINE_ID.code):
        options[opt.MACHINE_ID.code] = machine_id  # RFC 4578 section 2.3: back as it came, whatever it holds
    return BootInfo(
        siaddr=server,
        file=file if len(file) <= _FILE_FIELD else b"",
        options=options | control,
    )


def _reply_class(asker: BootRequest | None, sent: opt.Options) -> bytes | None:
    """`PXEClient` or `HTTPClient` for who said so; a Raspberry Pi that forgot to is a PXE client too."""
    vendor_class = opt.VENDOR_CLASS.read(sent) or b""
    if vendor_class.startswith(HTTP_CLASS):
        return HTTP_CLASS
    if vendor_class.startswith(PXE_CLASS):
        return PXE_CLASS
    return PXE_CLASS if asker is not None and asker.firmware is Firmware.RASPBERRY_PI else None


def _pxe_control(query: Query) -> dict[int, bytes]:
    if _reply_class(query.asker, query.message.options) != PXE_CLASS:
        return {}
    return dict([opt.VENDOR.write(opt.write_suboptions({_DISCOVERY_CONTROL: _USE_FILE}, end=b"\xff"))])


def _ipxe_control(query: Query) -> dict[int, bytes]:
    if query.asker is None or query.asker.firmware is not Firmware.IPXE:
        return {}
    return dict([opt.IPXE.write(opt.write_suboptions({_IPXE_NO_PROXY: b"\x01"}))])
