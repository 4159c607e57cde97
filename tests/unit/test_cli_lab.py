"""`netboot lab` and `netboot demo`: what they show, and what they refuse before anything is made."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from netboot.cli.lab import spec_words
from netboot.cli.labshow import Lines, Picture, Silent, listener_for, result_lines
from netboot.cli.progress import BuildProgress
from netboot.lab.client import LabFirmware
from netboot.lab.config import LabDhcp
from netboot.lab.kvm import Accelerator
from netboot.lab.lab import LabSpec
from netboot.lab.network import plan_lab
from netboot.lab.result import ClientResult, LabResult
from netboot.model.boot import Outcome, Verdict
from netboot.model.event import Event, EventKind
from netboot.model.loader import LoaderChoice
from netboot.model.names import VersionRef
from tests.cli_kit import Cli, as_nobody, open_to_all, publish_image
from tests.kit import MAC

K = EventKind
STALLED = Verdict(
    outcome=Outcome.STALLED,
    reached=K.KERNEL_SENT,
    missing=K.INITRD_SENT,
    cause="the initrd was not fetched",
    hint="look at the cable",
)


def result(verdict: Verdict, *, login_seen: bool) -> LabResult:
    client = ClientResult(
        seat=plan_lab(1).seats[0],
        verdict=verdict,
        boot=None,
        login_seen=login_seen,
        seconds=61.0,
        console=Path("/lab/lab-01.log"),
        last_lines="Loading initrd...\n\x1b[2Jkernel panic",
    )
    return LabResult(
        firmware=LabFirmware.BIOS,
        dhcp=LabDhcp.OWN,
        accelerator=Accelerator.TCG,
        directory=Path("/lab"),
        clients=(client,),
    )


def test_client_that_is_up() -> None:
    assert result_lines(result(Verdict(outcome=Outcome.UP, reached=K.UP), login_seen=True)) == [
        "lab-01 is up after 1 min 01 s, with a login prompt on its console",
        "consoles and logs are in /lab",
    ]


def test_client_that_is_not_says_how_far_why_and_what_to_try() -> None:
    assert result_lines(result(STALLED, login_seen=False)) == [
        "lab-01 is not up: stalled after 1 min 01 s",
        "  reached: kernel-sent",
        "  missing: initrd-sent",
        "  why:     the initrd was not fetched",
        "  try:     look at the cable",
        "  console: /lab/lab-01.log, whose last lines are",
        "    Loading initrd...",
        "     [2Jkernel panic",
        "consoles and logs are in /lab",
    ]


def test_client_that_says_up_without_a_prompt() -> None:
    told = "\n".join(result_lines(result(Verdict(outcome=Outcome.UP, reached=K.UP), login_seen=False)))
    assert "lab-01 is not up" in told
    assert "missing: a login prompt" in told
    assert "no login prompt" in told


def test_lines_tell_each_event_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.said("the daemon is ready")
    lines.happened("lab-01", Event(at=100.0, kind=K.DISCOVERED, mac=MAC))
    lines.happened("lab-01", Event(at=101.5, kind=K.KERNEL_SENT, mac=MAC, details={"bytes": 8_200_000}))
    lines.happened("lab-02", Event(at=105.0, kind=K.DISCOVERED, mac=MAC))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["the", "daemon", "is", "ready"],
        ["lab-01", "+0.00", "s", "discovered"],
        ["lab-01", "+1.50", "s", "kernel-sent", "8.2", "MB"],
        ["lab-02", "+0.00", "s", "discovered"],
    ]


def test_picture_grows_and_begins_anew_with_a_boot() -> None:
    file = io.StringIO()
    with Picture(Console(file=file, force_terminal=True, width=100, markup=False, highlight=False)) as picture:
        picture.happened("lab-01", Event(at=100.0, kind=K.DISCOVERED, mac=MAC, boot=1, id=1))
        picture.happened("lab-01", Event(at=101.5, kind=K.LOADER_SENT, mac=MAC, boot=1, id=2))
        drawn = file.getvalue()
        picture.happened("lab-01", Event(at=200.0, kind=K.DISCOVERED, mac=MAC, boot=2, id=3))
    assert "boot 1 of lab-01" in drawn
    assert "+1.50 s" in drawn
    assert "booting: it reached loader-sent, waiting for script-offered" in drawn
    last = file.getvalue()[len(drawn) :]
    assert "boot 2 of lab-01" in last
    assert "loader-sent" not in last


def test_where_nobody_watches_lines_are_told() -> None:
    assert isinstance(listener_for(1, quiet=False), Lines)
    assert type(listener_for(2, quiet=True)) is Silent


def test_words_for_the_process_within_the_walls(tmp_path: Path) -> None:
    spec = LabSpec(
        firmware=LabFirmware.SECURE,
        dhcp=LabDhcp.PROXY,
        data_dir=tmp_path,
        count=3,
        image=VersionRef("a", 2),
        loader=LoaderChoice.GRUB,
        keep=True,
    )
    words = spec_words(spec)
    assert words[:8] == ["--firmware", "secure", "--dhcp", "proxy", "--loader", "grub", "--count", "3"]
    assert words[-1] == "--keep"
    assert dict(zip(words[:-1:2], words[1::2], strict=True))["--image"] == "a:2"


def test_missing_image_is_told_before_anything_is_made(tmp_path: Path) -> None:
    ran = Cli(tmp_path)("lab", "boot", "--image", "nothing")
    assert (ran.code, "netboot image build nothing" in ran.stderr) == (3, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "image"),
    [
        ("--initramfs dracut", "debian-minimal-dracut"),
        ("--initramfs dracut --image kiosk:3", "kiosk-dracut"),
        ("--initramfs dracut --image kiosk-dracut", "kiosk-dracut"),
    ],
)
def test_another_initramfs_is_another_image(tmp_path: Path, options: str, image: str) -> None:
    missing = Cli(tmp_path)("lab", "boot", *options.split())
    assert missing.code == 3
    assert f"there is no image {image}" in missing.stderr


def test_lab_takes_root(tmp_path: Path) -> None:
    publish_image(tmp_path, "debian-minimal")
    open_to_all(tmp_path)
    with as_nobody():
        assert os.geteuid() != 0
        for words in (["lab", "boot"], ["demo"]):
            ran = Cli(tmp_path)(*words)
            assert (ran.code, "root" in ran.stderr) == (5, True)


def test_progress_of_a_build_is_a_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    with BuildProgress() as progress:
        progress.step("downloading", fraction=0.0, left_s=125.0)
        progress.step("downloading", fraction=0.1, left_s=120.0)
        progress.step("unpacking", fraction=0.5, left_s=30.0)
    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["  0%  downloading (2 min 05 s left)", " 50%  unpacking (30 s left)"]
    assert shown.out == ""


def test_quiet_build_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with BuildProgress(quiet=True) as progress:
        progress.step("downloading", fraction=0.0, left_s=125.0)
    assert capsys.readouterr() == ("", "")
