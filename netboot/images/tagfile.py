"""The tags of an image as a file: `NAME/tags.json`, replaced as a whole."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netboot.errors import InvalidInput
from netboot.images.documents import Fields, check_fields, parse_object
from netboot.images.files import replace_text, unreadable, unwritten
from netboot.images.tags import Move, MoveKind, Tags
from netboot.model.names import parse_tag

FILE_NAME = "tags.json"

FORMAT = 1

_FIELDS: Fields = {
    "tag": (str,),
    "kind": (str,),
    "number": (int, type(None)),
    "before": (int, type(None)),
    "at": (int, float),
    "who": (str,),
    "note": (str,),
}


def to_json(tags: Tags) -> str:
    moves = [
        {
            "tag": move.tag,
            "kind": move.kind.value,
            "number": move.number,
            "before": move.before,
            "at": move.at,
            "who": move.who,
            "note": move.note,
        }
        for move in tags.moves
    ]
    return json.dumps({"format": FORMAT, "moves": moves}, indent=2, ensure_ascii=False) + "\n"


def parse_tags(text: str) -> Tags:
    """Raises `InvalidInput` naming what is wrong."""
    value = parse_object(text)
    match value:
        case {"format": 1, "moves": list(moves)} if len(value) == 2:
            return Tags(tuple(_parse_move(move) for move in moves))
        case _:
            raise InvalidInput(f"it is not an object of format {FORMAT} with moves", hint="use a newer netboot")


def read_tags(folder: Path) -> Tags:
    """The tags of the image in `folder`; none where there is no file."""
    file = folder / FILE_NAME
    try:
        return parse_tags(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Tags()
    except UnicodeDecodeError as error:
        raise unreadable(file, InvalidInput("it is not UTF-8")) from error
    except (OSError, InvalidInput) as error:
        raise unreadable(file, error) from error


def change_tags(folder: Path, change: Callable[[Tags], Tags]) -> Tags:
    """Make the image's tags what `change` makes of them, one process at a time; what it raises changes nothing."""
    try:
        with tags_locked(folder):
            before = read_tags(folder)
            after = change(before)
            if after != before:
                replace_text(folder / FILE_NAME, to_json(after))
            return after
    except OSError as error:
        raise unwritten(folder, error) from error


@contextmanager
def tags_locked(folder: Path) -> Iterator[None]:
    """Hold what lies beside the image's versions as it is, its tags above all, against others who would change it."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _parse_move(value: Any) -> Move:
    if not isinstance(value, dict):
        raise InvalidInput("a move is no object")
    try:
        check_fields(value, _FIELDS)
    except InvalidInput as error:
        raise InvalidInput(f"a move is wrong: {error.message}") from error
    if value["kind"] not in set(MoveKind):
        raise InvalidInput(f"{value['kind']!r} is no kind of move")
    if (value["kind"] == MoveKind.REMOVED) != (value["number"] is None):
        raise InvalidInput(f"a move of kind {value['kind']} to {value['number']}")
    return Move(
        tag=parse_tag(value["tag"]),
        kind=MoveKind(value["kind"]),
        number=value["number"],
        before=value["before"],
        at=float(value["at"]),
        who=value["who"],
        note=value["note"],
    )
