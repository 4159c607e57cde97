"""One file of a tree on its way from somewhere to somewhere else, and what its name may be.

Names come from whoever made the archive.  Here they become a path beneath the tree or an error; what its folders are
on the disk (links, perhaps) is for the writer to mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from netboot.errors import InvalidInput

# What the kernel takes: PATH_MAX and NAME_MAX.
_PATH_BYTES, _NAME_BYTES = 4096, 255

# The last one, all bits set, stands for "leave it as it is", chown(2).
_MOST_ID = 0xFFFFFFFE

# Labels of overlay file systems: in a tree that becomes the lower layer of one they would hide or redirect files.
# XFS shows how it keeps its ACLs, which are told by their own name as well.
_REFUSED_XATTRS = ("trusted.overlay.", "user.overlay.", "trusted.SGI_ACL_")


class Kind(Enum):
    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    CHAR = "character device"
    BLOCK = "block device"
    FIFO = "named pipe"


DEVICES = frozenset({Kind.CHAR, Kind.BLOCK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, without its content.

    `path` is relative, of at least one plain name, but for the tree's own root, which is empty.  `target` is a
    symlink's text, which may be anything, or the path of the file that a hard link is another name of.  `size` is that
    of the content; `data` are the parts of it that are not holes, as (offset, length), None when it has none.
    """

    path: bytes
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    data: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        """What no system call would take is no file: a stranger's archive may say anything."""
        for name, value, least, most in (
            ("owner", self.uid, 0, _MOST_ID),
            ("group", self.gid, 0, _MOST_ID),
            ("size", self.size, 0, 1 << 60),
            ("time", self.mtime_ns // 10**9, -(1 << 40), 1 << 40),
            ("device", self.device[0], 0, 0xFFF),
            ("device", self.device[1], 0, 0xFFFFF),
        ):
            if not least <= value <= most:
                raise InvalidInput(f"{show(self.path)} has the {name} {value}, which cannot be")

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """The parts of the content that are stored: all of it, unless there are holes."""
        return self.data if self.data is not None else (((0, self.size),) if self.size else ())


def parse_path(name: bytes) -> bytes:
    """A name of an archive as a path beneath the tree: without `/` at either end, without `.`; b"" is the root."""
    names = [each for each in name.split(b"/") if each not in (b"", b".")]
    if b".." in names:
        raise InvalidInput(f"{show(name)} leaves the tree", hint="whoever made the archive should say why it holds ..")
    if b"\0" in name or any(len(each) > _NAME_BYTES for each in names) or len(name) > _PATH_BYTES:
        raise InvalidInput(f"{show(name)} cannot be a file's name")
    return b"/".join(names)


def join(*parts: bytes) -> bytes:
    """A path of its parts, of which some may be empty."""
    return b"/".join(part for part in parts if part)


def kept_xattrs(xattrs: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in sorted(xattrs.items()) if not name.startswith(_REFUSED_XATTRS)}


def show(name: bytes) -> str:
    """A name for people, whatever bytes it has."""
    text = name[:200].decode("utf-8", "backslashreplace")
    return repr(text + ("..." if len(name) > 200 else ""))
