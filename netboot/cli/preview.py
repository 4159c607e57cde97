"""What a client would be sent now: its kernel line and its script, rendered by what the daemon renders with.

What is exported nothing changes here: where a root will be is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.boot.cmdline import kernel_line
from netboot.boot.loaders import loader_name
from netboot.boot.script import Renderer, ScriptContext, ScriptKind
from netboot.config import Config
from netboot.config.paths import DataDir, templates_dir
from netboot.errors import NetbootError, Unavailable
from netboot.exports.detect import make_iscsi_backend
from netboot.exports.places import expected_place
from netboot.images.rootfiles import known_files
from netboot.model.loader import LoaderChoice
from netboot.model.request import Arch
from netboot.model.root import RootMode, RootPlace
from netboot.model.target import ImageTarget, SanTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`root` is MODE:SERVER:PLACE, as it stands on the kernel line; `script` is in the language `kind`.

    A disk with a loader of its own has neither root nor kernel line of ours.
    """

    server: IPv4Address
    kind: ScriptKind
    script: str
    root: str = ""
    kernel_line: tuple[str, ...] = ()


def preview(image: ImageTarget, arch: int, address: IPv4Address | None, config: Config, data: DataDir) -> Preview:
    """What a client of this architecture, with this address if it is known, would be sent.

    Raises a `NetbootError` that says why nobody can tell.
    """
    server = _server_for(config, address)
    kind = _kind(image, arch)
    files = known_files(image.version, image.root_format)
    place = expected_place(
        image, files, exports=data.exports, clients=data.clients, first_lun=_first_lun(image, config, data)
    )
    return Preview(
        server=server,
        root=f"{image.root}:{server}:{place.place}",
        kernel_line=kernel_line(image, server=server, http_port=config.http.port, root=place),
        kind=kind,
        script=_render(kind, image, server, config, place),
    )


def san_preview(target: SanTarget, address: IPv4Address | None, config: Config) -> Preview:
    """The same of a client that boots a disk with a loader of its own."""
    server = _server_for(config, address)
    context = ScriptContext(server=server, http_port=config.http.port, root_of=lambda _: RootPlace(""))
    script = Renderer(templates_dir(), config.templates).render(ScriptKind.IPXE, target, context)
    return Preview(server=server, kind=ScriptKind.IPXE, script=script)


def _first_lun(image: ImageTarget, config: Config, data: DataDir) -> int:
    if image.root is not RootMode.ISCSI:
        return 0
    return make_iscsi_backend(config.exports.iscsi, run=data.run, root=data.exports).first_lun


def _render(kind: ScriptKind, image: ImageTarget, server: IPv4Address, config: Config, place: RootPlace) -> str:
    context = ScriptContext(server=server, http_port=config.http.port, root_of=lambda _: place)
    return Renderer(templates_dir(), config.templates).render(kind, image, context)


def _server_for(config: Config, address: IPv4Address | None) -> IPv4Address:
    """The server's address on the client's network, or on the first that it serves when that is not known."""
    own = _own_addresses(config)
    if not own:
        raise Unavailable(
            "which address of the server it would use is not known", hint="name the daemon's file with --config"
        )
    home = config.subnet_of(address) if address else None
    return next((each for each in own if home is not None and each in home.network), own[0])


def _own_addresses(config: Config) -> Sequence[IPv4Address]:
    named = [each.address for each in config.interface if each.address]
    if len(named) == len(config.interface):
        return named
    from netboot.system.links import Links  # netlink's library takes a quarter of a second to load

    names = {each.name for each in config.interface}
    try:
        with Links() as links:
            return [*named, *(each.address for each in links.list() if each.name in names and each.address)]
    except NetbootError:
        return named


def _kind(image: ImageTarget, arch: int) -> ScriptKind:
    """The language that the client's loader speaks."""
    if arch == Arch.RASPBERRY_PI:
        return ScriptKind.PI_CMDLINE
    if arch in (Arch.ARM32_UBOOT, Arch.ARM64_UBOOT):
        return ScriptKind.UBOOT
    name = loader_name(image.loader, arch) or str(image.loader)
    folder = name.partition("/")[0]
    return _KINDS.get(folder, ScriptKind.IPXE)


_KINDS = {str(LoaderChoice.PXELINUX): ScriptKind.PXELINUX, str(LoaderChoice.GRUB): ScriptKind.GRUB}
