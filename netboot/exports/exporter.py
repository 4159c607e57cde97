"""The exporter: what the daemon asks to make a client's root reachable, in whatever way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network

from netboot.errors import NetbootError
from netboot.exports.iscsi_exporter import IscsiExporter
from netboot.exports.nfs_exporter import NfsExporter
from netboot.exports.plan import Export
from netboot.model.image import Version
from netboot.model.root import RootMode, RootPlace
from netboot.model.target import ImageTarget


class Exporter:
    """Both kinds as one.  Every method but `served` blocks; all may be called from any thread."""

    def __init__(self, nfs: NfsExporter, iscsi: IscsiExporter) -> None:
        self._nfs = nfs
        self._iscsi = iscsi

    @property
    def backend_name(self) -> str:
        return self._nfs.backend_name

    def start(self, versions: Iterable[Version], own: Sequence[Export] = ()) -> tuple[NetbootError, ...]:
        """Export again those of `versions` that were exported before, and clients' own data; why some cannot be.

        Raises `Unavailable` when the NFS server cannot serve.
        """
        found = tuple(versions)
        return (*self._nfs.start(found, own), *self._iscsi.start(found))

    def steps(
        self, versions: Iterable[Version], images: Iterable[ImageTarget], own: Sequence[Export] = ()
    ) -> Iterator[str]:
        """What `start`, and `ensure` of these, would do, a line a step; nothing is done."""
        found, wanted = tuple(versions), tuple(images)
        yield from self._nfs.steps(found, ((each.version, each.form) for each in wanted if not _by_iscsi(each)), own)
        yield from self._iscsi.steps(found, [each for each in wanted if _by_iscsi(each)])

    def ensure(self, image: ImageTarget) -> RootPlace:
        """Make the root of a client reachable to it, if it is not; returns when it can be attached."""
        if _by_iscsi(image):
            return self._iscsi.ensure(image)
        return self._nfs.ensure(image.version, image.form)

    def served(self, image: ImageTarget) -> RootPlace | None:
        """Where the root of a client is that is reachable already.  Returns at once: every request asks."""
        if _by_iscsi(image):
            return self._iscsi.served(image)
        return self._nfs.served(image.version, image.form)

    def share(self, own: Sequence[Export]) -> None:
        """Export these data of clients' own from now on, and no other."""
        self._nfs.share(own)

    def serve(self, networks: Iterable[IPv4Network]) -> None:
        """Export to `networks` from now on, what is exported already too; clients of the others lose it."""
        found = tuple(networks)
        self._nfs.serve(found)
        self._iscsi.serve(found)

    def keep_up(self) -> bool:
        """Start servers again that died, and give them again what they lost; whether there was anything to do."""
        return any([self._nfs.keep_up(), self._iscsi.keep_up()])

    def stop(self) -> None:
        """Withdraw what is exported, as far as nobody runs from it."""
        self._iscsi.stop()
        self._nfs.stop()


def _by_iscsi(image: ImageTarget) -> bool:
    return image.root is RootMode.ISCSI
