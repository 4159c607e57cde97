"""The exporter: what the daemon asks to make a version reachable.

A version's file system is mounted once, at EXPORTS/NAME/NUMBER, and stays while the daemon lives.  Nothing is kept
but in the kernel and on disk: a mount that is there is taken over, and the folders of former exports tell a starting
daemon which versions running clients may hang on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from netboot.errors import InvalidInput, NetbootError, NotPermitted, Unavailable
from netboot.exports.backend import Backend
from netboot.exports.plan import Export, check_root, export_of, make_plan
from netboot.model.image import Version
from netboot.system.loop import attached, find_loop
from netboot.system.mounts import mount_read_only, mounted, mounts, unmount


@dataclass(frozen=True, slots=True)
class NfsExport:
    """Where clients find a version: the path to mount from this server."""

    server_path: str


def _as_it_is(version: Version) -> Path:
    return version.root.path


class Exporter:
    """Mounts versions below `root` and exports them to `networks` by `backend`.

    `materialise` gives the raw root of a version, and makes it if it is not there.  Every method but `served` blocks;
    all may be called from any thread.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        root: Path,
        networks: Iterable[IPv4Network],
        materialise: Callable[[Version], Path] = _as_it_is,
    ) -> None:
        check_root(root)
        self._backend = backend
        self._root = root.resolve()
        self._networks = _checked(networks)
        self._materialise = materialise
        self._exports: dict[str, Export] = {}
        self._lock = threading.Lock()

    @property
    def backend_name(self) -> str:
        return self._backend.name

    def start(self, versions: Iterable[Version]) -> tuple[NetbootError, ...]:
        """Export again those of `versions` that were exported before, for clients that run from them.

        Returns why some cannot be: one damaged version keeps no client of another waiting.  Raises `Unavailable`
        when the NFS server cannot serve, also when nothing is exported yet.
        """
        errors: list[NetbootError] = []
        with self._lock:
            self._backend.prepare()
            exports = {}
            for version in versions:
                if self._export(version).path.is_dir() and not _was_dropped(version):
                    try:
                        exports[version.label] = self._mount(version)
                    except NetbootError as error:
                        errors.append(error)
            if exports:
                self._carry_out(exports)
        return tuple(errors)

    def ensure(self, version: Version) -> NfsExport:
        """Make `version` reachable, if it is not; returns when a client can mount it.

        Its root may have to be made first, which keeps nobody waiting who asks for another version.
        """
        if self.served(version) is None:
            self._materialise(version)
        with self._lock:
            known = self._exports.get(version.label)
            if known is None or mounted(known.path) is None:
                # Remembered only once it is served, so that a retry tries.
                self._carry_out({**self._exports, version.label: self._mount(version)})
            return NfsExport(str(self._exports[version.label].path))

    def served(self, version: Version) -> NfsExport | None:
        """Where a version is that is reachable already.  Returns at once, unlike `ensure`: every request asks."""
        known = self._exports.get(version.label)
        return NfsExport(str(known.path)) if known is not None and _is_mount(known.path) else None

    def serve(self, networks: Iterable[IPv4Network]) -> None:
        """Export to `networks` from now on, what is exported already too; clients of the others lose it."""
        with self._lock:
            self._networks = _checked(networks)
            moved = {label: replace(each, networks=self._networks) for label, each in self._exports.items()}
            if moved != self._exports:
                self._carry_out(moved)

    def keep_up(self) -> bool:
        """Start the NFS server again if it died, and give it again what it lost; whether there was anything to do.

        For the daemon to call every few seconds.  An admin's `exportfs -ra` loses what is not in /etc/exports.
        """
        with self._lock:
            if not self._exports:
                return False
            started = self._backend.keep_up()
            desired = tuple(self._exports.values())
            plan = make_plan(desired, self._backend.observe())
            if plan:
                self._backend.carry_out(plan, desired)
            return started or bool(plan)

    def stop(self) -> None:
        """Withdraw the exports and unmount, in reverse.  Clients wait until a daemon comes back, or go on."""
        with self._lock:
            may_unmount = self._backend.stop()
            self._exports.clear()
            for mount in reversed(mounts()):
                if may_unmount and self._root in mount.target.parents:
                    _unmount(mount.target)

    def _export(self, version: Version) -> Export:
        return export_of(version, root=self._root, networks=self._networks)

    def _carry_out(self, exports: dict[str, Export]) -> None:
        desired = tuple(exports.values())
        self._backend.carry_out(make_plan(desired, self._backend.observe()), desired)
        self._exports = exports

    def _mount(self, version: Version) -> Export:
        export = self._export(version)
        _make_folder(export.path)
        there = mounted(export.path)
        if there is not None and there.source != str(find_loop(version.root.path)):
            # Another file system, as after a data directory was moved: nobody can be using it in earnest.
            unmount(export.path, lazy=True)
            there = None
        if there is None:
            _attach_and_mount(version, export.path)
        return export


def _was_dropped(version: Version) -> bool:
    """Whether its root has to be made again first: nobody needed it when it was dropped, so nobody runs from it."""
    return version.delta is not None and not version.root.path.exists()


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{path}, where a version is mounted, cannot be made: {error.strerror}",
            hint="make the data directory writable, or name another --data-dir",
        ) from error


def _attach_and_mount(version: Version, target: Path) -> None:
    try:
        with attached(version.root.path) as device:
            mount_read_only(device, target, fstype=version.filesystem)
    except NotPermitted:
        raise
    except NetbootError as error:
        hint = error.hint or f"see whether its file is whole: netboot image fsck {version.label}"
        raise Unavailable(error.message, hint=hint) from error


def _checked(networks: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    found = tuple(sorted(set(networks)))
    if not found:
        raise InvalidInput("no network is served, so there is nobody to export to", hint="add a [[subnet]]")
    return found


def _unmount(target: Path) -> None:
    try:
        unmount(target)
    except NetbootError:
        # An NFS server may hold it a moment longer; then it goes with its last user.
        with suppress(NetbootError):
            unmount(target, lazy=True)


def _is_mount(path: Path) -> bool:
    """Whether something is mounted there: a mount has another device number than the folder that holds it."""
    try:
        return os.stat(path).st_dev != os.stat(path.parent).st_dev  # noqa: PTH116 - asked with every request
    except OSError:
        return False
