"""Work on a store of the image debian, killing a process in the middle of it, and looking at what is left."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from netboot.errors import Conflict
from netboot.images.fsck import Fault, examine_all
from netboot.images.garbage import collect, garbage, stock_of
from netboot.images.gcplan import plan_gc
from netboot.images.holders import Holder, HolderKind, Wants, holders_of
from netboot.images.removal import remove_versions
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.names import LATEST, VersionRef
from tests.images_kit import block, publish_delta, publish_whole

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


def held(store: ImageStore) -> dict[str, tuple[Holder, ...]]:
    """Of a site without clients."""
    return holders_of(stock_of(store, store.list()), Wants(tags={name: store.tags(name) for name in store.names()}))


def check_free(store: ImageStore, labels: Sequence[str]) -> None:
    """As the command does."""
    found = held(store)
    for label in labels:
        if any(each.kind is not HolderKind.CHILD or each.name not in labels for each in found.get(label, ())):
            raise Conflict(f"{label} is needed")


def gc(store: ImageStore, keep: int | None) -> None:
    versions = {each.label: each for each in store.list()}
    stock = stock_of(store, versions.values())
    plan = plan_gc(stock, holders_of(stock, Wants(tags={name: store.tags(name) for name in store.names()})), keep=keep)
    list(garbage(store, plan, versions))
    collect(store, plan, versions, check=partial(check_free, store))


def remove(store: ImageStore, *versions: Version) -> None:
    """Whoever needs them."""
    remove_versions(store, versions[0].image, versions, check=lambda: None)


def set_stable(store: ImageStore, number: int) -> None:
    store.change_tags("debian", lambda tags: tags.set("stable", number, at=1.0))


def do_something(store: ImageStore, chance: random.Random, say: Callable[[str], object]) -> None:
    """Publish, make a root, move a tag, remove or clear; says what was published, and what may be gone soon."""
    versions = store.list()
    some = chance.choice(versions)
    match chance.randrange(6):
        case 0:
            _told(publish_whole(store), say)
        case 1:
            parent = store.get(VersionRef("debian", LATEST))
            store.materialise(parent)
            _told(publish_delta(store, parent, {chance.randrange(40): block(str(chance.random()))}), say)
        case 2:
            store.materialise(some)
        case 3:
            set_stable(store, some.number)
        case 4:
            if not held(store).get(some.label, ()):
                say(f"removing {some.number} -")
                remove_versions(store, "debian", [some], check=lambda: check_free(store, [some.label]))
        case 5:
            many = len(versions) > 6
            for version in versions if many else ():
                say(f"removing {version.number} -")
            gc(store, 3 if many else None)


def _told(version: Version, say: Callable[[str], object]) -> None:
    say(f"published {version.number} {version.digest}")
