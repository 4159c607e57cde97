"""Recipes: how an image is built from nothing, as a folder that people edit.

`NAME/recipe.toml` holds the settings below; `NAME/files/` is copied over the system before its packages are
configured; `NAME/scripts/` holds programs run in order of name at the end, with the system's folder as argument.  A
recipe may have a base, another recipe: then it says what it adds, takes out or has otherwise.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netboot.config.paths import recipes_dir
from netboot.errors import InvalidInput, NotFound
from netboot.images.lint import Allowance
from netboot.images.prepare import Table
from netboot.images.recipefile import merge_lists, parse_settings
from netboot.model.names import parse_image_name

FILE_NAME = "recipe.toml"

_REQUIRED = ("suite", "size", "packages")
# Settings whose field has another name.
_FIELDS = {"size": "size_bytes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image's recipe; `folders` are where it came from, that of its base first."""

    name: str
    folders: tuple[Path, ...]
    suite: str = ""
    size_bytes: int = 0
    packages: tuple[str, ...] = ()
    arch: str = "amd64"
    components: tuple[str, ...] = ("main",)
    description: str = ""
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    kernel_args: tuple[str, ...] = ()
    initramfs: str = "initramfs-tools"
    snapshot: str = ""
    date: str = ""
    prepare: Table = Table()
    allow: tuple[Allowance, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Folders that are laid over the system, a later one over an earlier one."""
        return tuple(folder for each in self.folders if (folder := each / "files").is_dir())

    @property
    def scripts(self) -> tuple[Path, ...]:
        return tuple(
            script for folder in self.folders for script in sorted((folder / "scripts").glob("*")) if script.is_file()
        )


def load_recipe(recipes: Path, name: str) -> Recipe:
    """The recipe `name` below the folder `recipes`; `NotFound` names those that are there.

    A base may also be one of the program's own.
    """
    return _load(recipes, name, heirs=())


def recipe_names(recipes: Path) -> tuple[str, ...]:
    return tuple(sorted(each.parent.name for each in recipes.glob(f"*/{FILE_NAME}")))


def parse_recipe(text: str, *, name: str, folder: Path, base: Recipe | None = None) -> Recipe:
    """Raises `InvalidInput` naming the key; `base` is the recipe that this one is based on."""
    return _combine(parse_settings(text), name=name, folder=folder, base=base)


def _combine(settings: Mapping[str, Any], *, name: str, folder: Path, base: Recipe | None) -> Recipe:
    own = {_FIELDS.get(key, key): value for key, value in settings.items() if key != "base"}
    if base is None:
        if missing := [key for key in _REQUIRED if key not in settings]:
            raise InvalidInput(f"{missing[0]} is missing", hint="set it, or name a base that has it")
        base = Recipe(name=name, folders=(), components=())
        own.setdefault("components", ("main",))
    merged = {key: _merge(key, getattr(base, key), value) for key, value in own.items()}
    return dataclasses.replace(base, name=name, folders=(*base.folders, folder), **merged)


def _merge(key: str, base: Any, own: Any) -> Any:
    """What a recipe has for a key of which its base has `base`."""
    match own:
        case Table():
            return base.with_first(own)
        case (Allowance(), *_):
            return (*base, *own)
        case tuple():
            return merge_lists(key, base, own)
        case _:
            return own


def _load(recipes: Path, name: str, *, heirs: tuple[str, ...]) -> Recipe:
    folder = _find(recipes, name, as_base=bool(heirs))
    file = folder / FILE_NAME
    with _named(file):
        settings = parse_settings(file.read_text(encoding="utf-8"))
        if (base_name := settings.get("base")) in (*heirs, name):
            raise InvalidInput(f"base leads back to {base_name}")
    base = _load(recipes, base_name, heirs=(*heirs, name)) if base_name else None
    with _named(file):
        return _combine(settings, name=name, folder=folder, base=base)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error.message}", hint=error.hint) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8") from error


def _find(recipes: Path, name: str, *, as_base: bool) -> Path:
    parse_image_name(name)
    for each in (recipes, recipes_dir()) if as_base else (recipes,):
        if (each / name / FILE_NAME).is_file():
            return each / name
    names = recipe_names(recipes)
    near = difflib.get_close_matches(name, names) or names
    raise NotFound(
        f"there is no recipe {name} in {recipes}",
        hint=f"there is {', '.join(near)}" if near else f"write {recipes / name / FILE_NAME}",
    )
