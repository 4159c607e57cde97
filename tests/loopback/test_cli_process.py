"""The command as a process of its own: exit codes, streams, signals, and several at once."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netboot.boot.progress import begins_boot
from netboot.model.client import Client
from netboot.model.event import Event, EventKind
from netboot.model.lease import Lease
from netboot.model.mac import MacAddress
from netboot.store import ClientRepository, EventRecorder, EventRepository, LeaseRepository, open_database
from tests.cli_kit import NETBOOT, environ, publish_image
from tests.kit import MAC

K = EventKind


def run(data_dir: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    argv = [*NETBOOT, "--data-dir", str(data_dir), *words]
    return subprocess.run(argv, capture_output=True, text=True, env=environ(**more), timeout=60)


@contextmanager
def started(data_dir: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    argv = [*NETBOOT, "--data-dir", str(data_dir), *words]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ())
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def tell(data_dir: Path, *kinds: EventKind) -> None:
    engine = open_database(data_dir)
    with EventRecorder(EventRepository(engine), begins_boot) as recorder:
        for kind in kinds:
            recorder.record(Event(at=time.time(), kind=kind, mac=MAC, details={"stage": "firmware"}))
    engine.dispose()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["version"], 0),
        (["--help"], 0),
        (["client"], 2),
        (["client", "add"], 2),
        (["client", "add", "nonsense", "--name", "x"], 2),
        (["no-such-verb"], 2),
        (["client", "show", "nobody"], 3),
        (["client", "add", str(MAC), "--name", "x"], 4),
        (["serve", "--config", "/nonexistent/netboot.toml"], 3),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else str(each),
)
def test_exit_codes(tmp_path: Path, words: list[str], code: int) -> None:
    assert run(tmp_path, "client", "add", str(MAC), "--name", "lab-01").returncode == 0
    assert run(tmp_path, *words).returncode == code


def test_error_is_told_on_stderr_alone(tmp_path: Path) -> None:
    ran = run(tmp_path, "client", "show", "nobody")
    assert ran.stdout == ""
    assert ran.stderr.splitlines() == [
        f"netboot: error: there is no netboot database in {tmp_path}",
        "hint: name the data directory with --data-dir; netboot serve and netboot client add make a new one",
    ]


@pytest.mark.parametrize("words", [["client", "show", "nobody"], ["client", "show"]], ids=["ours", "usage"])
def test_error_as_json(tmp_path: Path, words: list[str]) -> None:
    ran = run(tmp_path, *words, "--json")
    assert ran.stdout == ""
    error = json.loads(ran.stderr)["error"]
    assert set(error) == {"message", "hint", "exit_code"}
    assert error["exit_code"] == ran.returncode


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    tell(tmp_path, K.DISCOVERED)
    with started(tmp_path, "events", "--follow") as process:
        assert process.stdout
        assert "discovered" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr
        assert process.stderr.read() == ""


def test_closed_pipe_is_quiet(tmp_path: Path) -> None:
    tell(tmp_path, *[K.DISCOVERED] * 3000)
    with started(tmp_path, "events", "--json", "--limit", "3000") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        process.wait(30)
        assert process.stderr.read() == ""
        process.stdout = None


def test_follower_sees_what_happens(tmp_path: Path) -> None:
    tell(tmp_path, K.DISCOVERED)
    with started(tmp_path, "events", "--follow", "--json") as process:
        assert process.stdout
        seen = [json.loads(process.stdout.readline())]
        tell(tmp_path, K.OFFERED, K.ACKED)
        seen += [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [event["kind"] for event in seen] == ["discovered", "offered", "acked"]
    assert [event["boot"] for event in seen] == [1, 1, 1]


def test_boot_is_followed_from_before_its_first_packet_until_up(tmp_path: Path) -> None:
    assert run(tmp_path, "client", "add", str(MAC), "--name", "lab-01").returncode == 0
    with started(tmp_path, "boot", "show", "lab-01", "--follow") as process:
        time.sleep(1)
        tell(tmp_path, K.DISCOVERED, K.OFFERED)
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(3)]
        tell(tmp_path, K.UP)
        lines += process.communicate(timeout=30)[0].splitlines()
        assert process.returncode == 0
    assert lines[0].startswith("boot 1 of lab-01")
    assert [line.split()[0] for line in lines[1:4]] == ["discovered", "offered", "up"]
    assert lines[4].startswith("up, ")


def test_two_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    """Two processes add a hundred clients each, while we read; every reading is a whole one."""
    script = (
        "import sys; from pathlib import Path; from netboot.store import *; from netboot.model.client import Client;"
        "from netboot.model.mac import MacAddress\n"
        "repository = ClientRepository(open_database(Path(sys.argv[1])))\n"
        "for n in range(100):\n"
        "    mac = MacAddress.parse(f'52:54:00:00:{sys.argv[2]}:{n:02x}')\n"
        "    repository.add(Client(mac=mac, name=f'c-{sys.argv[2]}-{n}'))\n"
    )
    argv = [NETBOOT[0], "-c", script, str(tmp_path)]
    writers = [subprocess.Popen([*argv, each], env=environ()) for each in ("0a", "0b")]
    sizes = [0]
    engine = open_database(tmp_path)
    repository = ClientRepository(engine)
    while any(writer.poll() is None for writer in writers):
        revision, clients = repository.snapshot()
        assert len(clients) == revision, "a reading saw half of a change"
        sizes.append(len(clients))
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sizes == sorted(sizes)
    assert len(repository.list()) == 200
    engine.dispose()


def test_programs_that_open_a_new_database_at_once(tmp_path: Path) -> None:
    argv = [*NETBOOT, "--data-dir", str(tmp_path), "client", "add"]
    added = [
        subprocess.Popen(
            [*argv, f"52:54:00:00:00:{n:02x}", "--name", f"c-{n}"], env=environ(), stdout=subprocess.DEVNULL
        )
        for n in range(6)
    ]
    assert [each.wait(60) for each in added] == [0] * 6
    assert len(json.loads(run(tmp_path, "client", "list", "--json").stdout)) == 6


def test_killed_in_mid_commit_no_committed_lease_is_lost(tmp_path: Path) -> None:
    """A process commits leases and says so after each commit; we kill it, and look for what it had said."""
    script = (
        "import sys; from ipaddress import IPv4Address; from pathlib import Path; from netboot.store import *\n"
        "from netboot.model.lease import Lease, LeaseState; from netboot.model.mac import MacAddress\n"
        "leases = LeaseRepository(open_database(Path(sys.argv[1])))\n"
        "mac = MacAddress.parse('52:54:00:00:00:01')\n"
        "for n in range(1_000_000):\n"
        "    batch = [Lease(address=IPv4Address(0x0a000000 + 4 * n + i), mac=mac, state=LeaseState.ACTIVE,\n"
        "                   expires_at=float(n)) for i in range(4)]\n"
        "    leases.commit(batch)\n"
        "    print(n, flush=True)\n"
    )
    said = -1
    for _ in range(4):
        folder = tmp_path / str(said)
        process = subprocess.Popen(
            [NETBOOT[0], "-c", script, str(folder)], env=environ(), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        for line in process.stdout:
            said = int(line)
            if said >= 40:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.communicate()[0].split()
        said = int(rest[-1]) if rest and rest[-1].isdigit() else said
        loaded = load_leases(folder)
        batches = {int(lease.expires_at) for lease in loaded}
        assert batches >= set(range(said + 1))
        assert len(loaded) == 4 * len(batches), "half a batch was committed"


def load_leases(folder: Path) -> tuple[Lease, ...]:
    engine = open_database(folder, create=False)
    try:
        return LeaseRepository(engine).load()
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("netboot client show la", {"lab-01", "lab-02"}),
        ("netboot boot show ", {"lab-01", "lab-02", "other"}),
        ("netboot client set lab-01 --image d", {"debian", "debian:1", "debian:latest"}),
        ("netboot client a", {"add"}),
        ("netboot client add --load", {"--loader"}),
    ],
)
def test_shell_completes_names(tmp_path: Path, typed: str, offered: set[str]) -> None:
    publish_image(tmp_path)
    engine = open_database(tmp_path)
    for number, name in enumerate(["lab-01", "lab-02", "other"], 1):
        ClientRepository(engine).add(Client(mac=MacAddress.parse(f"52:54:00:00:00:0{number}"), name=name))
    engine.dispose()
    words = typed.split(" ")
    more = {
        "_NETBOOT_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
        "NETBOOT_DATA_DIR": str(tmp_path),
    }
    ran = subprocess.run([*NETBOOT], capture_output=True, text=True, env=environ(**more), timeout=60)
    assert set(ran.stdout.split()) == offered
    assert ran.stderr == ""


def test_completion_of_an_empty_place_is_quiet(tmp_path: Path) -> None:
    more = {
        "_NETBOOT_COMPLETE": "complete_bash",
        "COMP_WORDS": "netboot client show x",
        "COMP_CWORD": "3",
        "NETBOOT_DATA_DIR": str(tmp_path / "none"),
    }
    ran = subprocess.run([*NETBOOT], capture_output=True, text=True, env=environ(**more), timeout=60)
    assert (ran.stdout.strip(), ran.stderr) == ("", "")


def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([*NETBOOT, "version"], stdout=full, stderr=subprocess.PIPE, text=True, env=environ())
    assert ran.returncode == 6
    assert ran.stderr.splitlines() == [
        "netboot: error: the system refused: No space left on device",
        "hint: make space on its file system, as by netboot image gc, or name another place with --data-dir",
    ]
