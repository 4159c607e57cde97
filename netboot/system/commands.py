"""The only place that runs programs.

A command is a list, never a shell line.  A program that is missing, fails or takes too long becomes an error that a
person can act on: it shows the exact command to repeat, the end of what the program said, and, when it is missing,
the Debian package that holds it.  Each program runs in a process group of its own, and leaving early (an exception,
Ctrl-C) kills the whole group: nothing runs on behind our back.
"""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from netboot.errors import NetbootError, Unavailable

# As much of a failed program's words as fits a screen; the cause is nearly always at the end.
TAIL_LINES = 15

PACKAGES: Mapping[str, str] = {
    "apt-helper": "apt",
    "bzip2": "bzip2",
    "chroot": "coreutils",
    "debugfs": "e2fsprogs",
    "dnsmasq": "dnsmasq-base",
    "dumpe2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "exportfs": "nfs-kernel-server",
    "ganesha.nfsd": "nfs-ganesha",
    "gzip": "gzip",
    "ip": "iproute2",
    "mkfs.erofs": "erofs-utils",
    "mkfs.ext4": "e2fsprogs",
    "mksquashfs": "squashfs-tools",
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "qemu-img": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
    "qemu-system-x86_64": "qemu-system-x86",
    "resize2fs": "e2fsprogs",
    "rpc.mountd": "nfs-kernel-server",
    "rpc.nfsd": "nfs-kernel-server",
    "rpcbind": "rpcbind",
    "setpriv": "util-linux",
    "ssh-keygen": "openssh-client",
    "tgtd": "tgt",
    "tune2fs": "e2fsprogs",
    "unshare": "util-linux",
    "xz": "xz-utils",
    "zstd": "zstd",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that has ended: its words, its exit code, what it wrote."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class CommandFailed(NetbootError):
    """A program ended with an exit code other than 0; `completed` has all that is known."""

    def __init__(self, completed: Completed, *, hint: str | None = None) -> None:
        said = _tail(completed.stderr or completed.stdout)
        ending = f"exit status {completed.exit_code}" + (f":\n{said}" if said else "")
        super().__init__(f"{shlex.join(completed.argv)} ended with {ending}", hint=hint)
        self.completed = completed


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float | None = 60.0,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    hint: str | None = None,
) -> Completed:
    """Run a program to its end and collect what it wrote.

    `env` is added to our environment.  Raises `CommandFailed` when `check` and it fails, `Unavailable` when it is
    missing or takes longer than `timeout_s`; `hint` goes with a failure.
    """
    with started(argv, env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            stdout, stderr = process.communicate(input or "", timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{_show(argv)} did not end within {timeout_s:g} s", hint=hint) from error
    completed = Completed(argv=_words(argv), exit_code=process.returncode, stdout=stdout, stderr=stderr)
    if check and completed.exit_code != 0:
        raise CommandFailed(completed, hint=hint)
    return completed


def stream(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, hint: str | None = None
) -> Iterator[str]:
    """Run a program and yield its lines, output and errors together, as they come; then fail as `run` does.

    Closing the iterator early kills the program.
    """
    said: list[str] = []
    with started(argv, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        for line in _output(process):
            said = [*said[-TAIL_LINES:], line]
            yield line.rstrip("\n")
        process.wait()
    completed = Completed(argv=_words(argv), exit_code=process.returncode, stdout="".join(said), stderr="")
    if completed.exit_code != 0:
        raise CommandFailed(completed, hint=hint)


def run_in_front(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> int:
    """Run a program on our own terminal, as a shell would, and give its exit status: 128 and more for a signal.

    Ctrl-C is for the program.  `env` is added to our environment.
    """
    try:
        process = subprocess.Popen(_words(argv), env={**os.environ, **(env or {})})
    except FileNotFoundError as error:
        raise missing(argv) from error
    try:
        while True:
            with suppress(KeyboardInterrupt):
                status = process.wait()
                return 128 - status if status < 0 else status
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def piped(argv: Sequence[str | Path], source: int, *, whole: bool = True) -> Iterator[BinaryIO]:
    """Run a filter whose input is the open file `source`; what is given is its output.

    At the end the rest of it is read, and it fails as `run` does if the program did; leaving early, or any time when
    not the `whole` is wanted, kills it.
    """
    with _filter(argv, stdin=source) as process:
        output = _bytes_of(process.stdout)
        yield output
        if not whole:
            return
        while output.read(1 << 20):
            pass
        process.wait()


@contextmanager
def piped_to(argv: Sequence[str | Path], target: int) -> Iterator[BinaryIO]:
    """Run a filter whose output is the open file `target`; what is given is its input.

    At the end it has written all, or fails as `run` does; leaving early kills it.
    """
    with _filter(argv, stdout=target) as process:
        given = _bytes_of(process.stdin)
        # A filter that has failed says why; that its pipe is broken says nothing.
        with suppress(BrokenPipeError):
            yield given
            given.close()
        process.wait()


@contextmanager
def _filter(
    argv: Sequence[str | Path], *, stdin: int = subprocess.PIPE, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    with (
        tempfile.TemporaryFile() as errors,
        started(argv, env=None, stdin=stdin, stdout=stdout, stderr=errors.fileno()) as process,
    ):
        yield process
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")
            raise CommandFailed(Completed(argv=_words(argv), exit_code=process.returncode, stdout="", stderr=said))


def _bytes_of(pipe: IO[str] | None) -> BinaryIO:
    # Every pipe is opened as text; beneath is what carries bytes.
    return cast(BinaryIO, cast(io.TextIOWrapper, pipe).buffer)


def start_service(
    argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.Popen[str]:
    """Start a program that outlives this call, in a session of its own; it writes to `log`.

    The caller ends it.  It also outlives us when we are killed: see the NFS server, which clients' roots hang on.
    `env` is added to our environment; it works in `folder`.
    """
    with log.open("a", encoding="utf-8") as output:
        try:
            return subprocess.Popen(
                _words(argv),
                env={**os.environ, **(env or {})},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise missing(argv) from error


@contextmanager
def started(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None,
    stdin: int,
    stderr: int,
    stdout: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[str]]:
    """A program that runs during this block, and is killed with its children if it has not ended by then."""
    try:
        process = subprocess.Popen(
            _words(argv),
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            errors="replace",
            process_group=0,
        )
    except FileNotFoundError as error:
        raise missing(argv) from error
    try:
        yield process
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[str]) -> None:
    """Leave nothing behind: kill the group if its leader still runs, reap it, close the pipes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _output(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdout is None:
        raise AssertionError("started without a pipe")
    return process.stdout


def missing(argv: Sequence[str | Path]) -> Unavailable:
    """What to tell when there is no such program."""
    program = str(argv[0])
    package = PACKAGES.get(Path(program).name)
    hint = f"apt-get install {package}" if package else "install it, or put its folder into PATH"
    return Unavailable(f"the program {program} is not there", hint=hint)


def _words(argv: Sequence[str | Path]) -> tuple[str, ...]:
    return tuple(str(word) for word in argv)


def _show(argv: Sequence[str | Path]) -> str:
    return shlex.join(_words(argv))


def _tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-TAIL_LINES:])
