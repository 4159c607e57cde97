"""Initiators that are not ours: libiscsi's programs and QEMU's block driver of it."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

AUTHORITY = "iqn.2018-05.arpa.home.netboot"
ANYBODY = f"{AUTHORITY}:client.anybody"

# Of libiscsi's test, what failed, and how much it asserted of what it tried to write.
_ASSERTS = re.compile(r"asserts +(\d+) +\d+ +(\d+) +(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """An initiator at a server's address, with a name, and a user and a secret if it has any."""

    server: str
    name: str = ANYBODY
    user: str = ""
    secret: str = ""

    def url(self, target: str, lun: int) -> str:
        user = f"{self.user}%{self.secret}@" if self.user else ""
        return f"iscsi://{user}{self.server}/{target}/{lun}"

    def targets(self) -> set[str]:
        """The targets that the server tells of."""
        listing = _run(["iscsi-ls", "-i", self.name, f"iscsi://{self.server}"]).stdout
        return set(re.findall(r"Target:(\S+)", listing))

    def refusal(self, target: str, lun: int) -> str:
        """What the server says to a login; empty when it lets us in."""
        done = _run(["iscsi-inq", "-i", self.name, self.url(target, lun)])
        if done.returncode == 0:
            return ""
        found = re.search(r"Status: ([^(\n]+)", done.stderr + done.stdout)
        assert found, done
        return found.group(1)

    def sha256(self, target: str, lun: int, scratch: Path) -> str:
        """The SHA-256 of all that is read of a disk."""
        done = _run(["qemu-img", "convert", "-U", "-O", "raw", *self._options(target, lun), str(scratch)])
        assert done.returncode == 0, done.stderr
        return hashlib.sha256(scratch.read_bytes()).hexdigest()

    def try_to_write(self, target: str, lun: int) -> tuple[int, list[str]]:
        """Try every kind of write; how many assertions there were, and what libiscsi finds wrong with the refusals."""
        test = "ALL.ReadOnly.ReadOnlySBC"
        done = _run(["iscsi-test-cu", "-i", self.name, "--dataloss", f"--test={test}", self.url(target, lun)])
        found = _ASSERTS.search(done.stdout)
        assert found, done
        return int(found.group(1)), re.findall(r"\[FAILED\] (\S+)", done.stdout)

    @contextmanager
    def logged_in(self, target: str, lun: int, *, writable: bool = False) -> Iterator[subprocess.Popen[str]]:
        """A session that lasts; QEMU's shell, which reads by `read OFFSET LENGTH`."""
        argv = ["qemu-io", *([] if writable else ["-r"]), *self._options(target, lun)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
            try:
                assert "read 4096/4096" in read(shell, 0)
                yield shell
            finally:
                shell.communicate("quit\n", timeout=30)

    def _options(self, target: str, lun: int) -> list[str]:
        """A disk, as QEMU's tools are told of it."""
        words = {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": self.server,
            "target": target,
            "lun": lun,
            "initiator-name": self.name,
            **({"user": self.user, "password-secret": "chap"} if self.user else {}),
        }
        objects = ["--object", f"secret,id=chap,data={self.secret}"] if self.user else []
        return [*objects, "--image-opts", ",".join(f"{key}={value}" for key, value in words.items())]


def read(shell: subprocess.Popen[str], offset: int) -> str:
    """Have QEMU's shell read a block; what it says of it."""
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(f"read {offset} 4096\n")
    shell.stdin.flush()
    said = shell.stdout.readline()
    if "read 4096" in said:
        said += shell.stdout.readline()
    return said


def write(shell: subprocess.Popen[str], offset: int, byte: int) -> None:
    """Have QEMU's shell fill a block, and wait until the server says that it is on its disk."""
    assert shell.stdin is not None
    assert shell.stdout is not None
    # -f: forced to the disk, which QEMU does by a flush where the server has no better way.
    shell.stdin.write(f"write -f -P {byte} {offset} 4096\n")
    shell.stdin.flush()
    assert "wrote 4096/4096" in shell.stdout.readline()
    shell.stdout.readline()


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=300)
