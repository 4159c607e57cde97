"""`python -m bench.rootmodes [MODE ...]`: the same system booted by each way to its root, and by LTSP beside them.

Every boot has a lab of its own, one client in QEMU with BIOS, and servers that were started for it; what they serve is
in the server's page cache.  The ways take turns, round by round.  The system is that of the recipe `debian-ltsp`, which
is debian-minimal with LTSP's package in it; it is built when the data directory does not have it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench import ltsp
from bench.oneboot import KERNEL_ARGS, Figures, measure
from netboot.config.paths import DataDir
from netboot.errors import Unavailable
from netboot.images.rootfiles import root_files
from netboot.images.store import ImageStore
from netboot.lab.client import LabFirmware
from netboot.lab.config import LabDhcp
from netboot.lab.lab import Lab, LabSpec
from netboot.lab.namespace import run_inside
from netboot.model.names import VersionRef
from netboot.model.root import RootFormat, RootMode
from netboot.model.wishes import NO_WISHES, Wishes
from netboot.system.commands import run_in_front

IMAGE = VersionRef("debian-ltsp")
RECIPES = Path(__file__).with_name("images")
LTSP = "ltsp"
# The rest are ours.
WAYS: Mapping[str, Wishes] = {
    "nfs": Wishes(root=RootMode.NFS),
    **{
        f"{mode}:{format}": Wishes(root=mode, root_format=format)
        for mode in (RootMode.NFS_FILE, RootMode.ISCSI)
        for format in RootFormat
    },
    LTSP: NO_WISHES,
}
MIB = 1 << 20


def boot(way: str, data_dir: Path, folder: Path) -> Figures:
    """One boot, within walls; `folder` is where LTSP has been prepared."""
    with _lab(way, data_dir) as lab:
        if way == LTSP:
            _read(folder / ltsp.SERVED)
            with ltsp.serving(folder, lab):
                return measure(lab)
        store = ImageStore(DataDir(data_dir).images)
        _read(root_files(store, store.get(IMAGE), WAYS[way].root_format or RootFormat.EXT4).path)
        lab.register(0)
        lab.start_daemon()
        return measure(lab)


def _lab(way: str, data_dir: Path) -> Lab:
    return Lab(
        LabSpec(
            firmware=LabFirmware.BIOS,
            dhcp=LabDhcp.OWN,
            data_dir=data_dir,
            image=IMAGE,
            wishes=WAYS[way],
            kernel_args=KERNEL_ARGS,
        )
    )


def _read(file: Path) -> None:
    subprocess.run(["cat", file], stdout=subprocess.DEVNULL, check=True)


def measured(ways: Sequence[str], rounds: int, data_dir: Path) -> dict[str, list[Figures]]:
    """The figures of each way, a boot a round; without those of boots that failed, which are told."""
    figures: dict[str, list[Figures]] = {way: [] for way in ways}
    folder = _prepared(data_dir) if LTSP in ways else data_dir
    for number in range(rounds):
        for way in ways:
            _tell(f"round {number + 1} of {rounds}: {way}")
            try:
                told = json.loads(_inside(["--boot", way], data_dir, folder).splitlines()[-1])
            except Unavailable as error:
                _tell(f"  {error.message}")
                continue
            figures[way].append(Figures(**told))
            _tell(f"  {told}")
    return figures


def _prepared(data_dir: Path) -> Path:
    """What LTSP makes of the version once, which takes minutes; kept by the version's digest."""
    version = ImageStore(DataDir(data_dir).images).get(IMAGE)
    folder = data_dir / LTSP / version.digest.hex
    if not folder.is_dir():
        _tell("LTSP makes its image")
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as new:
            _inside(["--prepare"], data_dir, Path(new, "whole"))
            Path(new, "whole").rename(folder)
    return folder


def _inside(words: Sequence[str], data_dir: Path, folder: Path) -> str:
    """Run a part of this program within walls of its own, and give what it prints."""
    argv = [sys.executable, "-m", "bench.rootmodes", *words, "--folder", str(folder), "--data-dir", str(data_dir)]
    with tempfile.TemporaryFile("w+") as output:
        if status := run_inside(argv, stdout=output):
            raise Unavailable(f"{' '.join(words)} ended with status {status}", hint="its words are above")
        output.seek(0)
        return output.read()


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(figures: Mapping[str, Sequence[Figures]]) -> Iterator[str]:
    """Medians of each way, as Markdown."""
    yield "| way | boots | loader, kernel, initrd MiB | root MiB | all MiB | up s | memory MiB | server CPU s |"
    yield "|---|---|---|---|---|---|---|---|"
    for way, rounds in figures.items():
        if not rounds:
            yield f"| {way} | 0 | | | | | | |"
            continue
        loader = median(each.loader_bytes for each in rounds) / MIB
        root = median(each.root_bytes for each in rounds) / MIB
        whole = median(each.loader_bytes + each.root_bytes for each in rounds) / MIB
        memory = median(each.memory_bytes for each in rounds) / MIB
        up, cpu = median(each.up_s for each in rounds), median(each.cpu_s for each in rounds)
        told = f"{loader:.1f} | {root:.1f} | {whole:.1f} | {up:.1f} | {memory:.0f} | {cpu:.1f}"
        yield f"| {way} | {len(rounds)} | {told} |"


def build_image(data_dir: Path) -> None:
    argv = [sys.executable, "-m", "netboot", "image", "build", str(IMAGE), "--if-missing"]
    if status := run_in_front([*argv, "--recipes", RECIPES, "--data-dir", data_dir]):
        raise SystemExit(status)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rootmodes", description="Boot by each way to a root.")
    parser.add_argument("ways", nargs="*", metavar="MODE", help=f"{', '.join(WAYS)}; all without any")
    parser.add_argument("--rounds", type=int, default=3, help="boots a way, of which the medians are told (3)")
    parser.add_argument("--data-dir", type=Path, help="the data directory [NETBOOT_DATA_DIR, else /var/lib/netboot]")
    # Parts of it that run within walls of their own.
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--boot", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    data_dir = DataDir.find(options.data_dir, None).root
    if options.prepare:
        with _lab(LTSP, data_dir) as lab:
            ltsp.prepare(options.folder, lab)
        return 0
    if options.boot:
        print(json.dumps(asdict(boot(options.boot, data_dir, options.folder))))
        return 0
    if unknown := [way for way in options.ways if way not in WAYS]:
        parser.error(f"there is no way {unknown[0]}; there are {', '.join(WAYS)}")
    build_image(data_dir)
    figures = measured(options.ways or list(WAYS), options.rounds, data_dir)
    for line in table(figures):
        print(line)
    return 0 if all(len(rounds) == options.rounds for rounds in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
