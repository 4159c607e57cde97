"""Mounting and unmounting, by the system calls themselves.

What is mounted is read from /proc/self/mountinfo, never remembered: after a crash the kernel still knows.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import NetbootError, NotPermitted

MOUNTINFO = Path("/proc/self/mountinfo")

# <sys/mount.h>
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 32, 4096
_MS_REC, _MS_SLAVE = 1 << 14, 1 << 19
_MNT_DETACH = 2
# <sched.h>
_CLONE_NEWNS = 0x20000

# System calls of the newer way to mount; their numbers are the same on every architecture.  <linux/mount.h>
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CONFIG_FLAG, _CONFIG_STRING, _CONFIG_CREATE = 0, 1, 6
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _ATTR_NOEXEC = 1, 2, 4, 8

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of mountinfo: what is mounted where, how, and from which device or address."""

    target: Path
    fstype: str
    source: str
    options: tuple[str, ...]

    @property
    def read_only(self) -> bool:
        return "ro" in self.options


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """The mounts of a mountinfo file, proc(5), in order; of two at one place the later is on top."""
    return tuple(_parse_line(line) for line in text.splitlines())


def _parse_line(line: str) -> Mount:
    # 36 35 98:0 /root /target rw,noatime master:1 - ext4 /dev/loop0 rw: any number of fields before the dash.
    here, _, there = line.partition(" - ")
    fields, (fstype, source, *_) = here.split(" "), there.split(" ")
    return Mount(
        target=Path(_unescape(fields[4])),
        fstype=fstype,
        source=_unescape(source),
        options=tuple(fields[5].split(",")),
    )


def _unescape(text: str) -> str:
    # The kernel writes blank, tab, newline and backslash as three octal digits.
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def mounts() -> tuple[Mount, ...]:
    return parse_mountinfo(MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape"))


def mounted(target: Path) -> Mount | None:
    """What is mounted exactly at `target`, the topmost if several are, None if nothing is."""
    place = target.resolve()
    return next((each for each in reversed(mounts()) if each.target == place), None)


def mount_read_only(source: Path, target: Path, *, fstype: str) -> None:
    """Mount a file system read-only; what lies on it is a client's: no set-uid program or device of it works here."""
    _mount(str(source), target, fstype, _MS_RDONLY | _MS_NOSUID | _MS_NODEV)


def mount_writable(source: Path, target: Path, *, fstype: str, options: str = "") -> None:
    """Mount a file system for our own programs to change; `options` are the file system's."""
    _mount(str(source), target, fstype, _MS_NODEV, options)


def mount_for_client(source: Path, target: Path, *, fstype: str) -> None:
    """Mount a file system for a client to change: no set-uid program or device of it works here."""
    _mount(str(source), target, fstype, _MS_NOSUID | _MS_NODEV)


def mount_folder_alone(folder: Path, target: Path, *, scratch: Path, name: str) -> None:
    """Show `folder` at `target` on a read-only file system of its own, which an NFS server can export.

    It is an overlay of the folder above and an empty one, both found or made in `scratch`; of it `target` shows the
    folder alone.  Not its root: that has no handle by which it could be opened again (overlayfs.rst, "NFS export").
    `name` is its source in the table of mounts.  Colons and commas cannot stand in the paths.
    """
    empty, whole = scratch / ".empty", scratch / ".whole"
    for each in (empty, whole):
        each.mkdir(exist_ok=True)
    options = f"lowerdir={folder.parent}:{empty},nfs_export=on,redirect_dir=nofollow,xino=off"
    _mount(name, whole, "overlay", _MS_RDONLY | _MS_NOSUID | _MS_NODEV, options)
    try:
        _mount(str(whole / folder.name), target, None, _MS_BIND)
    finally:
        unmount(whole)


def bind_read_only(source: Path, target: Path) -> None:
    """Show `source` at `target` too, read-only there."""
    _mount(str(source), target, None, _MS_BIND)
    # The kernel ignores MS_RDONLY on the first call of a bind mount, mount(2).
    _mount(str(source), target, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY)


@contextmanager
def mounted_nowhere(source: Path, *, fstype: str, options: Sequence[str] = ()) -> Iterator[int]:
    """A file system mounted read-only at no place, as an open folder: nobody else sees it, and it ends with us.

    For file systems of strangers: nothing on it is a device, runs, or gives rights (fsmount(2), Linux 5.2).
    """
    context = _checked(_libc.syscall(_FSOPEN, os.fsencode(fstype), 1), f"the kernel cannot read {fstype}")
    try:
        for key, value in (("source", str(source)), ("ro", None), *((each, None) for each in options)):
            name, _, given = key.partition("=")
            _configure(context, name, value if value is not None else given or None)
        _checked(
            _libc.syscall(_FSCONFIG, context, _CONFIG_CREATE, None, None, 0),
            f"{source} cannot be mounted as {fstype}",
            context,
        )
        flags = _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV | _ATTR_NOEXEC
        folder = _checked(
            _libc.syscall(_FSMOUNT, context, 1, flags), f"{source} cannot be mounted as {fstype}", context
        )
    finally:
        os.close(context)
    try:
        yield folder
    finally:
        os.close(folder)


def _configure(context: int, name: str, value: str | None) -> None:
    command = _CONFIG_FLAG if value is None else _CONFIG_STRING
    text = None if value is None else os.fsencode(value)
    result = _libc.syscall(_FSCONFIG, context, command, name.encode(), text, 0)
    _checked(result, f"the mount option {name} is not taken", context)


def _checked(result: int, what: str, context: int | None = None) -> int:
    if result >= 0:
        return result
    failure = _failure(what)
    # The reason, if the file system gave one: lines like "e xfs: Invalid superblock magic number".
    with suppress(OSError):
        if context is not None:
            failure.message += f": {os.read(context, 1024).decode('utf-8', 'replace').strip()[2:]}"
    raise failure


def unmount(target: Path, *, lazy: bool = False) -> None:
    """Unmount what is at `target`; `lazy` also when it is in use, to go away with its last user."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH if lazy else 0) != 0:
        raise _failure(f"cannot unmount {target}")


@contextmanager
def private_mounts() -> Iterator[None]:
    """What this thread and the programs that it starts mount within the block, nobody else sees.

    It goes with the block and with us, also when we are killed.  What others unmount goes here too.
    """
    with ExitStack() as undo:
        outside, root, here = (_descriptor(each, undo) for each in ("/proc/thread-self/ns/mnt", "/", "."))
        if _libc.unshare(_CLONE_NEWNS) != 0:
            raise _failure("cannot make mounts of our own")
        try:
            _mount("none", Path("/"), None, _MS_REC | _MS_SLAVE)
            yield
        finally:
            if _libc.setns(outside, _CLONE_NEWNS) != 0:
                raise _failure("cannot leave our own mounts")
            # The kernel puts who changes mounts to the root of all.
            os.fchdir(root)
            os.chroot(".")
            os.fchdir(here)


def _descriptor(path: str, undo: ExitStack) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    undo.callback(os.close, descriptor)
    return descriptor


def _mount(source: str, target: Path, fstype: str | None, flags: int, options: str = "") -> None:
    kind = fstype.encode() if fstype else None
    words = options.encode() or None
    if _libc.mount(os.fsencode(source), os.fsencode(target), kind, ctypes.c_ulong(flags), words) != 0:
        raise _failure(f"cannot mount {source} on {target}")


def _failure(what: str) -> NetbootError:
    number = ctypes.get_errno()
    text = f"{what}: {os.strerror(number)}"
    if number == 1:  # EPERM
        return NotPermitted(text, hint="run it as root, with CAP_SYS_ADMIN")
    return NetbootError(text)
