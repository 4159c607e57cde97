"""Killing a process at a chosen step of its work on files, and looking at what is left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from netboot.images.fsck import Fault, examine_all
from netboot.images.store import ImageStore

# What Python tells its audit hooks before it changes the names of files, or opens one.
_STEPS = frozenset({"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"})


def killed_at(step: int, folder: Path, work: Callable[[], object]) -> bool:
    """Do `work` in a process that is killed just before its `step`-th change below `folder`; whether it was."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, args: tuple[object, ...]) -> None:
            nonlocal seen
            if event in _STEPS and any(isinstance(each, str | os.PathLike) and _is_in(each, folder) for each in args):
                seen += 1
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"the work failed at step {step}: {status}"
    return status != 0


def _is_in(path: str | os.PathLike[str], folder: Path) -> bool:
    return str(path).startswith(str(folder))


def faults(images: Path) -> list[Fault]:
    return list(examine_all(ImageStore(images), []))


def damage(images: Path) -> list[str]:
    """What is the matter, but for leftovers."""
    return [str(fault) for fault in faults(images) if fault.is_damage]
