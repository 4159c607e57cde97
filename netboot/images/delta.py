"""The difference between two versions: made, applied, read through, joined, turned round.

Everything streams, piece by piece, as patches in ascending order: whole chunks with their new content, which
`cow.write_cow` makes a device of and `Cow.patches` reads back.  Images are taken as going on in zeros for ever; so a
delta holds all it takes to turn one into the other, whichever is larger, and deltas join by "the last one wins" alone.
The size of the result is no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from netboot.images.blocks import PIECE_BYTES, Advance, Patch, Source, Target, data_of, split_zeros, unheard
from netboot.images.cow import CHUNK_BYTES, Cow, CowError
from netboot.images.ranges import Ranges, Span, pieces


def make(
    old: Source,
    new: Source,
    *,
    changes: Ranges | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    advance: Advance = unheard,
) -> Iterator[Patch]:
    """What turns `old` into `new`.  Only `changes` are looked at, if given: they hold at least all that differs."""
    stop = -(-max(old.size_bytes, new.size_bytes) // chunk_bytes) * chunk_bytes
    looked_at = (data_of(old, stop) | data_of(new, stop)).aligned(chunk_bytes)
    if changes is not None:
        looked_at &= changes.aligned(chunk_bytes)
    for span in looked_at:
        for start, end in pieces(*span, PIECE_BYTES):
            before, after = old.read(start, end - start), new.read(start, end - start)
            if before != after:
                yield from _differing(before, after, start, chunk_bytes)
            advance(end - start)


def reverse(base: Source, cow: Cow, *, chunk_bytes: int = CHUNK_BYTES, advance: Advance = unheard) -> Iterator[Patch]:
    """The way back: what turns the version that `cow` makes of `base` into `base` again."""
    changes = cow.ranges
    later = Overlay(base, cow, _stop(changes, base.size_bytes))
    return make(later, base, changes=changes, chunk_bytes=chunk_bytes, advance=advance)


def compose(cows: Sequence[Cow], *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Patch]:
    """Several deltas, each against the version before, as one.

    What returned to the content of the first version stays in it; where that version can be read,
    `make(base, stack(base, cows, size), changes=changes_of(cows))` leaves it out.
    """
    if too_large := [cow for cow in cows if cow.chunk_bytes % chunk_bytes]:
        raise CowError(
            f"chunks of {chunk_bytes} bytes cannot be made of chunks of {too_large[0].chunk_bytes} without the base"
        )
    changes = changes_of(cows)
    joined = stack(_Void(), cows, _stop(changes, 0))
    return (
        Patch(start, joined.read(start, end - start)) for span in changes for start, end in pieces(*span, PIECE_BYTES)
    )


def changes_of(cows: Iterable[Cow]) -> Ranges:
    """All that any of them changes."""
    return Ranges.of(span for cow in cows for span in cow.ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was done to a target."""

    written_bytes: int
    zeroed_bytes: int


def apply(cow: Cow, target: Target, *, size_bytes: int, advance: Advance = unheard) -> Applied:
    """Turn a copy of the old version into the new one, of `size_bytes`, in place: only what changed is written.

    Doing so twice, or again after it was interrupted, comes to the same.
    """
    target.resize(size_bytes)
    written = zeroed = 0
    for patch in cow.patches():
        for start, stop, is_zero in split_zeros(patch.data, cow.chunk_bytes):
            offset = patch.offset + start
            data = _within(size_bytes, offset, patch.data[start:stop])
            if is_zero and data:
                target.zero(offset, len(data))
                zeroed += len(data)
            elif data:
                target.write(offset, data)
                written += len(data)
        advance(len(patch.data))
    return Applied(written_bytes=written, zeroed_bytes=zeroed)


@dataclass(frozen=True, slots=True)
class Overlay:
    """A version read through a delta and its parent, without being made; itself a `Source`, so they stack."""

    base: Source
    cow: Cow
    size_bytes: int

    def read(self, offset: int, size: int) -> bytes:
        chunk = self.cow.chunk_bytes
        stop = min(offset + size, self.size_bytes)
        found, at = [], offset
        for run in self.cow.runs(offset // chunk, -(-stop // chunk)):
            start, end = max(run.old * chunk, at), min((run.old + run.chunks) * chunk, stop)
            if at < start:
                found.append(self.base.read(at, start - at))
            found.append(self.cow.source.read(run.new * chunk + start - run.old * chunk, end - start))
            at = end
        if at < stop:
            found.append(self.base.read(at, stop - at))
        return b"".join(found).ljust(size, b"\0")

    def data(self, start: int, stop: int) -> Iterable[Span]:
        chunk = self.cow.chunk_bytes
        stop = min(stop, self.size_bytes)
        runs = self.cow.runs(start // chunk, -(-stop // chunk))
        changed = Ranges.of((run.old * chunk, (run.old + run.chunks) * chunk) for run in runs)
        return (changed | Ranges.of(self.base.data(start, stop))) & Ranges.of([(start, stop)])


def stack(base: Source, cows: Iterable[Cow], size_bytes: int) -> Source:
    """The version at the end of a chain of deltas, whose size is `size_bytes`."""
    top = base
    for cow in cows:
        # How large a version in between was does not matter, as long as nothing of it is cut off.
        top = Overlay(top, cow, _stop(cow.ranges, max(top.size_bytes, size_bytes)))
    return replace(top, size_bytes=size_bytes) if isinstance(top, Overlay) else top


class _Void:
    """What is below a stack of which only the changes are read."""

    size_bytes = 0

    def read(self, offset: int, size: int) -> bytes:
        return bytes(size)

    def data(self, start: int, stop: int) -> Iterable[Span]:
        return ()


def _stop(ranges: Ranges, least: int) -> int:
    return max(least, ranges.spans[-1][1] if ranges.spans else 0)


def _within(size_bytes: int, offset: int, data: bytes) -> bytes:
    """`data` but for what lies behind the image, where a delta has zeros alone."""
    kept = max(0, size_bytes - offset)
    if kept < len(data) and any(data[kept:]):
        raise CowError(f"the delta is of an image larger than {size_bytes} bytes")
    return data[:kept]


def _differing(before: bytes, after: bytes, offset: int, chunk_bytes: int) -> Iterator[Patch]:
    """Runs of chunks of `after` that are not the same in `before`."""
    start: int | None = None
    for at in range(0, len(after), chunk_bytes):
        if before[at : at + chunk_bytes] != after[at : at + chunk_bytes]:
            if start is None:
                start = at
        elif start is not None:
            yield Patch(offset + start, after[start:at])
            start = None
    if start is not None:
        yield Patch(offset + start, after[start:])
