"""What is written to a tar is what is read from it, for every file that can be; and no bytes make the reader fail."""

from __future__ import annotations

import contextlib
import dataclasses

import hypothesis.strategies as st
from hypothesis import given, settings

from netboot.errors import InvalidInput
from netboot.images.transfer.entry import Entry, Kind
from tests.tar_kit import archive, read

NAMES = st.binary(min_size=1, max_size=120).filter(lambda name: not set(name) & {0, 47} and name not in (b".", b".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
XATTRS = st.dictionaries(
    st.text("abc.", min_size=1, max_size=20).map("user.{}".format), st.binary(max_size=100), max_size=3
)
PARTS = st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), max_size=4)


@st.composite
def files(draw: st.DrawFn) -> tuple[Entry, bytes]:
    kind = draw(st.sampled_from(Kind))
    parts: list[tuple[int, int]] = []
    content, at = b"", 0
    if kind is Kind.FILE:
        for hole, length in draw(PARTS):
            content += bytes(hole) + draw(st.binary(min_size=1, max_size=1)) * length
            parts.append((at + hole, length))
            at += hole + length
        content += bytes(draw(st.integers(0, 600)))
    has_map: bool = draw(st.booleans())
    entry = Entry(
        path=draw(PATHS),
        kind=kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(st.integers(0, 0xFFFFFFFE)),
        gid=draw(st.integers(0, 0xFFFFFFFE)),
        mtime_ns=draw(st.integers(-(10**18), 10**19)),
        size=len(content),
        target=draw(PATHS) if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"",
        device=draw(st.tuples(st.integers(0, 0xFFF), st.integers(0, 0xFFFFF)))
        if kind in (Kind.CHAR, Kind.BLOCK)
        else (0, 0),
        xattrs=draw(XATTRS),
        data=tuple(parts) if parts and has_map else None,
    )
    return entry, content


def written(found: list[tuple[Entry, bytes]], *, holes: bool) -> bytes:
    return archive(
        ((entry, iter([(at, content[at : at + length]) for at, length in entry.parts])) for entry, content in found),
        holes=holes,
    )


@given(st.lists(files(), max_size=4), st.booleans())
def test_written_and_read_again(found: list[tuple[Entry, bytes]], holes: bool) -> None:
    again = list(read(written(found, holes=holes)))
    assert [content for _, content in again] == [content for _, content in found]
    kept = [entry if holes else dataclasses.replace(entry, data=None) for entry, _ in found]
    assert [entry for entry, _ in again] == kept


@settings(max_examples=500)
@given(st.lists(files(), min_size=1, max_size=2), st.data())
def test_damage_is_told_or_harmless(found: list[tuple[Entry, bytes]], data: st.DataObject) -> None:
    archive = bytearray(written(found, holes=True))
    for _ in range(data.draw(st.integers(1, 3))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidInput):
        for _ in read(bytes(archive[: data.draw(st.integers(0, len(archive)))])):
            pass
