"""A client that runs and the server of its root: the server is away for a minute, and its version is removed.

What is away was killed: the daemon, and the server that it started.  A program on the client reads what the client has
not in its memory, and writes, from before until after.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netboot.errors import NetbootError
from netboot.lab.client import QemuClient
from netboot.lab.lab import DEFAULT_IMAGE, Lab
from netboot.model.root import RootMode
from netboot.model.wishes import Wishes
from netboot.system.commands import run
from netboot.system.mounts import unmount
from tests.boot.conftest import MakeLab
from tests.boot.stories import boot
from tests.modes.servers import pid_of_server

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1200)]

AWAY_S = 60.0
# What was asked for when the server went may still come from the client's memory.
STANDSTILL_S = 20.0
READ_S = 300.0

# The files that are read: a hundred libraries, of all sizes.
LIST = "find usr/lib/x86_64-linux-gnu -maxdepth 1 -type f | LC_ALL=C sort"
# Each file's digest goes to memory, where a shell alone can count them, and its name to the temporary layer.
READER = (
    f"cd / && {LIST} > /run/files && while read -r file; do"
    ' sha256sum "$file" >> /run/digests || echo "$file" >> /run/failed; echo "$file" >> /root/written;'
    " done < /run/files; echo read > /run/finished"
)
BROKEN = re.compile(r"I/O error|EXT4-fs error|remount|critical (?:target|medium) error|not responding, timed out")


@pytest.mark.parametrize("mode", RootMode)
def test_a_client_outlives_its_servers_absence_and_its_versions_removal(make_lab: MakeLab, mode: RootMode) -> None:
    lab = make_lab(wishes=Wishes(root=mode, verify=mode is not RootMode.NFS))
    image = images_of_its_own(lab)
    newest = max(image.glob("*/root.ext4"), key=lambda file: int(file.parent.name))
    expected = digest_of_files(newest, lab.directory)
    lab.start_daemon()
    _, client = boot(lab)

    start_to_read(client)
    until_count(client, 10, timeout_s=60)
    server = pid_of_server(lab, mode)
    lab.kill_daemon(signal.SIGKILL)
    os.kill(server, signal.SIGKILL)
    time.sleep(STANDSTILL_S)
    before = count(client)
    time.sleep(AWAY_S - STANDSTILL_S)
    assert count(client) == before, "the server was not missed"
    lab.start_daemon()
    assert digest_of_reading(client) == expected
    print(f"{mode}: {before} files were read before")

    # Whoever asks is told that a client runs it; a hand that asks nobody takes nothing from the client.
    with pytest.raises(NetbootError, match=f"client {client.name} runs it"):
        lab.netboot("image", "rm", DEFAULT_IMAGE.image, "--all")
    shutil.rmtree(image)
    start_to_read(client)
    assert digest_of_reading(client) == expected

    assert not BROKEN.search(client.command("dmesg"))
    client.command("touch /root/witness /etc/witness && ! test -e /run/failed")


def images_of_its_own(lab: Lab) -> Path:
    """Give the lab's daemon images that it can link and that can be removed, as an installation has."""
    shown = lab.state / "images"
    source = (lab.spec.data_dir / "images" / DEFAULT_IMAGE.image).resolve()
    unmount(shown)
    run(["cp", "-a", "--reflink=auto", "--sparse=always", str(source), str(shown)])
    return shown / DEFAULT_IMAGE.image


def digest_of_files(root: Path, scratch: Path) -> str:
    """What `digest_of_reading` gives of a client that reads a file system right."""
    with mounted_read_only(root, scratch / "root") as tree:
        shell = f'{LIST} | while read -r file; do sha256sum "$file"; done | sha256sum'
        return subprocess.run(["sh", "-c", shell], cwd=tree, check=True, capture_output=True, text=True).stdout


@contextmanager
def mounted_read_only(file: Path, place: Path) -> Iterator[Path]:
    place.mkdir()
    run(["mount", "-o", "ro,loop", str(file), str(place)])
    try:
        yield place
    finally:
        unmount(place)


def start_to_read(client: QemuClient) -> None:
    """Start the program that reads; all that the client has in memory of its root is dropped first."""
    client.command("rm -f /run/finished /root/written; : > /run/digests; echo 3 > /proc/sys/vm/drop_caches")
    # In a shell of its own, so that the console's does not tell of its end.
    client.command(f"( ({READER}) < /dev/null > /dev/null 2>&1 & )")


def count(client: QemuClient) -> int:
    """How many files were read; the shell that is asked needs nothing of the root."""
    return int(client.command("n=0; while read -r _; do n=$((n + 1)); done < /run/digests; echo $n"))


def until_count(client: QemuClient, wanted: int, *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while count(client) < wanted:
        assert time.monotonic() < deadline, f"{client.name} read {count(client)} files within {timeout_s:g} s"
        time.sleep(0.5)


def digest_of_reading(client: QemuClient) -> str:
    """The digest of what the program read, once it is through."""
    wait = "until [ -e /run/finished ]; do sleep 1; done; cmp /run/files /root/written && sha256sum < /run/digests"
    return client.command(wait, timeout_s=READ_S)
