"""Who runs what: `netboot image tag`, `promote` and `rollback`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, TypedDict

import typer

from netboot.cli.image.arguments import ImageArgument, NameArgument, NoteOption, complete_tag
from netboot.cli.image.readying import make_ready
from netboot.cli.output import print_json
from netboot.cli.place import DataDirOption, JsonOption, place_of
from netboot.cli.shapes import move_shape
from netboot.errors import Conflict
from netboot.images.boottests import require_tested
from netboot.images.store import ImageStore
from netboot.images.tags import Move, Tags
from netboot.model.names import LATEST, STABLE, VersionRef
from netboot.system.users import user_name


def add_to(app: typer.Typer) -> None:
    app.command()(tag)
    app.command()(promote)
    app.command()(rollback)


def tag(
    ctx: typer.Context,
    image: ImageArgument,
    name: Annotated[str, typer.Argument(metavar="TAG", help="The tag.", autocompletion=complete_tag)],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag away from the image.")] = False,
    note: NoteOption = "",
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Set a tag of an image to one of its versions, or take it away.

    A tag is a movable name for a version; clients can be assigned to IMAGE:TAG, and an image has any number of tags.
    Clients that are assigned to an image without more boot its tag `stable`, once there is one, and `latest` until
    then; `latest` is always the newest version and cannot be set.  A move takes effect at each client's next boot;
    clients that run keep what they have.  `netboot image log` shows all moves, `netboot image rollback` undoes them.

    IMAGE without more means its newest version here.

    \b
    Examples:
      netboot image tag debian-minimal:3 test
      netboot image tag debian-minimal:latest test -m 'for the lab on Friday'
      netboot image tag debian-minimal test --remove

    \b
    Exit codes: 0 set, or it was so already; 1 the version is damaged; 2 it cannot be a tag;
    3 no such image, version or tag; 5 a right is lacking; 6 the disk is full.
    """
    store = place_of(ctx, data_dir).images
    ref = VersionRef.parse(image)
    if remove:
        _move(store, ref.image, name, lambda tags: tags.remove(name, **_signed(note)), json_=json_)
    else:
        _set(store, ref, name, note, json_=json_)


def promote(
    ctx: typer.Context,
    image: ImageArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="TAG", help="The tag that is moved.", autocompletion=complete_tag)
    ] = STABLE,
    tested: Annotated[
        bool, typer.Option("--tested", help="Only if it was up when it was last tested (netboot image boot-test).")
    ] = False,
    note: NoteOption = "",
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Let clients boot a version from now on: move the tag `stable` to it, or the one that --to names.

    IMAGE without more means its newest version.  The version's root is made first, if it is stored as its changes, so
    that no client waits for it.  Takes effect at each client's next boot; `netboot client list` shows whom a reboot
    would change.

    \b
    Examples:
      netboot image promote debian-minimal
      netboot image promote debian-minimal:4 -m 'tested in room 12'
      netboot image promote debian-minimal:test --to stable --tested

    \b
    Exit codes: 0 promoted, or it was so already; 1 the version is damaged; 2 it cannot be a tag;
    3 no such image or version; 4 it was not seen to boot, with --tested; 5 a right is lacking; 6 the disk is full.
    """
    store, ref = place_of(ctx, data_dir).images, VersionRef.parse(image)
    if tested:
        require_tested(store.get(_newest_unless_named(ref)), store.boot_tests(ref.image))
    _set(store, ref, to, note, json_=json_)


def rollback(
    ctx: typer.Context,
    image: NameArgument,
    tag: Annotated[
        str, typer.Option("--tag", metavar="TAG", help="The tag that goes back.", autocompletion=complete_tag)
    ] = STABLE,
    note: NoteOption = "",
    data_dir: DataDirOption = None,
    json_: JsonOption = False,
) -> None:
    """Move a tag back to the version that it named before its last move.

    Once more goes back one move more.  Takes effect at each client's next boot.

    \b
    Examples:
      netboot image rollback debian-minimal
      netboot image rollback debian-minimal --tag test -m 'the printer is gone'

    \b
    Exit codes: 0 moved back; 1 the version is damaged; 3 no such image or tag;
    4 the tag has named no version before, or one that was removed; 5 a right is lacking; 6 the disk is full.
    """
    store = place_of(ctx, data_dir).images
    store.get(VersionRef(image, LATEST))
    number = store.tags(image).previous(tag)
    if number is not None:
        version = store.find(VersionRef(image, number))
        if version is None:
            raise Conflict(
                f"tag {tag} named {image}:{number} before, which was removed",
                hint=f"name another version: netboot image promote {image}:NUMBER --to {tag}",
            )
        make_ready(store, version, quiet=json_)
    _move(store, image, tag, lambda tags: tags.roll_back(tag, **_signed(note)), json_=json_)


def _set(store: ImageStore, ref: VersionRef, tag: str, note: str, *, json_: bool) -> None:
    version = store.get(_newest_unless_named(ref))
    Tags().set(tag, version.number, at=0.0)  # refuses what cannot be a tag before any work is done
    make_ready(store, version, quiet=json_)
    _move(store, ref.image, tag, lambda tags: tags.set(tag, version.number, **_signed(note)), json_=json_)


def _newest_unless_named(ref: VersionRef) -> VersionRef:
    return VersionRef(ref.image, LATEST if ref.selector is None else ref.selector)


def _move(store: ImageStore, image: str, tag: str, change: Callable[[Tags], Tags], *, json_: bool) -> None:
    before = store.tags(image)
    after = store.change_tags(image, change)
    move = next(each for each in reversed(after.moves) if each.tag == tag)
    if json_:
        print_json(move_shape(image, move))
    else:
        typer.echo(_told(image, move) if after != before else f"{image}:{tag} is {image}:{move.number} already")


def _told(image: str, move: Move) -> str:
    before = "" if move.before is None else f", was {image}:{move.before}"
    return f"{image}:{move.tag} is " + (f"{image}:{move.number}" if move.number else "no more") + before


class _Signed(TypedDict):
    at: float
    who: str
    note: str


def _signed(note: str) -> _Signed:
    return _Signed(at=round(time.time(), 3), who=user_name(), note=note)
