"""A draft's system as a folder, to be worked in.

Usually in mounts of our own, which end with us.  `mount` makes the folder visible to everybody, until `unmount`; then
whoever works on the draft uses what is there.  The file system has no journal (a version has none), so one that was not
left in order is checked before it is used again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netboot.errors import Conflict, NetbootError
from netboot.images.draft import Draft, DraftPlace, locked
from netboot.system.commands import CommandFailed, run
from netboot.system.loop import attached, find_loop
from netboot.system.mounts import mount_writable, mounted, private_mounts, unmount
from netboot.system.qcow import hide, show, showing, shown

# Freed blocks are given back, so that what was deleted is not part of what was changed.
_OPTIONS = "discard"
_SETTLE_S = 30.0
# e2fsck(8): 0 clean, 1 mended, 2 mended and to be mounted anew.
_MENDED = (0, 1, 2)


@contextmanager
def tree_of(draft: Draft) -> Iterator[Path]:
    """The draft's system, writable, for us alone."""
    with locked(draft):
        if is_mounted(draft):
            yield draft.tree
            return
        with shown(draft.disk, draft.raw, log=draft.log) as raw:
            with mounted_tree(draft, raw) as tree:
                yield tree
            settle(raw)


@contextmanager
def raw_of(draft: Draft, *, read_only: bool = False) -> Iterator[Path]:
    """The draft's file system as a raw file, not mounted by anybody; for who has it `locked`."""
    withdraw_locked(draft)
    with shown(draft.disk, draft.raw, log=draft.log, read_only=read_only) as raw:
        yield raw


def mount(draft: Draft) -> Path:
    """Show the draft's system to everybody; gives the folder.  Already shown is no error."""
    with locked(draft):
        if not is_mounted(draft):
            raw = show(draft.disk, draft.raw)
            try:
                check(draft, raw)
                _mount(draft, raw)
            except BaseException:
                hide(draft.disk, draft.raw)
                raise
        return draft.tree


def withdraw(draft: DraftPlace) -> None:
    """Undo `mount`; `Conflict` while somebody is in the folder.  Not shown is no error."""
    with locked(draft):
        withdraw_locked(draft)


def withdraw_locked(draft: DraftPlace) -> None:
    """`withdraw`, for who has the draft `locked`."""
    if is_mounted(draft):
        try:
            unmount(draft.tree)
        except NetbootError as error:
            hint = f"leave it, and see who else is there: fuser -vm {draft.tree}"
            raise Conflict(f"somebody uses {draft.tree}", hint=hint) from error
    if raw := showing(draft.disk, draft.raw):
        settle(raw)
        hide(draft.disk, draft.raw)


def is_mounted(draft: DraftPlace) -> bool:
    """Whether the draft's system can be seen at its folder."""
    return mounted(draft.tree) is not None


def check(draft: Draft, raw: Path) -> None:
    """Bring the file system in order, if it was not left so.  Raises when that is beyond e2fsck's automatic repair."""
    said = run(["e2fsck", "-p", raw], timeout_s=None, check=False)
    if said.exit_code not in _MENDED:
        error = CommandFailed(said)
        raise NetbootError(
            f"draft {draft.name} was damaged, as by a power cut: {error.message}",
            hint=f"throw it away: netboot image discard {draft.name}",
        )


@contextmanager
def mounted_tree(draft: Draft, raw: Path) -> Iterator[Path]:
    """The system in the raw file that `raw_of` gave, writable, for us alone."""
    check(draft, raw)
    with private_mounts():
        _mount(draft, raw)
        try:
            yield draft.tree
        except BaseException:
            with suppress(NetbootError):
                unmount(draft.tree, lazy=True)
            raise
        unmount(draft.tree)


def _mount(draft: Draft, raw: Path) -> None:
    with attached(raw, writable=True) as device:
        mount_writable(device, draft.tree, fstype="ext4", options=_OPTIONS)


def settle(raw: Path) -> None:
    """Wait until the kernel has let go of the disk and all is written."""
    descriptor = os.open(raw, os.O_RDWR | os.O_CLOEXEC)
    try:
        ends_at = time.monotonic() + _SETTLE_S
        while find_loop(raw) is not None:
            if time.monotonic() > ends_at:
                raise NetbootError(f"the kernel keeps {raw} open", hint="see losetup --list")
            time.sleep(0.01)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
