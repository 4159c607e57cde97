"""Fuzz the codecs and what answers: `make fuzz`, or `python -m tests.fuzz [TARGET ...] [--minutes M | --runs N]`.

It starts from the captures and from what earlier runs found (`.cache/fuzz/TARGET/corpus`).  A finding ends its
target; the input that did it is kept in `.cache/fuzz/TARGET/` and is best turned into a test of the lowest tier.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.captures.files import captures_folder
from tests.fuzz.corpus import seeds
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]

# A packet that takes this long, or this much memory, is a finding; a usual one takes a millisecond.
_TIMEOUT_S, _MEMORY_MIB = 10, 1024
_LONGEST_INPUT_BYTES = 8192


@dataclass(frozen=True)
class Bounds:
    """How long one target is fuzzed: `runs` inputs from a fixed seed, so twice the same, or for some minutes."""

    runs: int | None = None
    minutes: float = 5.0

    @property
    def argv(self) -> tuple[str, ...]:
        if self.runs is not None:
            return (f"-runs={self.runs}", "-seed=1")
        return (f"-max_total_time={round(60 * self.minutes)}",)


def command(target: str, bounds: Bounds, *, kept: Path, given: Path) -> list[str]:
    """The harness on a target, `module:function`; `given` are seeds to read, `kept` takes what is found."""
    (kept / "corpus").mkdir(parents=True, exist_ok=True)
    limits = (f"-timeout={_TIMEOUT_S}", f"-rss_limit_mb={_MEMORY_MIB}", f"-max_len={_LONGEST_INPUT_BYTES}")
    argv = [sys.executable, "-m", "tests.fuzz.harness", target, *bounds.argv, *limits, "-verbosity=1"]
    return [*argv, "-print_final_stats=1", f"-artifact_prefix={kept}/", str(kept / "corpus"), str(given)]


def write_seeds(target: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for each in seeds(captures_folder())[target]:
        (folder / hashlib.sha256(each).hexdigest()[:16]).write_bytes(each)
    return folder


def fuzz(target: str, bounds: Bounds, kept: Path) -> int:
    """0 when nothing was found; the output is libFuzzer's."""
    function = TARGETS[target]
    argv = command(
        f"{function.__module__}:{function.__name__}", bounds, kept=kept, given=write_seeds(target, kept / "seeds")
    )
    return subprocess.run(argv, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "0"}).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the codecs and what answers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all when none is named")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each target (5)")
    parser.add_argument("--runs", type=int, help="this many inputs instead, the same ones every time")
    parser.add_argument("--keep", type=Path, default=ROOT / ".cache/fuzz", help="where corpus and findings lie")
    chosen = parser.parse_args()
    if wrong := set(chosen.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(wrong)}; there are {', '.join(TARGETS)}")
    bounds = Bounds(chosen.runs, chosen.minutes)
    found = [each for each in chosen.targets or TARGETS if fuzz(each, bounds, chosen.keep / each) != 0]
    for target in found:
        print(f"fuzz: {target}: a finding; its input is in {chosen.keep / target}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
