"""Programs that read much: what they have read is told, and how they fail."""

from __future__ import annotations

import sys

import pytest

from netboot.errors import Unavailable
from netboot.system.commands import CommandFailed
from netboot.system.reading import run_reading


def test_what_it_reads_is_told_while_it_runs() -> None:
    told: list[int] = []
    program = "import time; open('/dev/zero', 'rb').read(50_000_000); time.sleep(1)"
    run_reading([sys.executable, "-c", program], told.append)
    assert len(told) > 1
    assert min(told) >= 0
    assert 50_000_000 <= sum(told) < 60_000_000


def test_it_has_the_variables_that_it_is_given(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import os, sys; sys.exit(os.environ['NETBOOT_X'] != 'x')"
    run_reading([sys.executable, "-c", program], lambda size: None, env={"NETBOOT_X": "x"})
    assert capfd.readouterr() == ("", "")


def test_a_failure_has_its_words() -> None:
    with pytest.raises(CommandFailed, match="exit status 3:\nno such luck") as caught:
        run_reading(["sh", "-c", "echo no such luck; exit 3"], lambda size: None)
    assert caught.value.message.startswith("sh -c ")


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(Unavailable, match=r"the program no-such-program is not there"):
        run_reading(["no-such-program"], lambda size: None)
