"""Recipes: how an image is built from nothing, as a folder that people edit.

`NAME/recipe.toml` holds the settings below; `NAME/files/` is copied over the system before its packages are
configured; `NAME/scripts/` holds programs run in order of name at the end, with the system's folder as argument.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netboot.errors import InvalidInput, NotFound
from netboot.images.lint import Allowance
from netboot.images.prepare import Table, parse_table
from netboot.model.names import parse_image_name

FILE_NAME = "recipe.toml"

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

# What may stand in a setting's text; names of packages, units and suites go on command lines.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:.+_-]*")
# A kernel argument is one word that the boot scripts can carry unquoted.
_KERNEL_ARG = re.compile(r"[A-Za-z0-9_.,:;=/@%+-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image's recipe; `folder` is where it came from."""

    name: str
    folder: Path
    suite: str
    size_bytes: int
    packages: tuple[str, ...]
    arch: str = "amd64"
    components: tuple[str, ...] = ("main",)
    description: str = ""
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    kernel_args: tuple[str, ...] = ()
    prepare: Table = Table()
    allow: tuple[Allowance, ...] = ()

    @property
    def files(self) -> Path | None:
        folder = self.folder / "files"
        return folder if folder.is_dir() else None

    @property
    def scripts(self) -> tuple[Path, ...]:
        return tuple(sorted(each for each in (self.folder / "scripts").glob("*") if each.is_file()))


def load_recipe(recipes: Path, name: str) -> Recipe:
    """The recipe `name` below the folder `recipes`; `NotFound` names those that are there."""
    folder = recipes / parse_image_name(name)
    try:
        text = (folder / FILE_NAME).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        names = recipe_names(recipes)
        near = difflib.get_close_matches(name, names) or names
        raise NotFound(
            f"there is no recipe {name} in {recipes}",
            hint=f"there is {', '.join(near)}" if near else f"write {folder / FILE_NAME}",
        ) from error
    try:
        return parse_recipe(text, name=name, folder=folder)
    except InvalidInput as error:
        raise InvalidInput(f"{folder / FILE_NAME}: {error.message}", hint=error.hint) from error


def recipe_names(recipes: Path) -> tuple[str, ...]:
    return tuple(sorted(each.parent.name for each in recipes.glob(f"*/{FILE_NAME}")))


def parse_recipe(text: str, *, name: str, folder: Path) -> Recipe:
    """Raises `InvalidInput` naming the key, and for an unknown one its nearest neighbour."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(str(error)) from error
    readers: Mapping[str, Any] = {
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
        "prepare": _prepare,
        "allow": _allow,
    }
    for key in table:
        if key not in readers:
            near = difflib.get_close_matches(key, readers, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(readers)}"
            raise InvalidInput(f"{key} is not a setting of a recipe", hint=hint)
    for key in ("suite", "size", "packages"):
        if key not in table:
            raise InvalidInput(f"{key} is missing")
    values = {key: readers[key](key, value) for key, value in table.items()}
    values["size_bytes"] = values.pop("size")
    return dataclasses.replace(_blank(name, folder), **values)


def _blank(name: str, folder: Path) -> Recipe:
    return Recipe(name=name, folder=folder, suite="", size_bytes=0, packages=())


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
    return tuple(_word(key, each) for each in _list(key, value))


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
    match = re.fullmatch(r"([1-9][0-9]*)([KMG])", _text(key, value))
    if not match:
        raise InvalidInput(f"{key} is {value!r}", hint="write a number and K, M or G, as 1500M")
    return int(match.group(1)) * _UNITS[match.group(2)]
