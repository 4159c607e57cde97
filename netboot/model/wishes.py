"""What may be said of a boot by the configuration, a profile and a client's own record alike."""

from __future__ import annotations

from dataclasses import dataclass

from netboot.model.root import Persistence, RootFormat, RootMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """One source's words; None says nothing.

    `root` is the root mode and `root_format` the file system of modes whose clients mount one.  `verify` has every
    block checked against the version's root hash.  `upper` is the temporary layer: a bound for one in memory (`50%`,
    `2g`), `zram:SIZE` for compressed memory, `disk:LABEL` for a local partition, `crypt:LABEL` for one with a
    key that is thrown away.  `persistent` gives it a writable disk of its own in place of that layer.  `locale` is what
    LANG is set to (`de_DE.UTF-8`), `keyboard` a layout with or without its variant (`us`, `de-nodeadkeys`), `timezone`
    a name of the time zone database (`Europe/Berlin`): what the image has, where nobody says any.  `host_keys` gives a
    client ssh host keys that stay the same from boot to boot.  `persist` are absolute paths that it keeps from boot to
    boot, on the server; those of all sources add up.  All of them together have `persist_size` (`1g`).
    """

    root: RootMode | None = None
    root_format: RootFormat | None = None
    verify: bool | None = None
    upper: str | None = None
    persistent: Persistence | None = None
    locale: str | None = None
    keyboard: str | None = None
    timezone: str | None = None
    host_keys: bool | None = None
    persist: tuple[str, ...] | None = None
    persist_size: str | None = None


NO_WISHES = Wishes()

# What holds where nobody says anything.
DEFAULTS = Wishes(
    root=RootMode.NFS,
    root_format=RootFormat.EXT4,
    verify=False,
    upper="50%",
    persistent=Persistence.OFF,
    host_keys=True,
    persist=(),
    persist_size="1g",
)

# What sources say of these does not replace what others say, but comes to it.
ADDING_UP = frozenset({"persist"})
