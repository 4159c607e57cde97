"""From a draft to the next version: quiet, prepared, in order, and only then compared with its parent and published.

What is read is what was written: the draft's own table tells where that is, and the parent's hash tree the rest.  Until
the version appears by one rename, nothing has happened but to the draft, which is as good as before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from netboot.errors import Conflict
from netboot.images import delta, verity
from netboot.images.attach import mounted_tree, raw_of, settle
from netboot.images.blocks import Advance, Source, data_of
from netboot.images.clock import Clock
from netboot.images.cow import CHUNK_BYTES, write_cow
from netboot.images.draft import Draft, locked
from netboot.images.entries import FILES, DeltaEntry, Files, RootEntry, VerityEntry
from netboot.images.identity import filesystem_uuids, verity_salt
from netboot.images.kernel import newest_kernel
from netboot.images.lint import Allowance
from netboot.images.linting import refuse_secrets
from netboot.images.manifest import Manifest, Origin, OriginKind
from netboot.images.measure import hash_file
from netboot.images.packages import installed_packages
from netboot.images.prepare import Table
from netboot.images.preparing import prepare
from netboot.images.publish import check_initrd, copy_kernel
from netboot.images.ranges import Ranges
from netboot.images.staging import Staging
from netboot.images.store import ImageStore
from netboot.model.image import Digest, Parent, Version
from netboot.model.names import VersionRef
from netboot.system.commands import run
from netboot.system.qcow import Extent, written
from netboot.system.sparse import SparseFile

STEPS: Mapping[str, float] = {
    "looking at the draft": 4,
    "removing identities": 2,
    "looking for secrets": 4,
    "checking the file system": 3,
    "finding the changes": 3,
    "computing digests": 2,
    "publishing": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readying:
    """By what rules a draft's system is prepared, and what of its secrets may be published."""

    table: Table
    allowed: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What is known of the draft's system once it is ready."""

    kernel_version: str
    packages: Mapping[str, str] = field(default_factory=dict)


def commit_draft(draft: Draft, *, store: ImageStore, clock: Clock, readying: Readying, who: str, note: str) -> Version:
    """Publish the draft as the next version of its image.  The draft stays, prepared, until it is discarded.

    Raises `Conflict` when somebody is at work on it or on the image, and when its parent is not what it was, and
    `NetbootError` when its system would not boot or holds secrets.
    """
    parent = _parent_of(draft, store)
    root = store.materialise(parent)
    with store.stage(parent.image) as staging, locked(draft):
        looked = _make_ready(draft, staging, clock, readying)
        clock.begin("finding the changes")
        extents = written(draft.disk)
        with raw_of(draft, read_only=True) as raw:
            files = _write_changes(raw, root, parent, staging, extents, clock)
        clock.begin("publishing")
        manifest = Manifest(
            image=parent.image,
            number=staging.number,
            parent=Parent(number=parent.number, digest=parent.digest),
            origin=Origin(kind=OriginKind.DRAFT, name=draft.name),
            created_at=round(time.time(), 3),
            created_by=who,
            arch=parent.arch,
            filesystem=parent.filesystem,
            kernel_version=looked.kernel_version,
            kernel_args=parent.kernel_args,
            files=files,
            packages=looked.packages,
            build=store.manifest(parent).build,
            note=note,
        )
        return store.publish(staging, manifest)


def recipe_name_of(store: ImageStore, image: str, number: int) -> str | None:
    """The recipe of the version that this one descends from; None when that was imported, or is gone."""
    version = store.find(VersionRef(image, number))
    while version is not None and version.parent is not None:
        version = store.find(VersionRef(image, version.parent.number))
    origin = store.manifest(version).origin if version is not None else None
    return origin.name if origin is not None and origin.kind is OriginKind.RECIPE else None


def _parent_of(draft: Draft, store: ImageStore) -> Version:
    note = draft.note
    parent = store.find(VersionRef(note.image, note.number))
    if parent is None or str(parent.digest) != note.digest:
        state = "is gone" if parent is None else "is another one than before"
        raise Conflict(
            f"{note.parent}, of which {draft.name} is a draft, {state}",
            hint=f"bring it back from a copy, or throw the draft away: netboot image discard {draft.name}",
        )
    return parent


def _make_ready(draft: Draft, staging: Staging, clock: Clock, readying: Readying) -> _Looked:
    """Bring the draft's system into the state that is published, and copy its kernel and initrd."""
    clock.begin("looking at the draft")
    with raw_of(draft) as raw:
        with mounted_tree(draft, raw) as tree:
            kernel_version = newest_kernel(tree)
            check_initrd(tree, kernel_version)
            copy_kernel(tree, kernel_version, staging.version)
            looked = _Looked(kernel_version=kernel_version, packages=installed_packages(tree))
            clock.begin("removing identities")
            prepare(tree, readying.table)
            clock.begin("looking for secrets")
            refuse_secrets(tree, readying.allowed)
            # What is free reads as zeros from here on, so that nothing of what was deleted is published.
            run(["fstrim", tree], timeout_s=None)
        clock.begin("checking the file system")
        settle(raw)
        _, own = filesystem_uuids(staging.image, staging.number)
        run(["e2fsck", "-f", "-p", raw], timeout_s=None)
        run(["tune2fs", "-U", str(own), "-C", "0", "-M", "", raw])
        settle(raw)
    return looked


def _write_changes(
    raw: Path, root: Path, parent: Version, staging: Staging, extents: tuple[Extent, ...], clock: Clock
) -> Files:
    """The delta to the parent and the hash tree, in the staging folder; the entries of all files."""
    delta_file, tree_file = (staging.version / FILES[part] for part in ("delta", "verity"))
    with ExitStack() as stack:
        old, new = (stack.enter_context(SparseFile.open(file)) for file in (root, raw))
        changes = changes_of(extents, old)
        total = 2 * sum(stop - start for start, stop in changes)
        done = 0

        def advance(size_bytes: int) -> None:
            nonlocal done
            done += size_bytes
            clock.reach(done, total)

        target = stack.enter_context(SparseFile.open(delta_file, create=True))
        made = write_cow(target, delta.make(old, new, changes=changes, advance=advance), chunk_bytes=CHUNK_BYTES)
        tree = stack.enter_context(SparseFile.open(tree_file, create=True))
        root_hash = _hash(new, tree, parent, staging, changes, stack, advance)
        size_bytes = new.size_bytes
    clock.begin("computing digests")
    delta_entry, kernel, initrd = (hash_file(staging.version / FILES[part]) for part in ("delta", "kernel", "initrd"))
    salt = verity_salt(staging.image)
    entry = VerityEntry(root_hash=root_hash, salt=salt, tree=hash_file(tree_file))
    # Root and tree are made from the delta when somebody needs them.
    tree_file.unlink()
    return Files(
        root=RootEntry(size_bytes=size_bytes, verity=entry),
        kernel=kernel,
        initrd=initrd,
        delta=DeltaEntry(
            size_bytes=delta_entry.size_bytes,
            digest=delta_entry.digest,
            chunk_bytes=made.chunk_bytes,
            changed_bytes=made.records * made.chunk_bytes,
        ),
    )


def changes_of(extents: tuple[Extent, ...], old: Source) -> Ranges:
    """Where the draft may differ from its parent: what was written, and zeros where the parent had something else."""
    zeros = Ranges.of((each.start, each.start + each.length) for each in extents if each.is_zero)
    data = Ranges.of((each.start, each.start + each.length) for each in extents if not each.is_zero)
    return data | (zeros & data_of(old))


def _hash(
    new: SparseFile,
    tree: SparseFile,
    parent: Version,
    staging: Staging,
    changes: Ranges,
    stack: ExitStack,
    advance: Advance,
) -> Digest:
    """The hash tree of the new version, from its parent's; of all of it when its parent, of format 1, has none."""
    _, uuid = filesystem_uuids(staging.image, staging.number)
    known = parent.root.verity
    if known is None:
        return verity.build(new, tree, salt=verity_salt(staging.image), uuid=uuid, advance=advance)
    before = stack.enter_context(SparseFile.open(known.tree.path))
    return verity.update(new, tree, parent=before, root=known.root_hash, changes=changes, uuid=uuid, advance=advance)
