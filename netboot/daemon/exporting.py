"""What the daemon exports when it starts, and the exporter that does it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from netboot.boot.choose import BootPolicy, choose
from netboot.boot.loaderfiles import loader_files
from netboot.config import Config
from netboot.config.paths import DataDir
from netboot.daemon.policies import served_networks
from netboot.errors import NetbootError
from netboot.exports.detect import make_backend, make_iscsi_backend
from netboot.exports.exporter import Exporter
from netboot.exports.iscsi_exporter import IscsiExporter
from netboot.exports.nfs_exporter import NfsExporter
from netboot.exports.own_disks import OwnDisks
from netboot.exports.plan import Export
from netboot.exports.secrets import chap_for, chap_of
from netboot.exports.target_server import TargetServer
from netboot.exports.targets import Chap
from netboot.exports.version_targets import VersionTargets
from netboot.images.derived import find_derived
from netboot.images.rootfiles import root_files
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.request import ANY_ARCH, BootRequest, Firmware, Stage
from netboot.model.root import RootFiles, RootFormat
from netboot.model.target import ImageTarget
from netboot.personal.volumes import Volumes
from netboot.store import ClientDirectory, ClientRepository, installation_secret, open_database

log = logging.getLogger(__name__)

# Stands for a client that nobody added; the address is of the range for documentation (RFC 7042 section 2.1.2).
_NOBODY = MacAddress(bytes.fromhex("00005e005300"))


def secrets_of(config: Config, seed: bytes) -> Callable[[ImageTarget], Chap | None]:
    """What clients prove themselves by to their iSCSI targets; `seed` is the installation's secret."""
    return partial(chap_for, seed, always=config.exports.iscsi_chap)


def make_exporter(config: Config, data: DataDir, images: ImageStore, *, seed: bytes) -> Exporter:
    """The exporter for this machine's servers.  Raises `Unavailable` when there is none of NFS."""
    networks, files_of = served_networks(config), partial(_files_of, images)
    backend = make_backend(config.exports.backend, run=data.run, root=data.exports)
    server = TargetServer(partial(make_iscsi_backend, config.exports.iscsi, run=data.run, root=data.exports))
    prove = partial(chap_of, seed)
    versions = VersionTargets(
        server,
        root=data.exports,
        networks=networks,
        files_of=files_of,
        chap_of=prove if config.exports.iscsi_chap else None,
    )
    disks = OwnDisks(
        server,
        clients=data.clients,
        root_of=lambda version: files_of(version, RootFormat.EXT4).path,
        chap_of=prove,
    )
    return Exporter(
        NfsExporter(backend, root=data.exports, networks=networks, files_of=files_of),
        IscsiExporter(server, versions, disks),
    )


def make_exports_ready(
    exporter: Exporter, images: ImageStore, clients: ClientDirectory, policy: BootPolicy, own: Sequence[Export] = ()
) -> None:
    """Export what running clients may hang on, their `own` data as well, then what the next boots will want.

    Blocks.  Done before clients are answered, so that none meets an export that is not there yet.  A version that is
    damaged is told in the log, and to its clients when they ask for their script.
    """
    versions, unreadable = images.readable()
    for error in (*unreadable, *exporter.start(versions, own)):
        log.error("a version cannot be exported: %s", error)
    for image in assigned(clients, policy):
        if image.has_own_disk:
            continue  # made when its client boots
        try:
            if exporter.served(image) is None:
                exporter.ensure(image)
        except NetbootError as error:
            log.error("%s cannot be exported: %s", image.version.label, error)


def export_steps(config: Config, data: DataDir) -> tuple[str, ...]:
    """What `make_exports_ready` would do, a line a step.  Nothing is done, also while a daemon serves.

    Raises `NotFound` when there is no database yet, which is made by the first `client add` or daemon.
    """
    images = ImageStore(data.images)
    engine = open_database(config.database or data.root, create=False)
    try:
        clients = ClientDirectory(ClientRepository(engine))
        seed = installation_secret(engine)
        loaders = loader_files(config, data)
        policy = BootPolicy.of(config, clients=clients, versions=images, loaders=loaders, secret=seed)
        exporter = make_exporter(config, data, images, seed=seed)
        own = Volumes(data.clients, data.exports, exporter.share).noted()
        return tuple(exporter.steps(images.readable()[0], assigned(clients, policy), tuple(own.values())))
    finally:
        engine.dispose()


def assigned(clients: ClientDirectory, policy: BootPolicy) -> Iterable[ImageTarget]:
    """What each client, and one that nobody added, would boot now."""
    for mac in (_NOBODY, *(each.mac for each in clients.list())):
        request = BootRequest(mac=mac, stage=Stage.LOADER, firmware=Firmware.UNKNOWN, arch=ANY_ARCH)
        if isinstance(target := choose(request, policy), ImageTarget):
            yield target


def _files_of(images: ImageStore, version: Version, format: RootFormat) -> RootFiles:
    """The version's root in a format; the log tells when it has to be made, since clients wait for it."""
    if not images.has_root(version):
        log.info("%s is stored as its changes; its root is made now", version.label)
    if format is not RootFormat.EXT4 and find_derived(version, format) is None:
        log.info("%s is not there as %s; it is made now", version.label, format)
    return root_files(images, version, format)
