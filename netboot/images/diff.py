"""What two versions differ in: files, and packages."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from netboot.images.debversion import PackageVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """What can be told of a path without reading it.

    `mark` is the same in both versions only if the file was not touched since they parted: number, generation and time
    of the last change of its inode.  `target` is a link's, `attributes` the extended ones.
    """

    mode: int
    owner: tuple[int, int]
    size_bytes: int
    changed_at_ns: int
    mark: tuple[int, ...] = ()
    target: str = ""
    device: int = 0
    attributes: tuple[tuple[str, bytes], ...] = ()

    @property
    def kind(self) -> str:
        return _KINDS.get(stat.S_IFMT(self.mode), "other")


_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A path that differs; `before` is None where it was added, `after` where it was removed.

    `what` names what differs of a path that both have: kind, content, mode, owner, target, device, attributes, time.
    """

    path: str
    before: Trait | None = None
    after: Trait | None = None
    what: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        there = self.after or self.before
        return there.kind if there is not None else "other"


class PackageStep(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    name: str
    step: PackageStep
    before: str | None = None
    after: str | None = None


def compare_files(
    old: Mapping[str, Trait],
    new: Mapping[str, Trait],
    same_content: Callable[[str], bool],
    *,
    with_times: bool = False,
) -> tuple[FileChange, ...]:
    """Every path that differs, in order; `same_content` reads a file in both versions.

    What differs in its time alone is told `with_times` only.  A folder's never is: it tells that something in it was
    added or removed, which is told anyway.
    """
    changes = _changes(old, new, same_content)
    return tuple(each for each in changes if with_times or each.what != ("time",))


def _changes(
    old: Mapping[str, Trait], new: Mapping[str, Trait], same_content: Callable[[str], bool]
) -> Iterator[FileChange]:
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before is None or after is None:
            yield FileChange(path=path, before=before, after=after)
        elif what := tuple(_differences(path, before, after, same_content)):
            yield FileChange(path=path, before=before, after=after, what=what)


def _differences(path: str, before: Trait, after: Trait, same_content: Callable[[str], bool]) -> Iterator[str]:
    if before.kind != after.kind:
        yield "kind"
        return
    is_file = before.kind == "file"
    if is_file and (before.size_bytes != after.size_bytes or not (_untouched(before, after) or same_content(path))):
        yield "content"
    if before.mode != after.mode:
        yield "mode"
    if before.owner != after.owner:
        yield "owner"
    if before.target != after.target:
        yield "target"
    if before.device != after.device:
        yield "device"
    if before.attributes != after.attributes:
        yield "attributes"
    if before.kind != "folder" and before.changed_at_ns != after.changed_at_ns:
        yield "time"


def _untouched(before: Trait, after: Trait) -> bool:
    return bool(before.mark) and before.mark == after.mark and before.changed_at_ns == after.changed_at_ns


def compare_packages(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[PackageChange, ...]:
    """Every package that came, went or is of another version, by name."""
    return tuple(
        PackageChange(name=name, step=_step(old.get(name), new.get(name)), before=old.get(name), after=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _step(before: str | None, after: str | None) -> PackageStep:
    if before is None:
        return PackageStep.ADDED
    if after is None:
        return PackageStep.REMOVED
    return PackageStep.UP if PackageVersion(before) < PackageVersion(after) else PackageStep.DOWN
