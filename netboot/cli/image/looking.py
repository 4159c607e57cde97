"""What there is and what happened: `netboot image list`, `show` and `log`."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from netboot.cli.image.arguments import ImageArgument, NameArgument
from netboot.cli.image.shelf import Shelved, shelved, shelved_shape
from netboot.cli.output import date, print_json, print_table, size
from netboot.cli.place import DataDirOption, JsonOption, place_of
from netboot.cli.shapes import entry_shape
from netboot.images.history import Entry, Happening, story_of
from netboot.model.names import LATEST, VersionRef


def add_to(app: typer.Typer) -> None:
    app.command("list")(list_images)
    app.command()(show)
    app.command()(log)


def list_images(ctx: typer.Context, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """List every version of every image, oldest first within an image.

    SIZE is what a client boots; STORED is what the version takes on the disk, which is little for one that is stored as
    its changes to its PARENT; MADE is what can be made again: its root, if it was made from these, and what is derived
    of it.

    \b
    Examples:
      netboot image list
      netboot image list --json | jq -r '.[] | "\\(.image):\\(.number) \\(.kernel_version)"'

    \b
    Exit codes: 0 listed; 1 a version is damaged.
    """
    store = place_of(ctx, data_dir).images
    rows = [shelved(store, version) for version in store.list()]
    if json_:
        print_json([shelved_shape(row) for row in rows])
        return
    heads = ("IMAGE", "TAGS", "PARENT", "KERNEL", "ARCH", "SIZE", "STORED", "MADE", "PUBLISHED", "NOTE")
    print_table(heads, [_row(row) for row in rows])


def show(ctx: typer.Context, image: ImageArgument, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """Show what a version consists of, where it came from, and what it takes on the disk.

    With --json also all of its packages.

    \b
    Examples:
      netboot image show debian-minimal
      netboot image show debian-minimal:3 --json
      netboot image show debian-minimal:test --json | jq -r '.packages | to_entries[] | "\\(.key) \\(.value)"'

    \b
    Exit codes: 0 shown; 3 no such image or version.
    """
    store = place_of(ctx, data_dir).images
    found = shelved(store, store.get(VersionRef.parse(image)))
    if json_:
        manifest = found.manifest
        print_json({**shelved_shape(found), "packages": dict(manifest.packages), "build": dict(manifest.build)})
        return
    print_table(("SETTING", "VALUE"), _rows(found))


def log(ctx: typer.Context, image: NameArgument, data_dir: DataDirOption = None, json_: JsonOption = False) -> None:
    """Show what happened to an image: publications and moves of its tags, the newest first.

    \b
    Examples:
      netboot image log debian-minimal
      netboot image log debian-minimal --json | jq -r '.[] | select(.tag == "stable") | "\\(.at) \\(.number) \\(.who)"'

    \b
    Exit codes: 0 shown; 1 a version is damaged; 3 no such image.
    """
    store = place_of(ctx, data_dir).images
    store.get(VersionRef(image, LATEST))
    manifests = [store.manifest(version) for version in store.list() if version.image == image]
    story = story_of(manifests, store.tags(image))
    if json_:
        print_json([entry_shape(image, entry) for entry in story])
        return
    rows = [(date(each.at), _told(image, each), each.who or None, each.note or None) for each in story]
    print_table(("WHEN", "WHAT", "WHO", "NOTE"), rows)


def _row(row: Shelved) -> tuple[object, ...]:
    version = row.version
    return (
        version.label,
        " ".join(row.tags) or None,
        version.parent.number if version.parent else None,
        version.kernel_version,
        version.arch,
        size(version.size_bytes),
        size(row.stored_bytes),
        size(row.made_bytes) if row.made_bytes else None,
        date(version.created_at),
        row.manifest.note or None,
    )


def _rows(row: Shelved) -> Iterator[tuple[str, object]]:
    version, manifest, root = row.version, row.manifest, row.version.root
    yield ("version", version.label)
    yield ("digest", version.digest)
    yield ("tags", " ".join(row.tags) or None)
    yield ("published", date(version.created_at) + (f" by {manifest.created_by}" if manifest.created_by else ""))
    yield ("origin", f"{manifest.origin.kind} {manifest.origin.name}")
    yield ("note", manifest.note or None)
    yield ("kernel version", version.kernel_version)
    yield ("kernel args", " ".join(version.kernel_args) or None)
    yield ("arch", version.arch)
    yield ("filesystem", version.filesystem)
    yield ("packages", len(manifest.packages))
    yield from (("build", f"{key} {value}") for key, value in sorted(manifest.build.items()))
    yield ("size", size(version.size_bytes))
    made = f", and {size(row.made_bytes)} that can be made again" if row.made_bytes else ""
    yield ("stored", size(row.stored_bytes) + made)
    if version.parent and version.delta:
        yield ("parent", f"{version.image}:{version.parent.number}  {version.parent.digest}")
        changed = f"{size(version.delta.changed_bytes)} in chunks of {version.delta.chunk_bytes}"
        yield ("delta", f"{changed}  {version.delta.digest}  {version.delta.path}")
    if root.verity:
        yield ("root hash", root.verity.root_hash.hex)
        yield ("salt", root.verity.salt.hex())
    digest = f"  {root.digest}" if root.digest else ""
    yield ("root", f"{size(root.size_bytes)}{digest}  {root.path if root.path.exists() else 'not made now'}")
    for format, derived in row.derived.items():
        root_hash = f"  {derived.verity.root_hash}" if derived.verity else ""
        yield (format.value, f"{size(derived.size_bytes)}{root_hash}  {derived.path}")
    for name, file in (("kernel", version.kernel), ("initrd", version.initrd)):
        yield (name, f"{size(file.size_bytes)}  {file.digest}  {file.path}")


def _told(image: str, entry: Entry) -> str:
    """An entry in words."""
    was = "" if entry.before is None else f", was {image}:{entry.before}"
    match entry.what:
        case Happening.PUBLISHED:
            parent = "" if entry.before is None else f", changes to {image}:{entry.before}"
            return f"{image}:{entry.number} published, from {entry.origin}{parent}"
        case Happening.TAG_SET:
            return f"{entry.tag} set to {image}:{entry.number}{was}"
        case Happening.TAG_ROLLED_BACK:
            return f"{entry.tag} rolled back to {image}:{entry.number}{was}"
        case Happening.TAG_REMOVED:
            return f"{entry.tag} removed{was}"
