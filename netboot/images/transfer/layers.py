"""What a layer of an OCI image hides of those below it: files whose names begin with `.wh.` (image-spec, layer.md).

`.wh.NAME` hides NAME, `.wh..wh..opq` everything in its folder.  Neither touches what the same layer brings, in whatever
order it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from netboot.errors import InvalidInput
from netboot.images.transfer.entry import show

_HIDING = b".wh."
_OPAQUE = b".wh..wh..opq"
# Other such names are AUFS's own bookkeeping and mean nothing to others.
_BOOKKEEPING = b".wh..wh."


@dataclass(frozen=True, slots=True)
class Hide:
    """`path` is hidden, or with `below` only what is in it; without a path it is nobody's business."""

    path: bytes | None
    below: bool = False


def hidden_by(path: bytes) -> Hide | None:
    """What a file of this path in a layer hides; None for a file that is one."""
    folder, slash, name = path.rpartition(b"/")
    if name == _OPAQUE:
        return Hide(folder, below=True)
    if any(each.startswith(_BOOKKEEPING) for each in path.split(b"/")):
        return Hide(None)
    if any(each.startswith(_HIDING) for each in folder.split(b"/")):
        raise InvalidInput(f"{show(path)} lies in a folder that is a mark of what is hidden")
    if not name.startswith(_HIDING):
        return None
    hidden = name.removeprefix(_HIDING)
    if hidden in (b"", b".", b".."):
        raise InvalidInput(f"{show(path)} hides nothing that can be named")
    return Hide(folder + slash + hidden)
