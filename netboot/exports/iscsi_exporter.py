"""The exporter of disks: versions for all their clients, and clients' own, as targets of one server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from netboot.errors import NetbootError
from netboot.exports.own_disks import OwnDisks
from netboot.exports.target_server import TargetServer
from netboot.exports.targets import describe
from netboot.exports.version_targets import VersionTargets
from netboot.model.image import Version
from netboot.model.iscsi import initiator_name
from netboot.model.root import RootPlace
from netboot.model.target import ImageTarget


class IscsiExporter:
    """Both kinds as one.  Every method but `served` blocks; all may be called from any thread."""

    def __init__(self, server: TargetServer, versions: VersionTargets, disks: OwnDisks) -> None:
        self._server = server
        self._versions = versions
        self._disks = disks

    def start(self, versions: Iterable[Version]) -> tuple[NetbootError, ...]:
        """Serve again what clients may run from: `versions` that were served before, and all disks of their own.

        Returns why some cannot be.
        """
        errors = [*self._versions.restore(versions), *self._disks.restore()]
        targets = [*self._versions.targets, *self._disks.targets]
        if targets or self._versions.were_served:
            try:
                self._server.settle(targets)
            except NetbootError as error:
                errors.append(error)
            else:
                self._versions.forget_others()
        return tuple(errors)

    def steps(self, versions: Iterable[Version], wanted: Iterable[ImageTarget]) -> Iterator[str]:
        """What `start`, and `ensure` of what is `wanted`, would do, a line a step; nothing is done.

        Disks of clients' own are made when these boot.
        """
        shared = [
            (each.version, each.root_format, initiator_name(each.hostname)) for each in wanted if not each.has_own_disk
        ]
        targets, unmade = self._versions.expected(versions, shared)
        yield from unmade
        all_targets = [*targets, *self._disks.expected()]
        if all_targets or self._versions.were_served:
            yield from describe(self._server.plan(all_targets))

    def ensure(self, image: ImageTarget) -> RootPlace:
        """Make a client's root reachable to it, if it is not; returns when it can log in."""
        if image.has_own_disk:
            return self._disks.ensure(image)
        return self._versions.ensure(image.version, image.root_format, initiator_name(image.hostname))

    def served(self, image: ImageTarget) -> RootPlace | None:
        """Where the root of a client is that can log in already.  Returns at once, unlike `ensure`."""
        if image.has_own_disk:
            return self._disks.served(image)
        return self._versions.served(image.version, image.root_format, initiator_name(image.hostname))

    def serve(self, networks: Iterable[IPv4Network]) -> None:
        """Serve versions to `networks` from now on; a client's own disk is for it wherever it is."""
        self._versions.serve(networks)

    def keep_up(self) -> bool:
        """Start the server again if it died, and give it again what it lost; whether there was anything to do.

        Also lets go of disks that nobody needs.
        """
        revived = self._server.keep_up()
        # Last, as it waits while a disk is made.
        self._disks.review()
        return revived

    def stop(self) -> None:
        """Take the targets away, as far as nobody is logged in.  Clients wait until a daemon comes back."""
        self._server.stop()
