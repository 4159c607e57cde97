"""Headers of tar archives, POSIX.1-2001 (pax) as GNU tar, libarchive and Go write it, to bytes and back.

Reading takes what is around: ustar, pax, GNU's long names, base-256 numbers and three kinds of sparse files.  Writing
has one spelling: a ustar header, before it a pax header with what does not fit, records sorted; so the same tree is
the same bytes.  An archive is a stranger's: every length is bounded before it is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netboot.errors import InvalidInput
from netboot.images.transfer import acl
from netboot.images.transfer.entry import DEVICES, Entry, Kind, show
from netboot.images.transfer.fields import BLOCK, number, octal, padding, text
from netboot.images.transfer.records import encode_records, encode_time, number_in, time_ns

_KINDS: Mapping[bytes, Kind] = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,  # "contiguous", which nothing has been for decades
    b"S": Kind.FILE,  # GNU's old sparse file
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHAR,
    b"4": Kind.BLOCK,
    b"5": Kind.FOLDER,
    b"6": Kind.FIFO,
}
_TYPES: Mapping[Kind, bytes] = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHAR: b"3",
    Kind.BLOCK: b"4",
    Kind.FOLDER: b"5",
    Kind.FIFO: b"6",
}
_XATTR = "SCHILY.xattr."

# Twelve octal digits less the end mark; seven for ids and devices.
_MAX_SIZE, _MAX_ID = 0o77777777777, 0o7777777


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One block of 512 bytes, as it says it itself; `size` is how many bytes follow, padded to whole blocks."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    type: bytes
    target: bytes
    device: tuple[int, int]
    raw: bytes


def parse_header(block: bytes) -> Header | None:
    """None for a block of zeros, which ends an archive; `InvalidInput` for what is no header."""
    if not block.strip(b"\0"):
        return None
    if octal(block[148:156]) != _checksum(block):
        raise InvalidInput("a header's checksum does not match its content")
    name, prefix = text(block[:100]), text(block[345:500])
    gnu = block[257:265] == b"ustar  \0"
    return Header(
        # GNU's old format has times where ustar has the first part of a long name.
        name=prefix + b"/" + name if prefix and block[257:262] == b"ustar" and not gnu else name,
        mode=number(block[100:108]) & 0o7777,
        uid=number(block[108:116]),
        gid=number(block[116:124]),
        size=number(block[124:136]),
        mtime=number(block[136:148], signed=True),
        type=block[156:157],
        target=text(block[157:257]),
        # Only of devices: some tars leave rubbish here for others.
        device=(number(block[329:337]), number(block[337:345])) if block[156:157] in (b"3", b"4") else (0, 0),
        raw=block,
    )


def entry_of(header: Header, extra: Mapping[str, bytes]) -> Entry:
    """The file that a header is about; `extra` are its pax records and those for all that follow.

    `path` is still as the archive has it; `size` and `data` are those of the file's content once it is put together.
    """
    kind = _KINDS.get(header.type)
    if kind is None:
        raise InvalidInput(f"{show(header.name)} is of the unknown kind {header.type!r}")
    name = extra.get("GNU.sparse.name", extra.get("path", header.name))
    # Old tars (v7) have no type for folders, but a slash at the end.
    kind = Kind.FOLDER if kind is Kind.FILE and name.endswith(b"/") else kind
    size = number_in(extra, "size", header.size)
    return Entry(
        path=name,
        kind=kind,
        mode=header.mode,
        uid=number_in(extra, "uid", header.uid),
        gid=number_in(extra, "gid", header.gid),
        mtime_ns=time_ns(extra["mtime"]) if "mtime" in extra else header.mtime * 10**9,
        size=size if kind is Kind.FILE else 0,
        target=extra.get("linkpath", header.target) if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"",
        device=header.device if kind in DEVICES else (0, 0),
        xattrs=_xattrs(extra),
    )


def content_bytes(header: Header, extra: Mapping[str, bytes]) -> int:
    """How many bytes of content follow this header."""
    # Links, folders and devices have none, whatever an old tar wrote into their size.
    without = header.type in b"123456" and header.type != b""
    return 0 if without else number_in(extra, "size", header.size)


def encode(entry: Entry, *, follows: int | None = None, more: Mapping[str, bytes] | None = None) -> bytes:
    """The blocks that stand before a file's content; `follows` is the content's length here if it is not the size."""
    size = entry.size if follows is None else follows
    path = (entry.path or b".") + b"/" if entry.kind is Kind.FOLDER else entry.path
    seconds, rest = divmod(entry.mtime_ns, 10**9)
    records: dict[str, bytes] = {f"{_XATTR}{name}": value for name, value in entry.xattrs.items()}
    # The lists of rights as text too: GNU tar takes them from there, and drops what it finds elsewhere.
    records |= {key: value for key, name in acl.RECORDS.items() if (value := acl.text_of(entry.xattrs.get(name, b"")))}
    records |= more or {}
    # fmt: off
    unfit = {
        "path": (path, len(path) > 100 or not path.isascii()),
        "linkpath": (entry.target, len(entry.target) > 100 or not entry.target.isascii()),
        "uid": (b"%d" % entry.uid, entry.uid > _MAX_ID),
        "gid": (b"%d" % entry.gid, entry.gid > _MAX_ID),
        "size": (b"%d" % size, size > _MAX_SIZE),
        "mtime": (encode_time(entry.mtime_ns), rest != 0 or not 0 <= seconds <= _MAX_SIZE),
    }
    # fmt: on
    records |= {key: value for key, (value, wanted) in unfit.items() if wanted}
    header = _encode_block(
        path, entry.mode, entry.uid, entry.gid, size, seconds, _TYPES[entry.kind], entry.target, entry.device
    )
    return _pax_header(records) + header


def end_of_archive() -> bytes:
    return bytes(2 * BLOCK)


def _encode_block(
    path: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    type: bytes,
    target: bytes,
    device: tuple[int, int],
) -> bytes:
    # What does not fit is in the pax header; here stands what an old reader can use.
    block = bytearray(BLOCK)
    fields = [
        (0, path[:100]),
        (100, b"%07o\0" % (mode & 0o7777)),
        (108, b"%07o\0" % (uid if uid <= _MAX_ID else 0)),
        (116, b"%07o\0" % (gid if gid <= _MAX_ID else 0)),
        (124, b"%011o\0" % (size if size <= _MAX_SIZE else 0)),
        (136, b"%011o\0" % min(max(mtime, 0), _MAX_SIZE)),
        (148, b" " * 8),
        (156, type),
        (157, target[:100]),
        (257, b"ustar\00000"),
        (329, b"%07o\0" % device[0]),
        (337, b"%07o\0" % device[1]),
    ]
    for at, value in fields:
        block[at : at + len(value)] = value
    block[148:156] = b"%06o\0 " % _checksum(bytes(block))
    return bytes(block)


def _xattrs(extra: Mapping[str, bytes]) -> dict[str, bytes]:
    as_text = {name: acl.value_of(extra[key]) for key, name in acl.RECORDS.items() if key in extra}
    found = {name: value for name, value in as_text.items() if value is not None}
    return found | {key.removeprefix(_XATTR): value for key, value in extra.items() if key.startswith(_XATTR)}


def _pax_header(records: Mapping[str, bytes]) -> bytes:
    if not records:
        return b""
    content = encode_records(records)
    head = _encode_block(b"././@PaxHeader", 0o644, 0, 0, len(content), 0, b"x", b"", (0, 0))
    return head + content + bytes(padding(len(content)))


def _checksum(block: bytes) -> int:
    return sum(block) - sum(block[148:156]) + 8 * 32
