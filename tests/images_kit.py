"""Small images with everything that real ones have, for tests of several tiers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from netboot.images import delta, verity
from netboot.images.cow import write_cow
from netboot.images.entries import BLOCK_BYTES, FILES, DeltaEntry, FileEntry, Files, RootEntry, VerityEntry
from netboot.images.identity import filesystem_uuids, verity_salt
from netboot.images.manifest import Manifest, Origin, OriginKind
from netboot.images.measure import hash_file, measure_whole
from netboot.images.staging import Staging
from netboot.images.store import ImageStore
from netboot.images.whole import damage_of
from netboot.model.image import Digest, Parent, Version
from netboot.system.sparse import SparseFile

# 40 blocks: the hash tree over them has one level.
ROOT_BYTES = 40 * BLOCK_BYTES


def manifest_for(staging: Staging, files: Files, **changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "image": staging.image,
        "number": staging.number,
        "origin": Origin(kind=OriginKind.RECIPE, name=staging.image),
        "created_at": 1000.0,
        "created_by": "tester",
        "arch": "amd64",
        "filesystem": "ext4",
        "kernel_version": "6.1",
        "kernel_args": ("quiet",),
        "files": files,
    }
    return Manifest(**{**fields, **changes})


def format_1_json(manifest: Manifest, root: FileEntry) -> str:
    """The manifest as the first format has it."""
    import json

    value = json.loads(manifest.to_json())
    del value["parent"], value["origin"], value["created_by"], value["files"]["verity"]
    value["files"]["root"] = {"file": FILES["root"], "size_bytes": root.size_bytes, "digest": str(root.digest)}
    return json.dumps({**value, "format": 1, "recipe": manifest.origin.name}, indent=2, sort_keys=True) + "\n"


def block(text: str) -> bytes:
    """A block of a root, told from others by its text."""
    return text.encode().ljust(BLOCK_BYTES, b".")


def write_root(file: Path, blocks: Mapping[int, bytes], size_bytes: int = ROOT_BYTES) -> None:
    """A root that is a hole but for some blocks."""
    with SparseFile.open(file, create=True) as root:
        root.resize(size_bytes)
        for number, content in blocks.items():
            root.write(number * BLOCK_BYTES, content)


def write_boot_files(folder: Path, text: str) -> None:
    for part in ("kernel", "initrd"):
        (folder / FILES[part]).write_text(f"{part} of {text}")


def publish_whole(
    store: ImageStore,
    image: str = "debian",
    blocks: Mapping[int, bytes] | Path | None = None,
    *,
    fill: Callable[[Path], None] | None = None,
    **changes: Any,
) -> Version:
    """The next version, stored whole: of these blocks, or of a file system in a file; `fill` may change its files."""
    with store.stage(image) as staging:
        label = f"{image}:{staging.number}"
        write_boot_files(staging.version, label)
        if isinstance(blocks, Path):
            shutil.copyfile(blocks, staging.version / FILES["root"])
        else:
            write_root(staging.version / FILES["root"], blocks or {0: block(label), 7: block("same")})
        if fill is not None:
            fill(staging.version)
        files = measure_whole(staging.version, image, staging.number)
        return store.publish(staging, manifest_for(staging, files, **changes))


def publish_delta(
    store: ImageStore,
    parent: Version,
    blocks: Mapping[int, bytes] | Path,
    *,
    boot_files: str | None = None,
    **changes: Any,
) -> Version:
    """The next version, stored as changes to `parent`, whose root must be there: by these blocks, or to a file's.

    Its kernel and initrd are its own, or those that `boot_files` says.
    """
    with store.stage(parent.image) as staging:
        write_boot_files(staging.version, boot_files or f"{parent.image}:{staging.number}")
        root, tree = staging.scratch / FILES["root"], staging.scratch / FILES["verity"]
        shutil.copyfile(blocks if isinstance(blocks, Path) else parent.root.path, root)
        root.chmod(0o644)
        _, uuid = filesystem_uuids(parent.image, staging.number)
        salt = verity_salt(parent.image)
        with (
            SparseFile.open(parent.root.path) as old,
            SparseFile.open(root, writable=True) as new,
            SparseFile.open(tree, create=True) as hashes,
            SparseFile.open(staging.version / FILES["delta"], create=True) as cow,
        ):
            for number, content in () if isinstance(blocks, Path) else blocks.items():
                new.write(number * BLOCK_BYTES, content)
            written = write_cow(cow, delta.make(old, new))
            root_hash = verity.build(new, hashes, salt=salt, uuid=uuid)
        entry = hash_file(staging.version / FILES["delta"])
        files = Files(
            root=RootEntry(
                size_bytes=root.stat().st_size,
                verity=VerityEntry(root_hash=root_hash, salt=salt, tree=hash_file(tree)),
            ),
            kernel=hash_file(staging.version / FILES["kernel"]),
            initrd=hash_file(staging.version / FILES["initrd"]),
            delta=DeltaEntry(
                size_bytes=entry.size_bytes,
                digest=entry.digest,
                chunk_bytes=written.chunk_bytes,
                changed_bytes=written.changed_bytes,
            ),
        )
        fields = {
            "parent": Parent(number=parent.number, digest=parent.digest),
            "origin": Origin(kind=OriginKind.DRAFT, name="draft"),
        }
        return store.publish(staging, manifest_for(staging, files, **{**fields, **changes}))


def publish_format_1(images: Path, image: str = "debian", number: int = 1, root: Path | None = None) -> Version:
    """A version as the first format stored it: plain files, no tree."""
    folder = images / image / str(number)
    folder.mkdir(parents=True)
    write_boot_files(folder, f"{image}:{number}")
    if root is None:
        write_root(folder / FILES["root"], {0: block(f"{image}:{number}")})
    else:
        shutil.copyfile(root, folder / FILES["root"])
    entry = hash_file(folder / FILES["root"])
    tree = VerityEntry(root_hash=Digest("0" * 64), salt=b"", tree=entry)
    files = Files(
        root=RootEntry(size_bytes=entry.size_bytes, verity=tree),
        kernel=hash_file(folder / FILES["kernel"]),
        initrd=hash_file(folder / FILES["initrd"]),
    )
    staging = Staging(image=image, number=number, scratch=folder, version=folder)
    (folder / "manifest.json").write_text(format_1_json(manifest_for(staging, files), entry), encoding="utf-8")
    return ImageStore(images).list()[0]


def assert_whole(*versions: Version) -> None:
    """Every bit is what was published."""
    assert [str(damage) for version in versions for damage in damage_of(version)] == []
