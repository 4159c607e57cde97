"""Why a client boots what it boots: each setting, its value, and who said so.

The target itself comes from `boot.choose`, which the daemon asks too; this module only adds where each of its
values came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from netboot.boot.choose import BootPolicy, choose
from netboot.cli.shapes import Shape, plain
from netboot.cli.stories import Stories
from netboot.config import BootSettings, Config
from netboot.images.store import ImageStore
from netboot.model.client import Client, LoaderChoice
from netboot.model.event import EventKind
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.request import Arch, BootRequest, Firmware, Stage, arch_name
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, LocalTarget, MenuTarget
from netboot.store import Engine, installation_secret
from netboot.store.events import EventFilter

CLIENT, CONFIG, IMAGE, DEFAULT = "client record", "configuration", "image", "default"

_SEEN = frozenset({EventKind.DISCOVERED})


@dataclass(frozen=True, slots=True)
class Row:
    """One setting of a boot."""

    name: str
    value: object
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is booted, why, and every setting of it; `hint` is the command that would change a refusal."""

    whose: str
    kind: str
    result: str
    reason: str
    hint: str
    rows: tuple[Row, ...]


def explain_client(key: str, *, engine: Engine, images: ImageStore, config: Config) -> Explanation:
    """Explain the client of this name or MAC address; `NotFound` for a name that nobody has."""
    stories = Stories(engine)
    mac = stories.mac(key)
    policy = BootPolicy(
        clients=stories.clients,
        versions=images,
        unknown=config.clients.unknown,
        kernel_args=config.boot.kernel_args,
        upper_size=config.boot.upper_size,
        shell=config.boot.shell,
        machine_id_seed=installation_secret(engine),
    )
    client = stories.clients.find(mac)
    arch, seen = _arch(stories, mac, client)
    request = BootRequest(mac=mac, stage=Stage.FIRMWARE, firmware=Firmware.UNKNOWN, arch=arch)
    target = choose(request, policy)
    known = (*_record_rows(mac, client, config), Row("arch", arch_name(arch), seen))
    return Explanation(
        whose=f"client {client.name} ({mac})" if client else f"unknown client {mac}",
        kind=_KINDS[type(target)],
        result=_result(target),
        reason=target.reason,
        hint=target.hint if isinstance(target, DeniedTarget) else "",
        rows=(*known, *(_image_rows(target, client, config) if isinstance(target, ImageTarget) else ())),
    )


def explanation_shape(explanation: Explanation) -> Shape:
    return {
        "client": explanation.whose,
        "target": explanation.kind,
        "result": explanation.result,
        "reason": explanation.reason,
        "hint": explanation.hint,
        "settings": [{"name": row.name, "value": plain(row.value), "source": row.source} for row in explanation.rows],
    }


_KINDS: dict[type, str] = {ImageTarget: "image", MenuTarget: "menu", LocalTarget: "local", DeniedTarget: "denied"}


def _result(target: BootTarget) -> str:
    match target:
        case ImageTarget():
            return f"boots {target.version.label}"
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
    yield Row("address", client.address or "from the pool", CLIENT if client.address else DEFAULT)


def _image_rows(target: ImageTarget, client: Client | None, config: Config) -> Iterator[Row]:
    version, defaults = target.version, BootSettings()
    yield Row("version", version.label, _version_source(version, client))
    yield Row("digest", version.digest, IMAGE)
    yield Row("kernel", version.kernel_version, IMAGE)
    yield Row("hostname", target.hostname, CLIENT if client else "MAC address")
    yield Row("machine_id", target.machine_id, "MAC address and this installation's secret")
    yield Row("root", target.root, CLIENT if client else DEFAULT)
    yield Row("loader", target.loader, DEFAULT if target.loader is LoaderChoice.AUTO else CLIENT)
    yield Row("upper_size", target.upper_size, _configured(target.upper_size, defaults.upper_size))
    yield Row("shell", target.shell, _shell_source(client, config))
    yield from _kernel_rows(version, client, config)


def _kernel_rows(version: Version, client: Client | None, config: Config) -> Iterator[Row]:
    """The words of the kernel line in their order, of which the kernel mostly heeds the last."""
    said: Sequence[tuple[tuple[str, ...], str]] = (
        (version.kernel_args, IMAGE),
        (config.boot.kernel_args, CONFIG),
        (client.kernel_args if client else (), CLIENT),
    )
    for words, source in said:
        if words:
            yield Row("kernel_args", words, source)


def _version_source(version: Version, client: Client | None) -> str:
    if client is None or client.image is None:
        return CONFIG
    fixed = client.image.selector == version.number
    return CLIENT if fixed else f"{client.image.selector} version of {client.image.image}"


def _shell_source(client: Client | None, config: Config) -> str:
    if config.boot.shell:
        return CONFIG
    return CLIENT if client and client.shell else DEFAULT


def _configured(value: object, default: object) -> str:
    return DEFAULT if value == default else CONFIG


def _arch(stories: Stories, mac: MacAddress, client: Client | None) -> tuple[int, str]:
    """The architecture that the client named when it was last seen, else the most usual one that its loader is for."""
    for event in stories.events.newest(1, only=EventFilter(mac=mac, kinds=_SEEN)):
        if isinstance(arch := event.details.get("arch"), int):
            return arch, "the client, when it was last seen"
    wants_bios = client is not None and client.loader is LoaderChoice.PXELINUX
    return Arch.BIOS if wants_bios else Arch.X64_UEFI, "assumed, since the client was never seen"
