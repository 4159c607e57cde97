from __future__ import annotations

from pathlib import Path

import pytest

from netboot.errors import Unavailable
from netboot.lab.namespace import OUTSIDE_VARIABLE, is_inside
from netboot.lab.process import last_lines, require
from netboot.lab.ready import is_ready


def test_the_variable_alone_does_not_make_an_inside() -> None:
    here = str(Path("/proc/self/ns/net").readlink())
    assert not is_inside({})
    assert not is_inside({OUTSIDE_VARIABLE: here})
    assert is_inside({OUTSIDE_VARIABLE: "net:[1]"})


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="apt-get install qemu-system-x86"):
        require("qemu-system-x86_64")


def test_last_lines_of_nothing_are_nothing(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "missing", 3) == ""
    (tmp_path / "log").write_bytes(b"one\ntwo\n\xff\n")
    assert last_lines(tmp_path / "log", 2) == "two\n\ufffd"


@pytest.mark.parametrize(
    ("datagram", "ready"),
    [(b"READY=1", True), (b"STATUS=up\nREADY=1\nMAINPID=7", True), (b"STATUS=READY=1", False), (b"", False)],
)
def test_only_a_line_of_its_own_means_ready(datagram: bytes, ready: bool) -> None:
    assert is_ready(datagram) is ready
