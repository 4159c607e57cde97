"""ProxyDHCP beside a DHCP server that we do not own (PXE 2.1 section 2.2), and the boot server on port 4011.

On port 67 a proxy answers a DISCOVER of a booting machine and nothing else: the address comes from the other
server, so its offer has none, goes to everyone, and a REQUEST is not for us, though it tells that there is another.
On port 4011 the machine, which has its address by then, asks for its boot file; that port changes no lease and obeys
the same rules about who may boot.
"""

from __future__ import annotations

from dataclasses import replace

from netboot.dhcp import bootinfo
from netboot.dhcp import options as opt
from netboot.dhcp.bootinfo import Denial
from netboot.dhcp.decision import BOOT_PORT, Decision, Query, Reply, Silence
from netboot.dhcp.identify import PXE_CLASS
from netboot.dhcp.message import MessageType
from netboot.dhcp.pxe import BOOT_ITEM, LOCAL_TYPE, OUR_TYPE, telling_of
from netboot.dhcp.reply import compose
from netboot.model.event import EventKind

_CREDENTIALS = 0x8000  # layer bit 15 of 43.71: the client wants security material, which nobody has


def answer_proxy(query: Query) -> Decision:
    """The proxy's offer, or silence."""
    if query.message.type is MessageType.REQUEST:
        return Silence(reason="the address is the other server's to lend", events=bootinfo.requested_events(query))
    if query.message.type is not MessageType.DISCOVER:
        return Silence(reason="a proxy answers DISCOVER alone on port 67")
    if query.asker is None:
        return Silence(reason="a proxy answers booting machines alone")
    name = bootinfo.boot_name(query)
    seen = bootinfo.discovery_events(query, name)
    if not isinstance(name, str):
        return Silence(reason=name.reason if name else "told to boot locally", events=seen)
    telling = telling_of(query)
    message = compose(query, MessageType.OFFER, boot=bootinfo.proxy_info(query, name, telling), broadcast=True)
    offered = query.event(EventKind.OFFERED, boot_file=name, **(telling.details if telling else {}))
    return Reply(
        message=message,
        reason=f"offered {name} without an address",
        events=(*seen, offered, *bootinfo.script_events(query, name)),
        delay_s=telling.delay_s if telling else 0.0,
    )


def answer_boot_server(query: Query) -> Decision:
    """The ACK on port 4011.  HTTP boot has no such step, and a boot item that we do not list is another's."""
    if query.message.type not in (MessageType.REQUEST, MessageType.INFORM):
        return Silence(reason="port 4011 answers REQUEST and INFORM alone")
    if not (opt.VENDOR_CLASS.read(query.message.options) or b"").startswith(PXE_CLASS):
        return Silence(reason="port 4011 is for PXE clients")
    if why_not := _wrong_item(query):
        return Silence(reason=why_not)
    name = bootinfo.boot_name(query)
    if not isinstance(name, str):
        return Silence(reason=name.reason if isinstance(name, Denial) else "told to boot locally")
    info = bootinfo.boot_server_info(query, name)
    message = compose(
        query,
        MessageType.ACK,
        ciaddr=query.message.ciaddr,
        boot=replace(info, sname=str(query.policy.server).encode("ascii")),
    )
    address = str(query.message.ciaddr) if int(query.message.ciaddr) else None
    stage = query.asker.stage.value if query.asker else None
    acked = query.event(EventKind.ACKED, address=address, stage=stage, port=BOOT_PORT)
    return Reply(message=message, reason=f"named {name}", events=(acked, *bootinfo.script_events(query, name)))


def _wrong_item(query: Query) -> str | None:
    vendor = opt.read_suboptions(query.message.options.get(opt.VENDOR.code, b""))
    item = vendor.get(BOOT_ITEM)
    if item is None:
        return None
    if len(item) != 4:
        return "a boot item of the wrong length"
    kind, layer = int.from_bytes(item[:2], "big"), int.from_bytes(item[2:], "big")
    if layer & _CREDENTIALS:
        return "a request for credentials"
    return None if kind in (OUR_TYPE, LOCAL_TYPE) else f"boot item {kind} is not ours"
