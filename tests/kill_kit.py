"""Work on a store of the image debian, killing a process in the middle of it, and looking at what is left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from netboot.images.fsck import Fault, examine_all
from netboot.images.garbage import collect, garbage, stock_of
from netboot.images.gcplan import plan_gc
from netboot.images.holders import Wants, holders_of
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.names import VersionRef

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


def find(store: ImageStore, number: int) -> Version:
    return store.get(VersionRef("debian", number))


def no_check(labels: Sequence[str] = ()) -> None:
    """Nobody holds anything."""


def gc(store: ImageStore, keep: int | None) -> None:
    """As the command does, of a site without clients."""
    versions = {each.label: each for each in store.list()}
    wants = Wants(tags={name: store.tags(name) for name in store.names()})
    stock = stock_of(store)
    plan = plan_gc(stock, holders_of(stock, wants), keep=keep)
    list(garbage(store, plan, versions))
    collect(store, plan, versions, check=no_check)


def set_stable(store: ImageStore, number: int) -> None:
    store.change_tags("debian", lambda tags: tags.set("stable", number, at=1.0))
