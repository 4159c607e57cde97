"""Settings of a client that cannot be had together, each of which may be another source's word."""

from __future__ import annotations

from dataclasses import dataclass

from netboot.model.root import RootFormat, RootMode
from netboot.model.target import ImageTarget


@dataclass(frozen=True, slots=True)
class Contradiction:
    """In words, and what to do about it."""

    reason: str
    hint: str


def contradiction(target: ImageTarget) -> Contradiction | None:
    """The first one that there is."""
    if target.verify and target.form.format is None:
        return Contradiction(
            f"{target.hostname} shall verify its root, which it cannot over {target.root}",
            "give it root = nfs-file or iscsi, or verify = false",
        )
    if not target.has_own_disk:
        return None
    shall = f"{target.hostname} shall have a disk of its own (persistent = {target.persistent})"
    if target.root is not RootMode.ISCSI:
        return Contradiction(
            f"{shall}, which it cannot over {target.root}", "give it root = iscsi, or persistent = off"
        )
    if target.root_format is not RootFormat.EXT4:
        return Contradiction(
            f"{shall}, and {target.root_format} cannot be written to",
            "give it root_format = ext4, or persistent = off",
        )
    if target.verify:
        return Contradiction(
            f"{shall} and verify it, but what is written has no root hash",
            "give it verify = false, or persistent = off",
        )
    return None
