"""Where a client's own files come from, and what templates among them are told.

    TEMPLATES/client/SETTING/...        what carries out a setting, from the client's root on
    FILES/all/root/...                  for every client, from its root on
    FILES/all/credentials/NAME          for systemd's services
    FILES/clients/CLIENT/root/...       the same for one client that was added, by its name
    FILES/clients/CLIENT/credentials/NAME

TEMPLATES are the program's, and the operator's over them; FILES are what the setting `files` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath

from netboot.errors import InvalidInput
from netboot.model.target import ImageTarget
from netboot.personal.collect import collect
from netboot.personal.entries import Entries, File, beneath

ROOT, CREDENTIALS = "root", "credentials"
# What the client calls the tree that it lays over its root.
IN_ARCHIVE = {ROOT: "files", CREDENTIALS: "credentials"}

_ALL, _CLIENTS = "all", "clients"
# The settings that a folder of templates carries out.
_CARRIED_OUT = ("locale", "keyboard", "timezone")


def check_files(folder: Path) -> None:
    """Raises `InvalidInput` for a folder that is not there, or whose files would go nowhere."""
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder, so it holds no files", hint="make it, or correct the setting files")
    parts = [folder / _ALL, *(folder / _CLIENTS).glob("*")]
    for path in (*folder.iterdir(), *(each for part in parts if part.is_dir() for each in part.iterdir())):
        known = (_ALL, _CLIENTS) if path.parent == folder else tuple(IN_ARCHIVE)
        if path.name not in known or not path.is_dir():
            raise InvalidInput(
                f"{path} goes nowhere: {path.parent} has the folders {' and '.join(known)} alone",
                hint=f"move it, as to {folder / _ALL / ROOT / path.name}",
            )


def settings_entries(target: ImageTarget, templates: Sequence[Path], values: Mapping[str, str]) -> Iterator[Entries]:
    """What carries out the client's settings; nothing of it is secret."""
    for name in _CARRIED_OUT:
        if getattr(target, name):
            for folder in templates:
                yield beneath(IN_ARCHIVE[ROOT], collect(folder / "client" / name, values))


def file_entries(target: ImageTarget, values: Mapping[str, str]) -> Iterator[Entries]:
    """The operator's files for this client."""
    for folder in file_folders(target):
        for part, name in IN_ARCHIVE.items():
            entries = collect(folder / part, values)
            if part == CREDENTIALS:
                _check_credentials(folder / part, entries)
            yield beneath(name, entries)


def file_folders(target: ImageTarget) -> Iterator[Path]:
    """The folders that hold its files, those for all clients first."""
    for folder in target.files:
        check_files(folder)
        yield folder / _ALL
    if target.known:
        yield from (folder / _CLIENTS / target.hostname for folder in target.files)


def template_folders(target: ImageTarget, templates: Sequence[Path]) -> Iterator[Path]:
    yield from (folder / "client" / name for name in _CARRIED_OUT if getattr(target, name) for folder in templates)


def values_of(target: ImageTarget, *, address: IPv4Address, server: IPv4Address) -> dict[str, str]:
    """What templates are told; a setting that nobody made is an empty text."""
    layout, _, variant = (target.keyboard or "").partition("-")
    return {
        "hostname": target.hostname,
        "mac": str(target.mac),
        "address": str(address),
        "server": str(server),
        "machine_id": target.machine_id,
        "image": target.version.image,
        "version": target.version.label,
        "locale": target.locale or "",
        "keyboard": target.keyboard or "",
        "layout": layout,
        "variant": variant,
        "timezone": target.timezone or "",
    }


def _check_credentials(folder: Path, entries: Mapping[PurePosixPath, object]) -> None:
    for place, entry in entries.items():
        if not isinstance(entry, File) or len(place.parts) != 1:
            raise InvalidInput(f"{folder / place} is no credential", hint="credentials are files without folders")
