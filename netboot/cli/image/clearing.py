"""Making room: `netboot image rm` and `gc`."""

from __future__ import annotations

from typing import Annotated

import typer

from netboot.cli.image.holding import check_free, holders, place_by, wants_of
from netboot.cli.output import print_json, print_table, size
from netboot.cli.place import ConfigOption, DataDirOption, JsonOption, Place, complete_image, place_of
from netboot.cli.progress import byte_progress
from netboot.cli.shapes import piece_shape
from netboot.config import load_config
from netboot.errors import InvalidInput
from netboot.images.garbage import Piece, PieceKind, collect, garbage, stock_of
from netboot.images.gcplan import plan_gc
from netboot.images.holders import HolderKind, holders_of
from netboot.images.removal import remove_versions
from netboot.images.roots import lineage_of
from netboot.model.image import Version
from netboot.model.names import LATEST, VersionRef

# A rollback that leads to a version does not keep an admin from removing it.
_OF_RM = frozenset({HolderKind.ROLLBACK})
# What goes with an image.
_OF_ALL = frozenset({HolderKind.NEWEST, HolderKind.TAG, HolderKind.ROLLBACK})


def add_to(app: typer.Typer) -> None:
    app.command("rm")(remove)
    app.command()(gc)


def remove(
    ctx: typer.Context,
    versions: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE:REF", help="A version, by number or tag.", autocompletion=complete_image),
    ],
    all_: Annotated[
        bool, typer.Option("--all", help="Remove every version of the named images, and their tags.")
    ] = False,
    make_whole: Annotated[
        bool,
        typer.Option(
            "--make-whole", help="Store those whole that are stored as changes to what goes; takes their whole size."
        ),
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Remove versions that nobody needs.

    A version is needed, and not removed, while it is the newest, a tag stands at it, a client is assigned to it or runs
    it as far as its events tell, a draft changes it, a client keeps a disk over it, or another version is stored as
    changes to it; who needs it is said.  Give --config when unknown clients boot an image by the daemon's
    configuration, or when it names the database.  Of several versions none is removed if one is needed.

    \b
    Examples:
      netboot image rm debian-minimal:1
      netboot image rm debian-minimal:2 debian-minimal:3 --config /etc/netboot/netboot.toml
      netboot image rm debian-minimal:1 --make-whole
      netboot image rm kiosk --all

    \b
    Exit codes: 0 removed; 1 a version is damaged; 2 a version is not named; 3 no such image or version;
    4 somebody needs it, or is at work on the image; 5 a right is lacking; 6 the disk is full.
    """
    settings = load_config(config) if config else None
    place = place_by(place_of(ctx, data_dir), settings)
    named = _named(place, versions, all_=all_)
    labels = [each.label for each in named]
    ignored = _OF_ALL if all_ else _OF_RM
    children = _children(place, labels) if make_whole else []
    whole = [each.label for each in children]
    check_free(labels, holders(place, settings), ignored=ignored, free=whole)
    for child in children:
        _make_whole(place, child, quiet=json_)
    for image in dict.fromkeys(each.image for each in named):
        going = [each for each in named if each.image == image]
        remove_versions(
            place.images,
            image,
            going,
            # Children that were made whole do not count any more; others may have come.
            check=lambda: check_free(labels, holders(place, settings), ignored=ignored),
        )
    if json_:
        print_json({"removed": labels, "made_whole": whole})
        return
    for label in whole:
        typer.echo(f"{label} is stored whole now")
    for label in labels:
        typer.echo(f"{label} is removed")


def gc(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would go.")] = False,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            metavar="N",
            min=0,
            help="Also remove versions that nobody needs, but for the newest N of each image [default: remove none].",
        ),
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Free what the data directory holds and nobody needs.

    That is: what interrupted work left behind; objects that no version has; and what can be made again when somebody
    needs it, roots that were made from changes and what is derived of roots, of versions that no tag, rollback, client,
    running boot or draft needs.  With --keep also versions; those that anybody needs stay, as with `netboot image rm`,
    and those that a rollback leads to.  Give --config as there.  It may be killed or lose power at any point, and be
    run while the daemon serves.

    \b
    Examples:
      netboot image gc --dry-run
      netboot image gc
      netboot image gc --keep 3 --config /etc/netboot/netboot.toml

    \b
    Exit codes: 0 done, also when there was nothing; 1 a version is damaged; 4 somebody is at work on an image of which
    a version should go, or needs it since; 5 a right is lacking.
    """
    settings = load_config(config) if config else None
    place = place_by(place_of(ctx, data_dir), settings)
    store = place.images
    versions = {each.label: each for each in store.list()}
    stock = stock_of(store, versions.values())
    plan = plan_gc(stock, holders_of(stock, wants_of(place, settings)), keep=keep)
    pieces = list(garbage(store, plan, versions))
    if not dry_run:
        collect(store, plan, versions, check=lambda labels: check_free(labels, holders(place, settings)))
    if json_:
        print_json([piece_shape(piece) for piece in pieces])
        return
    print_table(("WHAT", "NAME", "FREES"), [_row(piece) for piece in pieces])
    freed = size(sum(piece.size_bytes for piece in pieces))
    typer.echo(f"{freed} would be freed" if dry_run else f"{freed} freed")


def _named(place: Place, refs: list[str], *, all_: bool) -> list[Version]:
    """The versions that the command line names, children before their parents."""
    store, found = place.images, {}
    for text in refs:
        ref = VersionRef.parse(text)
        if all_ != (ref.selector is None):
            hint = f"name the image alone: {ref.image}" if all_ else f"write {ref.image}:NUMBER, or add --all"
            raise InvalidInput(f"{text} names {'a version' if all_ else 'no version'}", hint=hint)
        chosen = [store.get(ref if ref.selector is not None else VersionRef(ref.image, LATEST))]
        for version in [each for each in store.list() if each.image == ref.image] if all_ else chosen:
            found[version.label] = version
    return sorted(found.values(), key=lambda each: (each.image, -each.number))


def _children(place: Place, labels: list[str]) -> list[Version]:
    """What is stored as changes to one of these, and is not one of them."""
    store = place.images
    return [
        each
        for each in store.list()
        if each.parent
        and f"{each.image}:{each.parent.number}" in labels
        and each.label not in labels
        and not store.is_whole(each)
    ]


def _make_whole(place: Place, version: Version, *, quiet: bool) -> None:
    store = place.images
    work_bytes = 0 if store.has_root(version) else lineage_of(version, store.find).work_bytes
    with byte_progress(work_bytes, what=f"making {version.label} whole", quiet=quiet) as advance:
        store.make_whole(version, advance)


def _row(piece: Piece) -> tuple[str, str, str]:
    return _WORDS[piece.kind], piece.name, size(piece.size_bytes)


_WORDS = {
    PieceKind.VERSION: "version",
    PieceKind.ROOT: "root that can be made again",
    PieceKind.DERIVED: "derived of its root",
    PieceKind.OBJECT: "object of no version",
    PieceKind.ABANDONED: "left behind",
}
