"""The file of a recipe: its settings read strictly, each to the value that `Recipe` has for it.

A word of a list that begins with a hyphen takes it out of the base's list; the rest of a list is what it adds.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from netboot.errors import InvalidInput
from netboot.images.lint import Allowance
from netboot.images.prepare import Table, parse_table
from netboot.initramfs import GENERATORS
from netboot.model.sizes import parse_size

_STAMP = "%Y%m%dT%H%M%SZ"

# What may stand in a setting's text; names of packages, units and suites go on command lines.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:.+_-]*")
# A kernel argument is one word that the boot scripts can carry unquoted.
_KERNEL_ARG = re.compile(r"[A-Za-z0-9_.,:;=/@%+-]+")
_TAKEN_OUT = "-"


def parse_settings(text: str) -> dict[str, Any]:
    """The settings by key; `InvalidInput` names the key that is wrong, and for an unknown one its nearest neighbour."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(str(error)) from error
    for key in table:
        if key not in READERS:
            near = difflib.get_close_matches(key, READERS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(READERS)}"
            raise InvalidInput(f"{key} is not a setting of a recipe", hint=hint)
    return {key: READERS[key](key, value) for key, value in table.items()}


def merge_lists(key: str, base: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
    """The base's words but for those taken out, then the own ones."""
    out = {word.removeprefix(_TAKEN_OUT) for word in own if word.startswith(_TAKEN_OUT)}
    if missing := sorted(out - set(base)):
        raise InvalidInput(
            f"{key} takes out {', '.join(missing)}, which no base has", hint=f"the base has {', '.join(base) or 'none'}"
        )
    added = [word for word in own if not word.startswith(_TAKEN_OUT)]
    return tuple(dict.fromkeys([*(word for word in base if word not in out), *added]))


def parse_stamp(key: str, value: Any) -> str:
    """A time in UTC as archives of snapshots name them; the text itself."""
    try:
        datetime.strptime(_text(key, value), _STAMP)
    except ValueError:
        raise InvalidInput(f"{key} is {value!r}", hint="write it as 20261101T000000Z") from None
    return str(value)


def stamp_seconds(stamp: str) -> int:
    """The time that a stamp names, in Unix seconds."""
    return int(datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).timestamp())


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{key} is {value!r}, not text")
    return value


def _word(key: str, value: Any) -> str:
    if not _WORD.fullmatch(_text(key, value)):
        raise InvalidInput(f"{key} holds {value!r}, which is not a plain name")
    return str(value)


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(f"{key} is {value!r}, not a list", hint=f'write {key} = ["..."]')
    return value


def _words(key: str, value: Any) -> tuple[str, ...]:
    for each in _list(key, value):
        _word(key, _text(key, each).removeprefix(_TAKEN_OUT))
    return tuple(value)


def _kernel_args(key: str, value: Any) -> tuple[str, ...]:
    for each in _list(key, value):
        if not _KERNEL_ARG.fullmatch(_text(key, each)):
            raise InvalidInput(f"{key} holds {each!r}, which is not one safe word of a kernel line")
    return tuple(value)


def _allow(key: str, value: Any) -> tuple[Allowance, ...]:
    return tuple(Allowance.parse(_text(key, each)) for each in _list(key, value))


def _prepare(key: str, value: Any) -> Table:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{key} is {value!r}, not a table", hint="write [[prepare.state]] and a rule below it")
    try:
        return parse_table(value)
    except InvalidInput as error:
        raise InvalidInput(f"{key}.{error.message}", hint=error.hint) from error


def _size(key: str, value: Any) -> int:
    try:
        return parse_size(_text(key, value))
    except InvalidInput as error:
        raise InvalidInput(f"{key} is {value!r}", hint=error.hint) from error


def _initramfs(key: str, value: Any) -> str:
    if _text(key, value) not in GENERATORS:
        raise InvalidInput(f"{key} is {value!r}", hint=f"it is one of {', '.join(GENERATORS)}")
    return str(value)


# The settings, in the order in which the documentation has them.
READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "base": _word,
    "description": _text,
    "suite": _word,
    "arch": _word,
    "size": _size,
    "components": _words,
    "packages": _words,
    "enable": _words,
    "disable": _words,
    "mask": _words,
    "kernel_args": _kernel_args,
    "initramfs": _initramfs,
    "snapshot": parse_stamp,
    "date": parse_stamp,
    "prepare": _prepare,
    "allow": _allow,
}
