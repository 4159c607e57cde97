"""Versions made reachable over NFS, as trees or as files.

A form of a version is mounted once, at EXPORTS/NAME/NUMBER or EXPORTS/NAME/NUMBER.FORMAT, and stays while the daemon
lives.  Nothing is kept but in the kernel and on disk: a mount that is there is taken over, and the folders of former
exports tell a starting daemon which versions running clients may hang on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from netboot.errors import InvalidInput, NetbootError
from netboot.exports.backend import Backend
from netboot.exports.kept import forget_files
from netboot.exports.mounting import FILES, kept_at, mount_form, unmount_below
from netboot.exports.places import nfs_place
from netboot.exports.plan import Export, check_root, describe, export_of, make_plan
from netboot.images.rootfiles import is_at_hand
from netboot.model.image import Version
from netboot.model.root import RootFiles, RootForm, RootFormat, RootMode, RootPlace
from netboot.system.mounts import mounted, mounts, unmount

FORMS = (RootForm(RootMode.NFS), *(RootForm(RootMode.NFS_FILE, each) for each in RootFormat))


@dataclass(frozen=True, slots=True)
class _Served:
    """What is exported, and what its clients are told."""

    export: Export
    place: RootPlace


class NfsExporter:
    """Mounts versions below `root` and exports them to `networks` by `backend`.

    `files_of` gives the file of a version's root in a format, and makes it if it is not there.  Every method but
    `served` blocks; all may be called from any thread.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        root: Path,
        networks: Iterable[IPv4Network],
        files_of: Callable[[Version, RootFormat], RootFiles],
    ) -> None:
        check_root(root)
        self._backend = backend
        self._root = root.resolve()
        self._networks = _checked(networks)
        self._files_of = files_of
        self._served: dict[tuple[str, RootForm], _Served] = {}
        self._own: tuple[Export, ...] = ()
        self._lock = threading.Lock()

    @property
    def backend_name(self) -> str:
        return self._backend.name

    def start(self, versions: Iterable[Version], own: Sequence[Export] = ()) -> tuple[NetbootError, ...]:
        """Export again those of `versions` that were exported before, for clients that run from them, and `own`.

        Those are clients' own data, mounted by whoever gives them (see `share`).  Returns why some cannot be: one
        damaged version keeps no client of another waiting.  Raises `Unavailable` when the NFS server cannot serve, also
        when nothing is exported yet.
        """
        errors: list[NetbootError] = []
        with self._lock:
            self._backend.prepare()
            served = {}
            for version, form in self._before(versions):
                try:
                    served[version.label, form] = self._mount(version, form)
                except NetbootError as error:
                    errors.append(error)
            if served or own:
                self._carry_out(served, own)
            forget_files(self._root / FILES, {kept_at(each.export, root=self._root) for each in served.values()})
        return tuple(errors)

    def steps(
        self, versions: Iterable[Version], wanted: Iterable[tuple[Version, RootForm]], own: Sequence[Export] = ()
    ) -> Iterator[str]:
        """What `start`, and `ensure` of what is `wanted`, would do, a line a step; nothing is done."""
        every = (self._export(version, form) for version, form in (*self._before(versions), *wanted))
        exports = {export.path: export for export in (*every, *own)}
        yield from (f"mount {each.label} at {each.path}" for each in exports.values() if mounted(each.path) is None)
        yield from describe(make_plan(exports.values(), self._backend.observe()))

    def ensure(self, version: Version, form: RootForm) -> RootPlace:
        """Make a form of `version` reachable, if it is not; returns when a client can mount it.

        Its file may have to be made first, which keeps nobody waiting who asks for another version.
        """
        if self.served(version, form) is None:
            self._files_of(version, form.format or RootFormat.EXT4)
        with self._lock:
            known = self._served.get((version.label, form))
            if known is None or mounted(known.export.path) is None:
                # Remembered only once it is served, so that a retry tries.
                self._carry_out({**self._served, (version.label, form): self._mount(version, form)})
            return self._served[version.label, form].place

    def served(self, version: Version, form: RootForm) -> RootPlace | None:
        """Where a form is that is reachable already.  Returns at once, unlike `ensure`: every request asks."""
        known = self._served.get((version.label, form))
        return known.place if known is not None and _is_mount(known.export.path) else None

    def share(self, own: Sequence[Export]) -> None:
        """Export these data of clients' own from now on, and no other; who mounted them may unmount others then."""
        with self._lock:
            if tuple(own) != self._own:
                self._carry_out(self._served, own)

    def serve(self, networks: Iterable[IPv4Network]) -> None:
        """Export to `networks` from now on, what is exported already too; clients of the others lose it."""
        with self._lock:
            self._networks = _checked(networks)
            moved = {
                key: replace(each, export=replace(each.export, networks=self._networks))
                for key, each in self._served.items()
            }
            if moved != self._served:
                self._carry_out(moved)

    def keep_up(self) -> bool:
        """Start the NFS server again if it died, and give it again what it lost; whether there was anything to do.

        For the daemon to call every few seconds.  An admin's `exportfs -ra` loses what is not in /etc/exports.
        """
        with self._lock:
            if not self._served and not self._own:
                return False
            started = self._backend.keep_up()
            desired = _exports(self._served, self._own)
            plan = make_plan(desired, self._backend.observe())
            if plan:
                self._backend.carry_out(plan, desired)
            return started or bool(plan)

    def stop(self) -> None:
        """Withdraw the exports and unmount, in reverse.  Clients wait until a daemon comes back, or go on."""
        with self._lock:
            may_unmount = self._backend.stop()
            self._served.clear()
            self._own = ()
            if may_unmount:
                unmount_below(self._root, mounts())

    def _before(self, versions: Iterable[Version]) -> Iterator[tuple[Version, RootForm]]:
        """What was exported before, as far as it is at hand."""
        for version, form in ((version, form) for version in versions for form in FORMS):
            if self._export(version, form).path.is_dir() and is_at_hand(version, form.format or RootFormat.EXT4):
                yield version, form

    def _export(self, version: Version, form: RootForm) -> Export:
        return export_of(version, form, root=self._root, networks=self._networks)

    def _carry_out(self, served: dict[tuple[str, RootForm], _Served], own: Sequence[Export] | None = None) -> None:
        """Serve these from now on, and what no longer is among them no more; as before when it fails."""
        own = self._own if own is None else tuple(own)
        desired = _exports(served, own)
        try:
            self._backend.carry_out(make_plan(desired, self._backend.observe()), desired)
        except NetbootError:
            self._undo(before=_exports(self._served, self._own), after=desired)
            raise
        self._served, self._own = served, own

    def _undo(self, *, before: tuple[Export, ...], after: tuple[Export, ...]) -> None:
        """What can be taken back is; what cannot, the next plan finds, since it begins with what is observed."""
        with suppress(NetbootError):
            self._backend.carry_out(make_plan(before, self._backend.observe()), before)
        kept = {each.path for each in before}
        for path in (each.path for each in after if each.path not in kept):
            with suppress(NetbootError):
                unmount(path)

    def _mount(self, version: Version, form: RootForm) -> _Served:
        export = self._export(version, form)
        files = self._files_of(version, form.format or RootFormat.EXT4)
        mount_form(export, version, form, files, root=self._root)
        return _Served(export, nfs_place(export, form, files))


def _exports(served: dict[tuple[str, RootForm], _Served], own: tuple[Export, ...]) -> tuple[Export, ...]:
    return (*(each.export for each in served.values()), *own)


def _checked(networks: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    found = tuple(sorted(set(networks)))
    if not found:
        raise InvalidInput("no network is served, so there is nobody to export to", hint="add a [[subnet]]")
    return found


def _is_mount(path: Path) -> bool:
    """Whether something is mounted there: a mount has another device number than the folder that holds it."""
    try:
        return os.stat(path).st_dev != os.stat(path.parent).st_dev  # noqa: PTH116 - asked with every request
    except OSError:
        return False
