"""`python -m bench.exports [SERVER ...]`: exports and targets, planned and applied, by their number.

For each server: the time to give all at once; then, with so many there, the time to see that nothing is to be done, and
to give and take one more.  How these grow with the number is what matters: a version is published while hundreds are.

The servers are `nfs`, that of this machine, and `tgt`, in namespaces of their own; and `lio`, on a machine that has it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from statistics import median

from netboot.config import ExportBackend
from netboot.exports import plan as nfs
from netboot.exports.detect import make_backend
from netboot.exports.iscsi import IscsiBackend
from netboot.exports.iscsi_lio import Lio
from netboot.exports.iscsi_tgt import Tgt
from netboot.exports.targets import Lun, Target, make_plan
from netboot.lab.namespace import is_inside, run_inside
from netboot.model.iscsi import AUTHORITY
from netboot.system.commands import run
from netboot.system.mounts import bind_read_only, unmount

NETWORKS = (IPv4Network("10.9.0.0/24"),)
MIB = 1 << 20
ROUNDS = 5
COUNTS = {"nfs": (50, 100, 150, 200), "tgt": (125, 250, 375, 500), "lio": (125, 250, 375, 500)}
Apply = Callable[[Sequence[int], bool], None]


@dataclass(frozen=True)
class Row:
    """With `count` there: seconds to give them all, from those of the row before; milliseconds of the rest, medians."""

    server: str
    count: int
    all_s: float
    plan_ms: float
    add_ms: float
    remove_ms: float


def exports(folder: Path) -> Apply:
    """`apply` has the exports of these numbers, and no others."""
    backend = make_backend(ExportBackend.AUTO, run=folder / "run", root=folder / "exports")
    backend.prepare()
    (folder / "content").mkdir()

    def export(number: int) -> nfs.Export:
        path = folder / f"exports/image/{number}"
        if not path.is_dir():
            path.mkdir(parents=True)
            bind_read_only(folder / "content", path)
        fsid = f"{number:08x}-0000-0000-0000-000000000000"
        return nfs.Export(label=f"image:{number}", path=path, networks=NETWORKS, fsid=fsid)

    def apply(numbers: Sequence[int], one: bool) -> None:
        desired = [export(number) for number in numbers]
        if plan := nfs.make_plan(desired, backend.observe()):
            backend.carry_out(plan, desired)

    return apply


def targets(backend: IscsiBackend, folder: Path) -> Apply:
    """`apply` has the targets of these numbers; all others go, unless it is about the last `one` alone."""
    backend.prepare()
    files = [folder / "root", folder / "tree"]
    for file in files:
        file.write_bytes(bytes(MIB))

    def target(number: int) -> Target:
        luns = (Lun(number=backend.first_lun + index, path=file) for index, file in enumerate(files))
        return Target(name=f"{AUTHORITY}:image.{number}.ext4", luns=tuple(luns), networks=NETWORKS)

    def apply(numbers: Sequence[int], one: bool) -> None:
        # The exporter, too, looks at one alone when one is asked for.
        only = [target(LAST).name] if one else None
        desired = [target(number) for number in numbers if not one or number == LAST]
        if plan := make_plan(desired, backend.observe(only)):
            backend.carry_out(plan)

    return apply


# The number of the one that comes and goes.
LAST = 9999
SERVERS: dict[str, Callable[[Path], Apply]] = {
    "nfs": exports,
    "tgt": lambda folder: targets(Tgt(folder / "run"), folder),
    "lio": lambda folder: targets(Lio(folder), folder),
}


def measure(server: str, counts: Sequence[int]) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="exports-", dir="/run") as name:
        folder = Path(name)
        (folder / "run").mkdir()
        apply = SERVERS[server](folder)
        for count in counts:
            numbers = range(count)
            all_s = _timed(apply, numbers, one=False)
            plan_s = median(_timed(apply, numbers, one=False) for _ in range(ROUNDS))
            pairs = [
                (_timed(apply, [*numbers, LAST], one=True), _timed(apply, numbers, one=True)) for _ in range(ROUNDS)
            ]
            add_s, remove_s = (median(each) for each in zip(*pairs, strict=True))
            yield Row(server, count, round(all_s, 2), *(round(each * 1000, 1) for each in (plan_s, add_s, remove_s)))
        apply((), False)
        for mount in (folder / "exports/image").glob("*"):
            unmount(mount, lazy=True)


def _timed(apply: Apply, numbers: Sequence[int], *, one: bool) -> float:
    begun = time.perf_counter()
    apply(numbers, one)
    return time.perf_counter() - begun


def table(rows: Iterable[Row]) -> Iterator[str]:
    yield "| server | there | given in s | nothing to do ms | one more ms | one less ms |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        yield f"| {row.server} | {row.count} | {row.all_s} | {row.plan_ms} | {row.add_ms} | {row.remove_ms} |"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.exports", description="Time of exports, by their number.")
    parser.add_argument(
        "servers", nargs="*", metavar="SERVER", default=["nfs", "tgt"], help="nfs, tgt or lio: nfs, tgt"
    )
    options = parser.parse_args(argv)
    # LIO serves the network namespace that it was loaded in.
    if "lio" not in options.servers and not is_inside():
        return run_inside([sys.executable, "-m", "bench.exports", *argv])
    if is_inside():
        run(["ip", "link", "set", "lo", "up"])
    for line in table(row for server in options.servers for row in measure(server, COUNTS[server])):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
