"""Versions as iSCSI targets.

A target is one version in one format, for all its clients; its files are kept as those of NFS exports are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from netboot.errors import NetbootError, NotFound
from netboot.exports.iscsi import place_of, version_target
from netboot.exports.kept import forget_files, keep_files, kept_files
from netboot.exports.target_server import TargetServer
from netboot.exports.targets import Chap, Initiator, Target
from netboot.images.rootfiles import is_at_hand, known_files
from netboot.model.image import Version
from netboot.model.root import RootFiles, RootFormat, RootPlace

# Below the folder of exports; no image is called so.
TARGETS = ".targets"
# In a target's folder: the names of the initiators that it admits, a line each.
_INITIATORS = "initiators"


@dataclass(frozen=True, slots=True)
class _Served:
    target: Target
    place: RootPlace
    folder: Path


class VersionTargets:
    """Serves versions from files kept below `root`, to `networks`.

    With `chap_of` a target admits the initiators alone that it was asked for, each by that secret.  Every method but
    `served` blocks; all may be called from any thread.
    """

    def __init__(
        self,
        server: TargetServer,
        *,
        root: Path,
        networks: Iterable[IPv4Network],
        files_of: Callable[[Version, RootFormat], RootFiles],
        chap_of: Callable[[str], Chap] | None = None,
    ) -> None:
        self._server = server
        self._root = root.resolve() / TARGETS
        self._networks = tuple(sorted(set(networks)))
        self._files_of = files_of
        self._chap_of = chap_of
        self._served: dict[tuple[str, RootFormat], _Served] = {}
        self._lock = threading.Lock()

    @property
    def targets(self) -> Sequence[Target]:
        """All of them."""
        return [each.target for each in self._served.values()]

    @property
    def were_served(self) -> bool:
        """Whether a daemon before this one had any, which may be there still."""
        return self._root.is_dir()

    def restore(self, versions: Iterable[Version]) -> Iterator[NetbootError]:
        """Take up those of `versions` that were served before; why some cannot be.  The server is to be told."""
        with self._lock:
            for version, format in self._before(versions):
                try:
                    made = self._make(version, format, self._admitted(version, format))
                except NetbootError as error:
                    yield error
                else:
                    self._served[version.label, format] = made

    def forget_others(self) -> None:
        """Remove the files of what is not served."""
        forget_files(self._root, {each.folder for each in self._served.values()})

    def expected(
        self, versions: Iterable[Version], wanted: Iterable[tuple[Version, RootFormat, str]]
    ) -> tuple[Sequence[Target], Sequence[str]]:
        """The targets after `restore`, and `ensure` of what is `wanted`; in words those that are yet to be made."""
        admitted = {
            (v.label, format): (v, format, {*self._admitted(v, format)}) for v, format in self._before(versions)
        }
        for version, format, initiator in wanted:
            admitted.setdefault((version.label, format), (version, format, set()))[2].add(initiator)
        targets, unmade = [], []
        for version, format, names in admitted.values():
            try:
                files = kept_files(known_files(version, format), self._folder(version, format))
            except NotFound as error:
                unmade.append(f"make {version.label} as {format}, and a target of it: {error.message}")
            else:
                targets.append(self._target(version, format, files, names))
        return targets, unmade

    def ensure(self, version: Version, format: RootFormat, initiator: str) -> RootPlace:
        """Make the version reachable to this initiator, if it is not; returns when it can log in."""
        if place := self.served(version, format, initiator):
            return place
        self._files_of(version, format)
        with self._lock:
            known = self._served.get((version.label, format))
            admitted = {initiator, *(each.name for each in (known.target.initiators if known else ()))}
            made = self._make(version, format, admitted)
            self._server.put([made.target])
            self._served[version.label, format] = made
            return made.place

    def served(self, version: Version, format: RootFormat, initiator: str) -> RootPlace | None:
        """Where a version is that the initiator can reach already.  Returns at once, unlike `ensure`."""
        known = self._served.get((version.label, format))
        if known is None or not self._server.serves(known.target.name):
            return None
        if self._chap_of and all(each.name != initiator for each in known.target.initiators):
            return None
        return known.place

    def serve(self, networks: Iterable[IPv4Network]) -> None:
        """Serve `networks` from now on."""
        with self._lock:
            self._networks = tuple(sorted(set(networks)))
            moved = {
                key: replace(each, target=replace(each.target, networks=self._networks))
                for key, each in self._served.items()
            }
            if moved != self._served:
                self._server.put(each.target for each in moved.values())
                self._served = moved

    def _folder(self, version: Version, format: RootFormat) -> Path:
        return self._root / version.image / f"{version.number}.{format}"

    def _make(self, version: Version, format: RootFormat, admitted: Iterable[str]) -> _Served:
        """Its files, kept, as a target; remembered with whom it admits, for the next daemon."""
        folder = self._folder(version, format)
        files = keep_files(self._files_of(version, format), folder)
        target = self._target(version, format, files, admitted)
        if target.initiators:
            names = "".join(f"{each.name}\n" for each in target.initiators)
            (folder / _INITIATORS).write_text(names, encoding="utf-8")
        return _Served(target, RootPlace(place_of(target), root_hash=files.root_hash), folder)

    def _target(self, version: Version, format: RootFormat, files: RootFiles, admitted: Iterable[str]) -> Target:
        first_lun = self._server.first_lun
        target = version_target(version, format, files, first_lun=first_lun, networks=self._networks)
        if self._chap_of is None:
            return target
        initiators = (Initiator(name=name, chap=self._chap_of(name)) for name in sorted(set(admitted)))
        return replace(target, initiators=tuple(initiators))

    def _before(self, versions: Iterable[Version]) -> Iterator[tuple[Version, RootFormat]]:
        """What was served before, as far as it is at hand."""
        for version, format in ((version, format) for version in versions for format in RootFormat):
            if self._folder(version, format).is_dir() and is_at_hand(version, format):
                yield version, format

    def _admitted(self, version: Version, format: RootFormat) -> frozenset[str]:
        """The initiators that were admitted before."""
        try:
            return frozenset((self._folder(version, format) / _INITIATORS).read_text(encoding="utf-8").split())
        except OSError:
            return frozenset()
