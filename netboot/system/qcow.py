"""Writable disks over read-only ones: qcow2 files, and such a file shown as a raw one by FUSE.

A disk over another costs nothing to make, whatever the other's size, and its own table tells which parts were written.
Neither device-mapper nor a file system with reflinks is needed: QEMU's programs and the kernel's fuse do it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netboot.errors import NetbootError, Unavailable
from netboot.system.commands import run

# The unit in which a disk remembers what was written, in bytes: small enough that a changed block brings few
# unchanged ones along, large enough that the table of a disk of many gigabytes stays small.
CLUSTER_BYTES = 64 << 10

# <sys/prctl.h>
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

_SHOWER = "qemu-storage-daemon"
_READY_S = 10.0
_END_S = 60.0


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes `start` to `start + length` that were written; `is_zero` when they read as zero without being stored."""

    start: int
    length: int
    is_zero: bool


def create_disk(file: Path, *, over: Path) -> None:
    """Make the disk `file`, which reads as the raw file `over` until it is written to; `over` must never change."""
    options = f"cluster_size={CLUSTER_BYTES}"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-o", options, "-b", _named(over), _named(file)])


def written(file: Path) -> tuple[Extent, ...]:
    """What was written to a disk that nobody has open, in order: all that differs from the disk below, and more."""
    said = run(["qemu-img", "map", "--output=json", "-f", "qcow2", _named(file)], timeout_s=300).stdout
    return parse_map(said)


def parse_map(text: str) -> tuple[Extent, ...]:
    """The extents of depth 0 in what `qemu-img map --output=json` says, joined where they touch."""
    extents: list[Extent] = []
    for each in json.loads(text):
        if each["depth"] != 0 or not each.get("present", True):
            continue
        new = Extent(each["start"], each["length"], bool(each["zero"]))
        last = extents[-1] if extents else None
        if last is not None and last.start + last.length == new.start and last.is_zero == new.is_zero:
            extents[-1] = Extent(last.start, last.length + new.length, new.is_zero)
        else:
            extents.append(new)
    return tuple(extents)


@contextmanager
def shown(file: Path, at: Path, *, log: Path, read_only: bool = False, alone: bool = False) -> Iterator[Path]:
    """Show the disk as a raw file for this block, and give its path; `at` is a file that must exist, and stays empty.

    No disk below it is opened when it is to stand `alone`: one that is a stranger's could name any file of ours.  The
    program behind it ends with us.  Raises `Unavailable` when the kernel or a program cannot, or when somebody else
    has the disk open.
    """
    ours = os.getpid()
    with log.open("ab") as output:
        process = subprocess.Popen(
            _showing(file, at, read_only=read_only, alone=alone),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
            preexec_fn=lambda: _end_with(ours),
        )
    try:
        raw = _raw(process.pid, at)
        _wait_until_shown(raw, process, log)
        yield raw
    finally:
        _end(process)


def _end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, and end now if that has happened already.

    setpriv(1) would leave a program behind whose parent was killed before it could say so.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def show(file: Path, at: Path) -> Path:
    """As `shown`, until `hide`; it outlives us."""
    run([*_showing(file, at, read_only=False), "--daemonize"], hint="modprobe fuse, if /dev/fuse is missing")
    raw = showing(file, at)
    if raw is None:
        raise Unavailable(f"the program that shows {file} has ended at once")
    return raw


def showing(file: Path, at: Path) -> Path | None:
    """The raw file of a disk that `show` shows, whoever called it; None when nobody did."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0] == _SHOWER.encode() and b"--daemonize" in words and _disk(file).encode() in words:
                return _raw(int(folder.name), at)
    return None


def hide(file: Path, at: Path) -> None:
    """End what `show` began, once all is written; nobody may use the raw file any more."""
    ends_at = time.monotonic() + _END_S
    while (raw := showing(file, at)) is not None:
        process_id = int(raw.parts[2])
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGTERM)
        if time.monotonic() > ends_at:
            raise Unavailable(f"process {process_id}, which shows {file}, does not end", hint=f"kill {process_id}")
        time.sleep(0.02)


def _showing(file: Path, at: Path, *, read_only: bool, alone: bool = False) -> list[str]:
    """The program that shows a disk, in mounts of its own.

    Were it among ours, then whoever dies last of us and it would unmount what is mounted from the raw file: if that is
    the program itself, it waits for its own answer for ever.
    """
    export = {"type": "fuse", "id": "raw", "node-name": "disk", "mountpoint": str(at), "writable": not read_only}
    walls = ["unshare", "--mount", "--propagation=slave"]
    return [*walls, _SHOWER, "--blockdev", _disk(file, read_only=read_only, alone=alone), "--export", _json(export)]


def _raw(process_id: int, at: Path) -> Path:
    """The path by which others reach what a process has mounted for itself."""
    return Path(f"/proc/{process_id}/root{at}")


def _disk(file: Path, *, read_only: bool = False, alone: bool = False) -> str:
    # Written as JSON, since a path may hold the comma that separates the options otherwise.
    disk = {
        "driver": "qcow2",
        "node-name": "disk",
        "read-only": read_only,
        "discard": "unmap",
        "detect-zeroes": "off" if read_only else "unmap",
        "file": {"driver": "file", "filename": str(file), "read-only": read_only, "discard": "unmap"},
    }
    return _json({**disk, "backing": None} if alone else disk)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _named(file: Path) -> str:
    # A name with a colon in it would be taken for a protocol's.
    return f"file:{file.absolute()}"


def _wait_until_shown(raw: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + _READY_S
    while not _is_mount(raw):
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise Unavailable(
                f"the disk cannot be shown as a file: {' '.join(said)}",
                hint="modprobe fuse, if /dev/fuse is missing; else see who else has the disk open",
            )
        if time.monotonic() > ends_at:
            raise Unavailable(f"the disk did not appear within {_READY_S:g} s", hint=f"see {log}")
        time.sleep(0.005)


def _is_mount(raw: Path) -> bool:
    with suppress(FileNotFoundError):  # until the process has become the program
        return raw.stat().st_dev != raw.parent.stat().st_dev
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it write what it still has, and go."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise NetbootError("the disk could not be written out; its last changes may be lost") from None
