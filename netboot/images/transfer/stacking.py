"""Applying the layers of an OCI image to a tree, one after another, in one pass each."""

from __future__ import annotations

from collections.abc import Iterable

from netboot.images.transfer.layers import hidden_by
from netboot.images.transfer.tar import Item
from netboot.images.transfer.writer import TreeWriter


def apply_layer(items: Iterable[Item], writer: TreeWriter) -> None:
    """Write what the layer brings, and remove what it hides of what was there before."""
    brought: set[bytes] = set()
    for entry, chunks in items:
        hide = hidden_by(entry.path)
        if hide is None:
            brought.add(writer.add(entry, chunks))
        elif hide.path is not None:
            writer.remove(hide.path, keep=brought, itself=not hide.below)
