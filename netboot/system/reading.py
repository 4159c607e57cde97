"""Running a program that reads much and says little, and telling how much it has read."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from netboot.system.commands import CommandFailed, Completed, missing, started

_TOLD_EVERY_S = 0.3
_READ = re.compile(r"^rchar: (\d+)$", re.MULTILINE)


def run_reading(argv: Sequence[str], read: Callable[[int], None], *, env: Mapping[str, str] | None = None) -> None:
    """Run a program to its end; `read` is told each time how many bytes more it has read, from files or elsewhere.

    It ends with us, also when we are killed.  `env` is added to our environment.  Raises
    `CommandFailed` when it fails, `Unavailable` when it is missing.
    """
    if shutil.which(argv[0]) is None:
        raise missing(argv)  # or setpriv would tell it, without the package
    wrapped = ["setpriv", "--pdeathsig=KILL", *argv]
    with (
        tempfile.TemporaryFile() as output,
        started(wrapped, env=env, stdin=subprocess.DEVNULL, stdout=output.fileno(), stderr=output.fileno()) as process,
    ):
        told = 0
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_TOLD_EVERY_S)
            if process.returncode is not None:
                break
            done = max(told, _bytes_read(process.pid))
            read(done - told)
            told = done
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if process.returncode != 0:
        raise CommandFailed(Completed(argv=tuple(argv), exit_code=process.returncode, stdout="", stderr=said))


def _bytes_read(pid: int) -> int:
    """By a process so far, proc(5); 0 when it cannot be told."""
    try:
        found = _READ.search(Path(f"/proc/{pid}/io").read_text(encoding="ascii"))
    except OSError:
        return 0
    return int(found.group(1)) if found else 0
