"""What keeps a client from its root ends in a verdict of its own, which is there within ten seconds.

The clients are real ones up to their initramfs, and so is what refuses them or says nothing.  Seconds are those between
events, as the server recorded them.
"""

from __future__ import annotations

import functools
import http.server
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from netboot.boot.progress import verdict
from netboot.lab.client import QemuClient
from netboot.lab.config import PATIENCE
from netboot.lab.lab import DEFAULT_IMAGE, Lab
from netboot.lab.network import Seat
from netboot.model.boot import Boot, Outcome, Verdict
from netboot.model.event import EventKind
from netboot.model.iscsi import AUTHORITY
from netboot.model.root import RootMode
from netboot.model.wishes import Wishes
from netboot.personal.archive import pack
from netboot.personal.entries import File
from tests.boot.conftest import MakeLab
from tests.boot.damage import damage
from tests.boot.stories import boot, settled
from tests.modes.servers import pid_of_server

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1200)]

# For an emulated machine to come to the point; and what counts, on machines of flesh and blood.
VERDICT_S = 240.0
TOLD_S = 10.0

PORT = 8081
CHAP = "\n[exports]\niscsi_chap = true\n"


def test_an_initiator_that_is_not_permitted_is_told(make_lab: MakeLab) -> None:
    lab = admitting_by_name(make_lab)
    seat, _ = switch_on(lab, f"netboot.initiator={AUTHORITY}:client.lab-09")
    found = told(lab, seat)
    assert "not to the name that the client logs in by" in found.cause
    assert "(19 - " in found.cause


def test_a_wrong_secret_is_told(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = admitting_by_name(make_lab)
    name = lab.plan.seats[0].name
    secrets = {PurePosixPath("secrets/chap"): File(content=f"client.{name} not-the-one-it-has\n".encode(), mode=0o600)}
    (tmp_path / "own").mkdir()
    (tmp_path / "own/archive.tar").write_bytes(pack(secrets))
    with files_over_http(tmp_path / "own"):
        seat, _ = switch_on(lab, f"netboot.data=http://{lab.plan.server.ip}:{PORT}/archive.tar")
        found = told(lab, seat)
    assert "its name or its secret is not what this server has for it" in found.cause
    assert "(24 - " in found.cause


@pytest.mark.parametrize("mode", [RootMode.NFS, RootMode.NFS_FILE])
def test_an_export_that_is_gone_is_told(make_lab: MakeLab, mode: RootMode) -> None:
    lab = make_lab(wishes=Wishes(root=mode))
    lab.start_daemon()
    gone = {RootMode.NFS: "/gone/1", RootMode.NFS_FILE: "/gone/1.ext4/root.ext4"}[mode]
    seat, _ = switch_on(lab, f"netboot.root={mode}:{lab.plan.server.ip}:{gone}")
    assert "is not exported any more" in told(lab, seat).cause


@pytest.mark.parametrize("mode", [RootMode.NFS, RootMode.ISCSI])
def test_a_server_that_is_silent_while_a_client_boots_is_told_and_waited_for(make_lab: MakeLab, mode: RootMode) -> None:
    lab = make_lab(wishes=Wishes(root=mode))
    lab.start_daemon()
    seat, _ = switch_on(lab)
    with lab.watch() as watch:
        watch.wait_for(seat, EventKind.INITRD_SENT, timeout_s=VERDICT_S)
        # Its port takes connections, and nobody answers.
        server = pid_of_server(lab, mode)
        os.kill(server, signal.SIGSTOP)
        try:
            found = told(lab, seat)
        finally:
            os.kill(server, signal.SIGCONT)
        assert "the server of its root does not answer the client" in found.cause
        watch.wait_for(seat, EventKind.ROOT_MOUNTED, timeout_s=VERDICT_S)


def test_a_damaged_block_that_a_running_client_reads_is_told(make_lab: MakeLab, data_dir: Path) -> None:
    program = "/usr/bin/nano"
    damage(data_dir, DEFAULT_IMAGE.image, program)
    lab = make_lab(wishes=Wishes(root=RootMode.ISCSI, verify=True))
    lab.start_daemon()
    seat, client = boot(lab)
    happened = time.time()
    assert "Input/output error" in client.command(f"cat {program} 2>&1 >/dev/null || true")
    with lab.watch() as watch:
        event = watch.wait_for(seat, EventKind.ROOT_FAILED, timeout_s=TOLD_S * PATIENCE[lab.accelerator])
    print(f"{event.details['message']}\n{event.at - happened:.1f} s after it was read")
    assert "bit for bit" in settled(lab, seat, timeout_s=TOLD_S).cause


def admitting_by_name(make_lab: MakeLab) -> Lab:
    """A lab whose disks are for initiators with a name that is known and a secret."""
    lab = make_lab(wishes=Wishes(root=RootMode.ISCSI))
    lab.config_file.write_text(lab.config_file.read_text() + CHAP)
    lab.start_daemon()
    return lab


def switch_on(lab: Lab, *kernel_args: str) -> tuple[Seat, QemuClient]:
    """A client with further words at the end of its kernel line, where the last of a kind counts."""
    seat = lab.register(0, extra=[word for each in kernel_args for word in ("--kernel-arg", each)])
    client = lab.client(0)
    client.start()
    return seat, client


@contextmanager
def files_over_http(folder: Path) -> Iterator[None]:
    """Serve a folder to the lab's clients."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("", PORT), handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join()


def told(lab: Lab, seat: Seat) -> Verdict:
    """The verdict on a client that cannot have its root, which came soon enough after it happened."""
    found = settled(lab, seat, timeout_s=VERDICT_S)
    assert (found.outcome, found.missing) == (Outcome.STALLED, EventKind.ROOT_MOUNTED)
    with lab.watch() as watch:
        whole = watch.boot(seat)
    assert whole is not None
    story = up_to_the_verdict(whole)
    began = first_at(story, EventKind.INITRAMFS_STARTED)
    # Who is refused says so at once.  Of a silent server nothing is heard, so all since the client began counts.
    happened = first_at(story, EventKind.ROOT_RETRIED) or began
    assert began is not None and happened is not None
    after_s = story.last_at - happened
    print(f"{found.cause}\n{after_s:.1f} s after it happened, {story.last_at - began:.1f} s after its initramfs began")
    assert after_s <= TOLD_S * PATIENCE[lab.accelerator]
    return found


def first_at(boot: Boot, kind: EventKind) -> float | None:
    return next((event.at for event in boot.events if event.kind is kind), None)


def up_to_the_verdict(boot: Boot) -> Boot:
    """The boot with its events as far as the one by which it is no longer under way."""
    parts = (replace(boot, events=boot.events[: count + 1]) for count in range(len(boot.events)))
    return next(part for part in parts if verdict(part, now=part.last_at).outcome is not Outcome.BOOTING)
