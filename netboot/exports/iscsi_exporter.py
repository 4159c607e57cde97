"""Versions made reachable as iSCSI targets.

A target is one version in one format, for all its clients; its files are kept as those of NFS exports are.  The server
of the targets is looked for when the first client wants one: a site without iSCSI needs none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from netboot.errors import NetbootError, NotFound
from netboot.exports.iscsi import IscsiBackend, place_of, version_target
from netboot.exports.kept import forget_files, keep_files, kept_files
from netboot.exports.targets import Chap, Initiator, Target, describe, make_plan
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


class IscsiExporter:
    """Serves versions from files kept below `root`, to `networks`, by the backend that `make_backend` finds.

    With `chap_of` a target admits the initiators alone that it was asked for, each by that secret.  Every method but
    `served` blocks; all may be called from any thread.
    """

    def __init__(
        self,
        make_backend: Callable[[], IscsiBackend],
        *,
        root: Path,
        networks: Iterable[IPv4Network],
        files_of: Callable[[Version, RootFormat], RootFiles],
        chap_of: Callable[[str], Chap] | None = None,
    ) -> None:
        self._make_backend = make_backend
        self._root = root.resolve() / TARGETS
        self._networks = tuple(sorted(set(networks)))
        self._files_of = files_of
        self._chap_of = chap_of
        self._backend: IscsiBackend | None = None
        self._is_prepared = False
        self._served: dict[tuple[str, RootFormat], _Served] = {}
        self._lock = threading.Lock()

    def start(self, versions: Iterable[Version]) -> tuple[NetbootError, ...]:
        """Serve again those of `versions` that were served before, for clients that run from them.

        Returns why some cannot be.
        """
        errors: list[NetbootError] = []
        with self._lock:
            served = {}
            for version, format in self._before(versions):
                try:
                    served[version.label, format] = self._make(version, format, self._admitted(version, format))
                except NetbootError as error:
                    errors.append(error)
            if served or self._root.is_dir():
                try:
                    self._carry_out(served)
                except NetbootError as error:
                    errors.append(error)
                else:
                    forget_files(self._root, {each.folder for each in served.values()})
        return tuple(errors)

    def steps(self, versions: Iterable[Version], wanted: Iterable[tuple[Version, RootFormat, str]]) -> Iterator[str]:
        """What `start`, and `ensure` of what is `wanted`, would do, a line a step; nothing is done."""
        admitted = {
            (v.label, format): (v, format, {*self._admitted(v, format)}) for v, format in self._before(versions)
        }
        for version, format, initiator in wanted:
            admitted.setdefault((version.label, format), (version, format, set()))[2].add(initiator)
        if not admitted and not self._root.is_dir():
            return
        targets = []
        for version, format, names in admitted.values():
            try:
                files = kept_files(known_files(version, format), self._folder(version, format))
            except NotFound as error:
                yield f"make {version.label} as {format}, and a target of it: {error.message}"
            else:
                targets.append(self._target(version, format, files, names))
        yield from describe(make_plan(targets, self._server().observe()))

    def ensure(self, version: Version, format: RootFormat, initiator: str) -> RootPlace:
        """Make the version reachable to this initiator, if it is not; returns when it can log in."""
        if place := self.served(version, format, initiator):
            return place
        self._files_of(version, format)
        with self._lock:
            known = self._served.get((version.label, format))
            admitted = {initiator, *(each.name for each in (known.target.initiators if known else ()))}
            made = self._make(version, format, admitted)
            self._carry_out({**self._served, (version.label, format): made}, only=made.target.name)
            return made.place

    def served(self, version: Version, format: RootFormat, initiator: str) -> RootPlace | None:
        """Where a version is that the initiator can reach already.  Returns at once, unlike `ensure`."""
        known = self._served.get((version.label, format))
        if known is None or (self._chap_of and all(each.name != initiator for each in known.target.initiators)):
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
                self._carry_out(moved)

    def keep_up(self) -> bool:
        """Start the server again if it died, and give it again what it lost; whether there was anything to do."""
        with self._lock:
            if not self._served:
                return False
            backend = self._started()
            revived = backend.keep_up()
            plan = make_plan((each.target for each in self._served.values()), backend.observe())
            if plan:
                backend.carry_out(plan)
            return revived or bool(plan)

    def stop(self) -> None:
        """Take the targets away, as far as nobody is logged in.  Clients wait until a daemon comes back."""
        with self._lock:
            if self._backend is not None and self._is_prepared:
                self._backend.stop()
            self._served.clear()

    def _folder(self, version: Version, format: RootFormat) -> Path:
        return self._root / version.image / f"{version.number}.{format}"

    def _server(self) -> IscsiBackend:
        """The server, which may not run yet."""
        if self._backend is None:
            self._backend = self._make_backend()
        return self._backend

    def _started(self) -> IscsiBackend:
        """The server, seen to be able to serve."""
        backend = self._server()
        if not self._is_prepared:
            backend.prepare()
            self._is_prepared = True
        return backend

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
        first_lun = self._server().first_lun
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

    def _carry_out(self, served: dict[tuple[str, RootFormat], _Served], *, only: str | None = None) -> None:
        """Serve these from now on; as before when it fails.  Where only one differs, it alone is looked at."""
        try:
            self._change_to(served, only)
        except NetbootError:
            with suppress(NetbootError):
                self._change_to(self._served, only)
            raise
        self._served = served

    def _change_to(self, served: dict[tuple[str, RootFormat], _Served], only: str | None) -> None:
        backend = self._started()
        desired = (each.target for each in served.values() if only in (None, each.target.name))
        if plan := make_plan(desired, backend.observe(None if only is None else [only])):
            backend.carry_out(plan)
