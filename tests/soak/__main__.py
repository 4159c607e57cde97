"""Kill the commands that change the store, at random: `make soak`, or `python -m tests.soak [--points N] [--seed S]`.

Build, import, commit and gc run as people run them, on one store, and are killed with SIGKILL at random points of the
time that they take: the command alone, or all its processes at once.  After each, nothing of it may run or be mounted,
`netboot image fsck` must find no damage, every published version must be there and as it was, none may be seen that
was not published, and the command must succeed when it is given again (a build, which takes long, every fifth time).
In the end `gc` must clear all that was left
behind, and `veritysetup` must find every version to be what its manifest says.

A finding ends it with exit code 1, and the folder with the store is kept.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.course import Soak
from tests.soak.points import divide
from tests.soak.victim import Finding, within_walls
from tests.soak.works import WORKS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Kill build, import, commit and gc.")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}; all when none is named")
    parser.add_argument("--points", type=int, default=200, help="kills, divided between these (200)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="chooses the points")
    parser.add_argument("--within", type=float, metavar="S", help="only in the first S seconds, and no command again")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="room for the store: 6 GiB")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if wrong := set(chosen.works) - set(WORKS):
        parser.error(f"no work {', '.join(wrong)}; there are {', '.join(WORKS)}")
    if not chosen.inside:
        seed = ["--seed", str(chosen.seed)]
        return within_walls([sys.executable, "-m", "tests.soak", *sys.argv[1:], *seed, "--inside"])
    shares = {name: share for name, (_, share) in WORKS.items() if name in (chosen.works or WORKS)}
    return soak(divide(chosen.points, shares), chosen.seed, chosen.folder, within_s=chosen.within)


def soak(points: dict[str, int], seed: int, parent: Path, *, within_s: float | None) -> int:
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=parent))
    print(f"seed {seed}, in {folder}", flush=True)
    begun = time.monotonic()
    running = Soak(folder, random.Random(seed), within_s=within_s)
    try:
        running.go(points)
    except Finding as finding:
        print(f"soak: a finding, with seed {seed}: {finding}; the store is kept in {folder}", file=sys.stderr)
        return 1
    except BaseException:
        print(f"soak: it broke; the store is kept in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)
    print(running.table())
    print(f"{sum(points.values())} points in {(time.monotonic() - begun) / 60:.0f} min, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
