"""The settings that `[boot]` and every `[profile.NAME]` have alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from netboot.config import values
from netboot.config.setting import setting
from netboot.model.root import Persistence, RootFormat, RootMode
from netboot.model.wishes import Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class WishSettings:
    """Each is None where the file says nothing."""

    root: RootMode | None = setting(
        None,
        values.choice(RootMode),
        "How clients reach their root: its tree over NFS (nfs, the default), its file system's file over NFS"
        " (nfs-file), or its disk (iscsi).",
    )
    root_format: RootFormat | None = setting(
        None,
        values.choice(RootFormat),
        "What nfs-file and iscsi give them: the version's own ext4 (the default), or compressed, erofs or squashfs.",
    )
    verify: bool | None = setting(
        None,
        values.boolean,
        "Whether clients of nfs-file and iscsi check each block against the version's root hash; by default not.",
    )
    upper: str | None = setting(
        None,
        values.upper,
        "The temporary layer: its bound in memory, as 50% (the default) or 2g; zram:2g, disk:LABEL, or crypt:LABEL.",
    )

    persistent: Persistence | None = setting(
        None,
        values.choice(Persistence),
        "Whether clients of iscsi get a writable disk of their own over the version: made anew for each boot (reset),"
        " or kept while the version is the same (keep); by default not (off).",
    )

    locale: str | None = setting(
        None, values.locale, "The locale that clients are set to, as de_DE.UTF-8; by default their image's."
    )
    keyboard: str | None = setting(
        None, values.keyboard, "Their keyboard: a layout, or one with its variant, as de-nodeadkeys."
    )
    timezone: str | None = setting(None, values.timezone, "Their time zone, as Europe/Berlin.")
    host_keys: bool | None = setting(
        None,
        values.boolean,
        "Whether they get ssh host keys that are their own and stay the same; by default they do.",
    )

    persist: tuple[str, ...] | None = setting(
        None,
        values.many(values.kept_path),
        "Absolute paths that each client keeps from boot to boot, on the server; all that are said add up.",
    )
    persist_size: str | None = setting(
        None,
        values.volume_size,
        "How much a client can keep in these, as 500m or 10g; by default 1g.  It can only grow.",
    )

    @property
    def wishes(self) -> Wishes:
        return Wishes(**{each.name: getattr(self, each.name) for each in fields(Wishes)})


def read_wish(name: str, value: Any) -> Any:
    """One wish, as the configuration spells it; `InvalidInput` says what would fit."""
    reader: values.Reader = _READERS[name]
    return reader(value)


def read_wishes(said: Mapping[str, Any]) -> Wishes:
    """What `say_wishes` made."""
    return Wishes(**{name: read_wish(name, value) for name, value in said.items()})


def say_wishes(wishes: Wishes) -> dict[str, Any]:
    """The wishes that say something, in plain values."""
    said = ((each.name, getattr(wishes, each.name)) for each in fields(wishes))
    return {name: _plain(value) for name, value in said if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, StrEnum) else value


def options_for(wishes: Wishes) -> list[str]:
    """The options of `netboot client add` and `set` that say the same."""
    words: list[str] = []
    for name, value in say_wishes(wishes).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [
                word for each in (value if isinstance(value, list) else [value]) for word in (f"--{option}", each)
            ]
    return words


_READERS = {each.name: each.metadata["read"] for each in fields(WishSettings)}
