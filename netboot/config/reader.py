"""From TOML to `Config`: names the file, the key, and for a mistyped key the nearest valid one."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from netboot.config.reservation import Reservation
from netboot.config.sections import (
    BootSettings,
    ClientSettings,
    Config,
    EventSettings,
    ExportSettings,
    HttpSettings,
    ImageSettings,
    Interface,
    Profile,
    Subnet,
    TftpSettings,
)
from netboot.errors import InvalidInput, NotFound, NotPermitted
from netboot.model.names import parse_profile_name

S = TypeVar("S")

# One table a section; a list of tables (`[[interface]]`) where the file may hold several.
TABLES: Mapping[str, type] = {
    "http": HttpSettings,
    "tftp": TftpSettings,
    "clients": ClientSettings,
    "boot": BootSettings,
    "exports": ExportSettings,
    "images": ImageSettings,
    "events": EventSettings,
}
LISTS: Mapping[str, type] = {"interface": Interface, "subnet": Subnet, "reservation": Reservation}
# Tables that the file names itself: `[profile.NAME]`.
NAMED: Mapping[str, tuple[type, Callable[[str], str]]] = {"profile": (Profile, parse_profile_name)}


def load_config(file: Path) -> Config:
    """Read `file`; `InvalidInput` names file and key, `NotFound` and `NotPermitted` the file."""
    try:
        source = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(
            f"{file} does not exist", hint="name your file with --config; docs/configuration.md has one"
        ) from None
    except PermissionError:
        raise NotPermitted(f"{file} may not be read", hint="run as root, or make it readable") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from None
    return parse_config(source, name=str(file))


def parse_config(source: str, *, name: str = "netboot.toml") -> Config:
    """Read the text of a configuration file; `name` stands for it in messages."""
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{name}: not valid TOML: {error}") from None
    try:
        return _config(document)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error.message}", hint=error.hint) from None


def settings_of(section: type) -> dict[str, dataclasses.Field[Any]]:
    """The settings of a section by key, in the order in which they are documented."""
    return {field.name: field for field in dataclasses.fields(section) if "read" in field.metadata}


def _config(document: Mapping[str, Any]) -> Config:
    known = [*settings_of(Config), *TABLES, *LISTS, *NAMED]
    for key in document:
        _check_key(key, known, where="")
    top = {key: value for key, value in document.items() if key in settings_of(Config)}
    parts: dict[str, Any] = _read_values(Config, top, where="")
    for key, section in TABLES.items():
        if key in document:
            parts[key] = _section(section, document[key], where=key)
    for key, section in LISTS.items():
        tables = document.get(key, [])
        if not isinstance(tables, list):
            raise InvalidInput(f"{key}: must be a list of tables", hint=f"write [[{key}]] with two brackets")
        parts[key] = tuple(_section(section, table, where=f"{key}[{n}]") for n, table in enumerate(tables, 1))
    for key, (section, parse_name) in NAMED.items():
        parts[key] = {
            parse_name(name): _section(section, table, where=f"{key}.{name}")
            for name, table in _table(document.get(key, {}), where=key, header=f"{key}.NAME").items()
        }
    return Config(**parts)


def _section(section: type[S], table: Any, *, where: str) -> S:
    table = _table(table, where=where, header=where)
    for key in table:
        _check_key(key, list(settings_of(section)), where=f"{where}.")
    parts = _read_values(section, table, where=f"{where}.")
    for key, field in settings_of(section).items():
        if key not in parts and field.default is dataclasses.MISSING:
            raise InvalidInput(f"{where}.{key} is missing", hint=field.metadata["help"])
    try:
        return section(**parts)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error.message}", hint=error.hint) from None


def _table(value: Any, *, where: str, header: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{where}: must be a table", hint=f"write [{header}] and its settings below")
    return value


def _read_values(section: type, table: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    settings = settings_of(section)
    read: dict[str, Any] = {}
    for key, value in table.items():
        try:
            read[key] = settings[key].metadata["read"](value)
        except InvalidInput as error:
            raise InvalidInput(f"{where}{key} {error.message}", hint=error.hint) from None
    return read


def _check_key(key: str, known: list[str], *, where: str) -> None:
    if key in known:
        return
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {where}{near[0]}?" if near else f"known here: {', '.join(known)}"
    raise InvalidInput(f"{where}{key} is no setting", hint=hint)
