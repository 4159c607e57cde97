from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from netboot.errors import Unavailable
from netboot.system.commands import PACKAGES, CommandFailed, run, stream


def gone(pid: int) -> bool:
    """Whether the process has ended; a zombie that its new parent has not reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def ends(pid: int) -> bool:
    """Whether the process, which was killed, ends within seconds."""
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return gone(pid)


def test_what_a_program_wrote_is_returned() -> None:
    done = run(["cat", "-"], input="hello\n")
    assert (done.stdout, done.exit_code, done.argv) == ("hello\n", 0, ("cat", "-"))


def test_a_failure_shows_the_command_to_repeat_and_what_was_said() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo 'no such thing' >&2; exit 3"], hint="do that")
    assert "sh -c 'echo '" in caught.value.message
    assert "no such thing" in caught.value.message
    assert caught.value.completed.exit_code == 3
    assert caught.value.hint == "do that"


def test_a_failure_that_is_expected_is_returned() -> None:
    assert run(["false"], check=False).exit_code == 1


@pytest.mark.parametrize(("program", "package"), [("mmdebstrap", "mmdebstrap"), ("exportfs", "nfs-kernel-server")])
def test_a_missing_program_names_its_package(
    program: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable) as caught:
        run([program, "--version"])
    assert caught.value.hint == f"apt-get install {package}"


def test_every_program_of_the_table_is_a_bare_name() -> None:
    assert all("/" not in program and package for program, package in PACKAGES.items())


def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(Unavailable, match="did not end within 3 s"):
        run(["sh", "-c", f"sleep 60 & echo $! >{note}; wait"], timeout_s=3)
    assert ends(int(note.read_text()))


def test_lines_come_while_the_program_still_runs() -> None:
    lines = stream(["sh", "-c", "echo first; sleep 60"])
    started = time.monotonic()
    assert next(lines) == "first"
    lines.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 10


def test_leaving_a_stream_early_ends_the_program() -> None:
    lines = stream(["sh", "-c", "echo $$; exec sleep 60"])
    pid = int(next(lines))
    assert not gone(pid)
    lines.close()  # type: ignore[attr-defined]
    assert ends(pid)


def test_a_stream_fails_as_run_does_and_shows_the_end() -> None:
    with pytest.raises(CommandFailed, match="broken"):
        list(stream(["sh", "-c", "echo fine; echo broken >&2; exit 1"]))


def test_the_environment_is_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "yes")
    assert run(["sh", "-c", "echo $KEPT $ADDED"], env={"ADDED": "too"}).stdout == "yes too\n"
    assert "ADDED" not in os.environ
