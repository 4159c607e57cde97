"""Why a client boots what it boots: each setting, its value, and who said so.

The target itself comes from `boot.choose`, which the daemon asks too; this module only adds where each of its
values came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import assert_never

from netboot.boot.choose import BootPolicy, choose, layers_of
from netboot.boot.layers import CLIENT_RECORD as CLIENT
from netboot.boot.layers import CONFIGURATION as CONFIG
from netboot.boot.layers import DEFAULT, WISHES, Layer, settle
from netboot.boot.loaderfiles import LoaderFiles
from netboot.boot.loaders import loader_name
from netboot.cli.addresses import FROM_POOL, address_sources
from netboot.cli.preview import Preview, preview, san_preview
from netboot.cli.shapes import Shape, plain
from netboot.cli.stories import Stories
from netboot.cli.telling import ClientTelling, telling_of
from netboot.config import Config
from netboot.config.paths import DataDir
from netboot.errors import NetbootError
from netboot.images.store import ImageStore
from netboot.model.client import Client
from netboot.model.event import EventKind
from netboot.model.loader import LoaderChoice
from netboot.model.mac import MacAddress
from netboot.model.request import Arch, BootRequest, Firmware, Stage, arch_name
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, LocalTarget, MenuTarget, SanTarget
from netboot.store import Engine, LeaseRepository, installation_secret
from netboot.store.events import EventFilter

IMAGE = "image"

_SEEN = frozenset({EventKind.DISCOVERED})


@dataclass(frozen=True, slots=True)
class Row:
    """One setting of a boot."""

    name: str
    value: object
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is booted, why, and every setting of it; `hint` is the command that would change a refusal.

    `preview` is what it would be sent, as far as that can be told; else a row says why not.
    """

    whose: str
    kind: str
    result: str
    reason: str
    hint: str
    rows: tuple[Row, ...]
    preview: Preview | None = None


def explain_client(
    key: str, *, engine: Engine, images: ImageStore, loaders: LoaderFiles, config: Config, data: DataDir
) -> Explanation:
    """Explain the client of this name or MAC address; `NotFound` for a name that nobody has."""
    stories = Stories(engine)
    mac = stories.mac(key)
    policy = BootPolicy.of(
        config, clients=stories.clients, versions=images, loaders=loaders, secret=installation_secret(engine)
    )
    client = stories.clients.find(mac)
    arch, seen = _arch(stories, mac, client)
    request = BootRequest(mac=mac, stage=Stage.FIRMWARE, firmware=Firmware.UNKNOWN, arch=arch)
    target = choose(request, policy)
    leases = LeaseRepository(engine).load()
    addresses = address_sources(mac, client, leases, config)
    known: tuple[Row, ...] = (
        *_record_rows(mac, client, config),
        *(Row("address", address, source) for address, source in addresses),
        Row("arch", arch_name(arch), seen),
        _strategy_row(client, telling_of(mac, client, engine)),
    )
    found: Preview | None = None
    try:
        match target:
            case ImageTarget():
                settled = _image_rows(target, client, layers_of(client, policy), arch, _version_source(client, images))
                known = (*known, *settled)
                found = preview(target, arch, _address(addresses), config, data)
                known = (*known, Row("netboot.root", found.root, "root mode, version and this server"))
            case SanTarget():
                known = (*known, *_san_rows(target, layers_of(client, policy), arch))
                found = san_preview(target, _address(addresses), config)
    except NetbootError as error:
        known = (*known, Row("netboot.root" if isinstance(target, ImageTarget) else "script", None, str(error)))
    return Explanation(
        whose=f"client {client.name} ({mac})" if client else f"unknown client {mac}",
        kind=_KINDS[type(target)],
        result=_result(target),
        reason=target.reason,
        hint=target.hint if isinstance(target, DeniedTarget) else "",
        rows=known,
        preview=found,
    )


def explanation_shape(explanation: Explanation) -> Shape:
    found = explanation.preview
    return {
        "client": explanation.whose,
        "target": explanation.kind,
        "result": explanation.result,
        "reason": explanation.reason,
        "hint": explanation.hint,
        "settings": [{"name": row.name, "value": plain(row.value), "source": row.source} for row in explanation.rows],
        "kernel_line": list(found.kernel_line) if found and found.kernel_line else None,
        "script": {"kind": str(found.kind), "text": found.script} if found else None,
    }


_KINDS: dict[type, str] = {
    ImageTarget: "image",
    SanTarget: "san",
    MenuTarget: "menu",
    LocalTarget: "local",
    DeniedTarget: "denied",
}


def _result(target: BootTarget) -> str:
    match target:
        case ImageTarget():
            return f"boots {target.version.label}"
        case SanTarget():
            return f"boots from {target.san}"
        case MenuTarget():
            return "is shown a menu of " + ", ".join(entry.version.label for entry in target.entries)
        case LocalTarget():
            return "boots from its own disk"
        case DeniedTarget():
            return "boots nothing"
    assert_never(target)


def _record_rows(mac: MacAddress, client: Client | None, config: Config) -> Iterator[Row]:
    """What is settled before an image is looked at."""
    yield Row("mac", mac, "you asked for it" if client is None else CLIENT)
    if client is None:
        unknown = config.clients.unknown
        yield Row("unknown clients get", unknown, _configured(unknown, Config().clients.unknown))
        return
    yield Row("image", client.image, CLIENT)
    if client.san:
        yield Row("san", client.san, CLIENT)
    if client.profiles:
        yield Row("profiles", client.profiles, CLIENT)


def _strategy_row(client: Client | None, telling: ClientTelling | None) -> Row:
    """How its firmware is told what to boot."""
    if client is not None and client.strategy is not None:
        return Row("strategy", client.strategy, CLIENT)
    if telling is None:
        return Row("strategy", None, "its firmware, which has not asked yet or knows one way alone")
    if telling.lesson is None:
        return Row("strategy", telling.strategy, DEFAULT)
    return Row("strategy", telling.strategy, f"its make {telling.fingerprint}: {telling.reason}")


def _san_rows(target: SanTarget, layers: Sequence[Layer], arch: int) -> Iterator[Row]:
    yield Row("hostname", target.hostname, CLIENT)
    yield Row("initiator", target.initiator, "hostname")
    yield Row("loader", target.loader, settle(layers, arch).sources["loader"])
    yield Row("loader_file", loader_name(target.loader, arch), "loader and architecture")


def _image_rows(
    target: ImageTarget, client: Client | None, layers: Sequence[Layer], arch: int, version_source: str
) -> Iterator[Row]:
    version, sources = target.version, settle(layers, arch).sources
    yield Row("version", version.label, version_source)
    yield Row("digest", version.digest, IMAGE)
    yield Row("kernel", version.kernel_version, IMAGE)
    yield Row("hostname", target.hostname, CLIENT if client else "MAC address")
    yield Row("machine_id", target.machine_id, "MAC address and this installation's secret")
    yield Row("loader", target.loader, sources["loader"])
    yield Row("loader_file", loader_name(target.loader, arch), "loader and architecture")
    for name in WISHES:
        yield Row(name, getattr(target, name), sources[name])
    yield Row("shell", target.shell, sources["shell"])
    for each in layers:
        if each.files is not None:
            yield Row("files", each.files, each.source)
    # The words of the kernel line in their order, of which the kernel mostly heeds the last.
    for words, source in ((version.kernel_args, IMAGE), *((each.kernel_args, each.source) for each in layers)):
        if words:
            yield Row("kernel_args", words, source)


def _version_source(client: Client | None, images: ImageStore) -> str:
    if client is None or client.image is None:
        return CONFIG
    meant = images.tags(client.image.image).meant(client.image.selector)
    return CLIENT if isinstance(meant, int) else f"tag {meant} of {client.image.image}"


def _address(sources: Sequence[tuple[str, str]]) -> IPv4Address | None:
    """Its reserved or last address; None while it has none."""
    first = sources[0][0]
    return None if first == FROM_POOL else IPv4Address(first)


def _configured(value: object, default: object) -> str:
    return DEFAULT if value == default else CONFIG


def _arch(stories: Stories, mac: MacAddress, client: Client | None) -> tuple[int, str]:
    """The architecture that the client named when it was last seen, else the most usual one that its loader is for."""
    for event in stories.events.newest(1, only=EventFilter(mac=mac, kinds=_SEEN)):
        if isinstance(arch := event.details.get("arch"), int):
            return arch, "the client, when it was last seen"
    wants_bios = client is not None and client.loader is LoaderChoice.PXELINUX
    return Arch.BIOS if wants_bios else Arch.X64_UEFI, "assumed, since the client was never seen"
