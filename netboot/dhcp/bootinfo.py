"""What a booting client is told: the loader or script, and the options that make its firmware act on it.

The boot file stands both in the header (shim and iPXE read it there) and in options 66 and 67 (others read it
there), in OFFER and ACK alike (EDK2 takes it from the ACK).  Option 60 repeats the class that the client sent; what
else a PXE client is told in option 43 (boot that file at once, ask on port 4011, take our item of a menu) is its
strategy's, see `netboot.dhcp.pxe`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from netboot.boot.choose import choose
from netboot.boot.loaders import boot_file, script_url
from netboot.dhcp import options as opt
from netboot.dhcp.decision import Query
from netboot.dhcp.identify import HTTP_CLASS, PXE_CLASS, written_uuid
from netboot.dhcp.message import ZERO
from netboot.dhcp.pxe import BOOT_ITEM, Telling, item_field, vendor_field
from netboot.model.event import Event, EventKind
from netboot.model.request import BootRequest, Firmware, Stage
from netboot.model.strategy import Strategy
from netboot.model.target import DeniedTarget, LocalTarget

_FILE_FIELD = 127  # the header's field with its NUL; a longer URL goes into option 67 alone

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


def own_info(query: Query, name: str, telling: Telling | None) -> BootInfo:
    """Boot fields of our own OFFER and ACK."""
    info = proxy_info(query, name, telling)
    return replace(info, options={**info.options, **_ipxe_control(query)})


def proxy_info(query: Query, name: str, telling: Telling | None) -> BootInfo:
    """Boot fields of a ProxyDHCP's OFFER, which never tells iPXE not to wait for one."""
    strategy = telling.strategy if telling else Strategy.DIRECT
    if strategy is Strategy.DISCOVERY:
        # The file comes on port 4011: named here, it would be booted without asking, or taken for a mistake.
        return BootInfo(options={**_identity(query), **_pxe_control(query, strategy)})
    info = _info(query, name, _pxe_control(query, strategy))
    if strategy is not Strategy.PLAIN:
        return info
    return replace(info, options={code: value for code, value in info.options.items() if code != opt.VENDOR_CLASS.code})


def boot_server_info(query: Query, name: str) -> BootInfo:
    """Boot fields of an ACK on port 4011; a request for a boot item (43.71) gets the item back."""
    vendor = opt.read_suboptions(query.message.options.get(opt.VENDOR.code, b""))
    item = vendor.get(BOOT_ITEM)
    if item is None:
        return _info(query, name, _pxe_control(query, Strategy.DIRECT))
    return _info(query, name, dict([opt.VENDOR.write(item_field(item))]))


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


def requested_events(query: Query) -> tuple[Event, ...]:
    """The event of a booting machine that takes another server's address."""
    server = opt.SERVER_ID.read(query.message.options)
    if query.asker is None or server is None or query.names_us:
        return ()
    wanted = opt.REQUESTED_ADDRESS.read(query.message.options)
    address = str(wanted) if wanted else None
    return (query.event(EventKind.REQUESTED, address=address, server=str(server), stage=query.asker.stage.value),)


def script_events(query: Query, name: str | Denial | None) -> tuple[Event, ...]:
    """The event of a loader that now knows where its script is."""
    asker = query.asker
    if asker is None or asker.stage is not Stage.LOADER:
        return ()
    url = script_url(asker, server=query.policy.server, http_port=query.policy.http_port)
    return (query.event(EventKind.SCRIPT_OFFERED, url=url),) if name == url else ()


def _info(query: Query, name: str, control: dict[int, bytes]) -> BootInfo:
    server = query.policy.server
    file = name.encode("ascii")
    named = dict([opt.TFTP_SERVER.write(str(server).encode("ascii")), opt.BOOT_FILE.write(file)])
    return BootInfo(
        siaddr=server,
        file=file if len(file) <= _FILE_FIELD else b"",
        options=named | _identity(query) | control,
    )


def _identity(query: Query) -> dict[int, bytes]:
    """The client's class and its UUID, by which it knows that the answer is for it."""
    sent = query.message.options
    options: dict[int, bytes] = {}
    if vendor_class := _reply_class(query.asker, sent):
        options |= [opt.VENDOR_CLASS.write(vendor_class)]
    if machine_id := sent.get(opt.MACHINE_ID.code):
        options[opt.MACHINE_ID.code] = machine_id  # RFC 4578 section 2.3: back as it came, whatever it holds
    return options


def _reply_class(asker: BootRequest | None, sent: opt.Options) -> bytes | None:
    """`PXEClient` or `HTTPClient` for who said so; a Raspberry Pi that forgot to is a PXE client too."""
    vendor_class = opt.VENDOR_CLASS.read(sent) or b""
    if vendor_class.startswith(HTTP_CLASS):
        return HTTP_CLASS
    if vendor_class.startswith(PXE_CLASS):
        return PXE_CLASS
    return PXE_CLASS if asker is not None and asker.firmware is Firmware.RASPBERRY_PI else None


def _pxe_control(query: Query, strategy: Strategy) -> dict[int, bytes]:
    if query.asker is None or _reply_class(query.asker, query.message.options) != PXE_CLASS:
        return {}
    field = vendor_field(strategy, query.asker.firmware, query.policy.server)
    return {} if field is None else dict([opt.VENDOR.write(field)])


def _ipxe_control(query: Query) -> dict[int, bytes]:
    if query.asker is None or query.asker.firmware is not Firmware.IPXE:
        return {}
    return dict([opt.IPXE.write(opt.write_suboptions({_IPXE_NO_PROXY: b"\x01"}))])
