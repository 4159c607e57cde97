"""`python -m bench.deltas OLD NEW`: the delta between two raw images, beside what others make of the same pair.

For each way: what the difference takes on the disk, what it takes when zstd has compressed it for a transport, the time
to make it and to apply it to a copy of the old image, the CPU time of both, which a busy machine changes least, and the
most memory that either took.  Both images are read once before, so that all find them in the page cache; what comes of
the old image is compared with the new one, bit by bit.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from netboot.images import delta
from netboot.images.cow import open_cow, write_cow
from netboot.system.commands import run
from netboot.system.sparse import SparseFile

MIB = 1 << 20
Command = list[str | Path]


@dataclass(frozen=True)
class Job:
    """A pair of images and a scratch folder, with `copy`, a copy of the old image, and `diff`, a file or a folder."""

    old: Path
    new: Path
    folder: Path

    @property
    def diff(self) -> Path:
        return self.folder / "diff"

    @property
    def copy(self) -> Path:
        return self.folder / "copy"


@dataclass(frozen=True)
class Way:
    """How `diff` is made, and `copy` is turned into the new image by it; what has to be there before is not counted."""

    name: str
    make: Callable[[Job], Command]
    apply: Callable[[Job], Command]
    before: Callable[[Job], None] = lambda job: None


@dataclass(frozen=True)
class Outcome:
    """One round of one way."""

    stored_bytes: int
    compressed_bytes: int
    make_s: float
    apply_s: float
    cpu_s: float
    peak_bytes: int


def _ours(chunk_bytes: int) -> Way:
    this: Command = [sys.executable, "-m", "bench.deltas"]
    return Way(
        f"netboot, {chunk_bytes >> 10} KiB",
        lambda job: [*this, "--make", str(chunk_bytes), job.old, job.new, job.diff],
        lambda job: [*this, "--apply", str(job.new.stat().st_size), job.diff, job.copy],
    )


def _prepare_casync(job: Job) -> None:
    """A store with the old image, as a site would have it; what `diff` then has besides is what the new one adds.

    It cannot change an image in place (it fails with "Stale file handle"), so it makes the new one anew.
    """
    job.copy.unlink()
    run(["casync", "make", f"--store={job.folder}/had.castr", job.folder / "old.caibx", job.old], timeout_s=None)
    job.diff.mkdir()
    run(["cp", "-rl", f"{job.folder}/had.castr", job.diff / "new.castr"], timeout_s=None)


def _make_casync(job: Job) -> Command:
    return ["casync", "make", f"--store={job.diff}/new.castr", job.diff / "new.caibx", job.new]


def _apply_casync(job: Job) -> Command:
    stores = [f"--store={job.diff}/new.castr", f"--seed={job.old}"]
    return ["casync", "extract", *stores, job.diff / "new.caibx", job.copy]


WAYS: Sequence[Way] = (
    _ours(4096),
    _ours(32768),
    Way(
        "xdelta3",
        lambda job: ["xdelta3", "-e", "-q", "-s", job.old, job.new, job.diff],
        lambda job: ["xdelta3", "-d", "-q", "-f", "-s", job.old, job.diff, job.copy],
    ),
    Way(
        "rsync --only-write-batch",
        lambda job: ["rsync", "--no-whole-file", "-I", f"--only-write-batch={job.diff}", job.new, job.copy],
        lambda job: ["rsync", "--no-whole-file", "-I", "--inplace", f"--read-batch={job.diff}", job.copy],
    ),
    Way("casync", _make_casync, _apply_casync, _prepare_casync),
)


def measure(way: Way, old: Path, new: Path, parent: Path) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="deltas-", dir=parent) as folder:
        job = Job(old, new, Path(folder))
        run(["cp", "--sparse=always", old, job.copy], timeout_s=None)
        way.before(job)
        made = _timed(way.make(job))
        stored, compressed = _sizes(job)
        applied = _timed(way.apply(job))
        if not filecmp.cmp(job.copy, new, shallow=False):
            raise SystemExit(f"{way.name} did not make the new image of the old one")
    return Outcome(
        stored_bytes=stored,
        compressed_bytes=compressed,
        make_s=made.lasted_s,
        apply_s=applied.lasted_s,
        cpu_s=made.cpu_s + applied.cpu_s,
        peak_bytes=max(made.peak_bytes, applied.peak_bytes),
    )


@dataclass(frozen=True)
class _Run:
    """A program that has ended, with all that it started and waited for."""

    lasted_s: float
    cpu_s: float
    peak_bytes: int


def _timed(argv: Command) -> _Run:
    begun = time.perf_counter()
    process = subprocess.Popen([str(word) for word in argv], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(process.args)} ended with {process.returncode}")  # type: ignore[arg-type]
    return _Run(took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _sizes(job: Job) -> tuple[int, int]:
    """What `diff` takes on the disk, and what of it as one zstd stream."""
    files = sorted(_files(job.diff))
    stored = sum(file.stat().st_blocks * 512 for file in files)
    packed = job.folder / "packed"
    with subprocess.Popen(["cat", *files], stdout=subprocess.PIPE) as reader, packed.open("wb") as output:
        subprocess.run(["zstd", "-q", "-c"], stdin=reader.stdout, stdout=output, check=True)
    return stored, packed.stat().st_size


def _files(path: Path) -> Iterator[Path]:
    """The file, or those in a folder that are not linked from elsewhere, as what a store held before is."""
    if path.is_file():
        yield path
    else:
        yield from (each for each in path.rglob("*") if each.is_file() and each.stat().st_nlink == 1)


def table(outcomes: dict[str, list[Outcome]]) -> str:
    lines = [
        "| way | stored | compressed | make | apply | CPU | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rounds in outcomes.items():
        stored, compressed, peak = (
            f"{median(getattr(each, field) for each in rounds) / MIB:.1f} MiB"
            for field in ("stored_bytes", "compressed_bytes", "peak_bytes")
        )
        make, use, cpu = (
            f"{median(getattr(each, field) for each in rounds):.2f} s" for field in ("make_s", "apply_s", "cpu_s")
        )
        lines.append(f"| {name} | {stored} | {compressed} | {make} | {use} | {cpu} | {peak} |")
    return "\n".join(lines)


def make(chunk_bytes: int, old: Path, new: Path, target: Path) -> None:
    """Without a map of changes: all data of both is compared."""
    with SparseFile.open(old) as before, SparseFile.open(new) as after, SparseFile.open(target, create=True) as file:
        write_cow(file, delta.make(before, after, chunk_bytes=chunk_bytes), chunk_bytes=chunk_bytes)


def apply(size_bytes: int, change: Path, target: Path) -> None:
    with SparseFile.open(change) as source, SparseFile.open(target, writable=True) as file:
        delta.apply(open_cow(source), file, size_bytes=size_bytes)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.deltas", description="Compare ways to store a difference.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="the old and the new image, both raw")
    parser.add_argument("--rounds", type=int, default=1, help="rounds a way, of which the medians are told (1)")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), help="room for some copies")
    parser.add_argument("--only", choices=[way.name for way in WAYS], help="one way alone")
    # What is measured of us runs as a program, as the others do.
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--apply", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.make:
        make(options.make, *options.files)
        return 0
    if options.apply:
        apply(options.apply, *options.files)
        return 0
    old, new = options.files
    subprocess.run(["cat", old, new], stdout=subprocess.DEVNULL, check=True)
    outcomes: dict[str, list[Outcome]] = {}
    for number in range(options.rounds):
        for way in WAYS:
            if options.only in (None, way.name):
                print(f"round {number + 1} of {options.rounds}: {way.name}", file=sys.stderr, flush=True)
                outcomes.setdefault(way.name, []).append(measure(way, old, new, options.scratch))
    print(table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
