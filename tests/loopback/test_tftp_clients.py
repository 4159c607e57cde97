"""The TFTP server against clients that nobody here wrote."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import tftpy

from netboot.tftp.events import TransferKind
from tests.kit import cannot_run
from tests.loopback.tftp_kit import Served, serving, some_bytes

# One byte around each border of a block of 512, 1024, 1428 and 1468 bytes, an empty file, and some blocks more.
SIZES = (0, 1, 511, 512, 513, 1024, 1428, 1468, 1469, 100_000, 512 * 400)


def curl(port: int, name: str, to: Path, *options: str) -> list[str]:
    return ["curl", "-sS", "--max-time", "60", *options, "-o", str(to), f"tftp://127.0.0.1:{port}/{name}"]


def atftp(port: int, name: str, to: Path, *options: str) -> list[str]:
    words = [word for option in options for word in ("--option", option)]
    return ["atftp", *words, "-g", "-r", name, "-l", str(to), "127.0.0.1", str(port)]


def busybox(port: int, name: str, to: Path, *options: str) -> list[str]:
    return ["busybox", "tftp", "-g", "-r", name, "-l", str(to), *options, "127.0.0.1", str(port)]


def tftp_hpa(port: int, name: str, to: Path, *options: str) -> list[str]:
    mode = options[0] if options else "octet"
    return ["tftp", "-m", mode, "127.0.0.1", str(port), "-c", "get", name, str(to)]


Command = Callable[..., list[str]]

CLIENTS: dict[str, tuple[Command, tuple[str, ...]]] = {
    "curl": (curl, ()),
    "curl-1468": (curl, ("--tftp-blksize", "1468")),
    "curl-without-options": (curl, ("--tftp-no-options",)),
    "atftp": (atftp, ()),
    "atftp-1428": (atftp, ("blksize 1428", "tsize")),
    "atftp-window-1": (atftp, ("windowsize 1",)),
    "atftp-window-4": (atftp, ("blksize 512", "windowsize 4")),
    "atftp-window-16": (atftp, ("blksize 1428", "windowsize 16")),
    "atftp-window-64": (atftp, ("blksize 1428", "windowsize 64")),
    "atftp-timeout": (atftp, ("timeout 3",)),
    "atftp-netascii": (atftp, ("mode netascii",)),
    "atftp-jumbo": (atftp, ("blksize 65464", "windowsize 16")),
    "busybox": (busybox, ()),
    "busybox-1024": (busybox, ("-b", "1024")),
    "tftp-hpa": (tftp_hpa, ()),
}


def fetch(client: str, port: int, name: str, to: Path) -> bytes:
    command, options = CLIENTS[client]
    argv = command(port, name, to, *options)
    if shutil.which(argv[0]) is None:
        cannot_run(f"{argv[0]} is not installed")
    done = subprocess.run(argv, capture_output=True, timeout=90, cwd=to.parent)
    assert done.returncode == 0, done
    return to.read_bytes()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, bytes | Path]:
    folder = tmp_path_factory.mktemp("shelf")
    files: dict[bytes, bytes | Path] = {}
    for size in SIZES:
        path = folder / str(size)
        path.write_bytes(some_bytes(size))
        files[b"disk-%d" % size] = path
        files[b"memory-%d" % size] = some_bytes(size)
    return files


@pytest.mark.parametrize("client", [each for each in CLIENTS if "netascii" not in each])
def test_every_size_arrives_whole(client: str, shelf: dict[bytes, bytes | Path], tmp_path: Path) -> None:
    # curl 7.88 fails on an empty file from any server (dnsmasq too): "getpeername() failed with errno 107".
    sizes = SIZES[1:] if client.startswith("curl") else SIZES
    with serving(shelf) as served:
        for size in sizes:
            for kind in ("disk", "memory"):
                got = fetch(client, served.port, f"{kind}-{size}", tmp_path / f"{kind}-{size}")
                assert got == some_bytes(size), (client, kind, size)
        finished = served.wait_for(TransferKind.FINISHED, 2 * len(sizes))
    assert sorted(event.size for event in finished) == sorted(2 * sizes)
    assert {event.kind for event in served.events} == {TransferKind.FINISHED}


@pytest.mark.parametrize("blksize", [8, 512, 1024, 1428, 65464])
def test_tftpy(blksize: int, shelf: dict[bytes, bytes | Path], tmp_path: Path) -> None:
    size = 513 if blksize == 8 else 100_000
    with serving(shelf) as served:
        client = tftpy.TftpClient("127.0.0.1", served.port, {"blksize": blksize, "tsize": 0})
        client.download(f"disk-{size}", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == some_bytes(size)


TEXT = b"one\ntwo\rthree\r\nfour\n" * 100


def test_netascii_is_what_the_client_expects(tmp_path: Path) -> None:
    with serving({b"text": TEXT}) as served:
        argv = tftp_hpa(served.port, "text", tmp_path / "got", "netascii")
        subprocess.run(argv, check=True, timeout=30, cwd=tmp_path)
    assert (tmp_path / "got").read_bytes() == TEXT


def test_netascii_of_atftp_is_more_on_the_wire_than_in_the_file(tmp_path: Path) -> None:
    with serving({b"text": TEXT}) as served:
        assert fetch("atftp-netascii", served.port, "text", tmp_path / "got") == TEXT
        (event,) = served.wait_for(TransferKind.FINISHED)
    assert event.size == len(TEXT) + TEXT.count(b"\n") + TEXT.count(b"\r")


@pytest.mark.parametrize(
    ("client", "size"),
    [("curl", 65_536 * 512 + 1), ("atftp-window-16", 65_536 * 1428 + 1), ("busybox", 65_536 * 512)],
    ids=["512", "1428-window-16", "512-exact"],
)
def test_block_numbers_roll_over(client: str, size: int, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(some_bytes(size))
    with serving({b"big": big}) as served:
        got = fetch(client, served.port, "big", tmp_path / "got")
    assert got == big.read_bytes()


def test_a_file_that_is_replaced_meanwhile_is_sent_as_it_was(tmp_path: Path) -> None:
    old, new = some_bytes(20_000_000, seed=1), some_bytes(1000, seed=2)
    path = tmp_path / "served"
    path.write_bytes(old)
    with serving({b"served": path}) as served:
        argv = curl(served.port, "served", tmp_path / "got", "--limit-rate", "10M")
        with subprocess.Popen(argv) as client:
            while not (tmp_path / "got").exists():
                assert client.poll() is None
            (tmp_path / "next").write_bytes(new)
            (tmp_path / "next").replace(path)
            assert client.wait(60) == 0
        assert (tmp_path / "got").read_bytes() == old
        assert fetch("curl", served.port, "served", tmp_path / "again") == new


@pytest.mark.parametrize(
    ("client", "blksize", "window"),
    [
        ("curl-without-options", 512, 1),
        ("curl-1468", 1468, 1),
        ("busybox-1024", 1024, 1),
        ("atftp-window-4", 512, 4),
        ("atftp-window-64", 1428, 64),
        ("atftp-jumbo", 65464, 16),
    ],
)
def test_what_the_client_asked_is_agreed(client: str, blksize: int, window: int, tmp_path: Path) -> None:
    with serving({b"loader": some_bytes(3_000_000)}) as served:
        fetch(client, served.port, "loader", tmp_path / "got")
        (event,) = served.wait_for(TransferKind.FINISHED)
    assert (event.blksize, event.window) == (blksize, window)
    assert (event.name, event.size) == ("loader", 3_000_000)


@pytest.mark.parametrize("client", ["atftp", "tftp-hpa", "busybox"])
def test_a_missing_name_is_refused_at_once(client: str, tmp_path: Path) -> None:
    command, options = CLIENTS[client]
    with serving({}) as served:
        argv = command(served.port, "nothing", tmp_path / "got", *options)
        done = subprocess.run(argv, capture_output=True, timeout=3, cwd=tmp_path)
        missing = served.wait_for(TransferKind.MISSING)
    said = (done.stdout + done.stderr).lower()
    assert b"not found" in said, done
    assert [event.name for event in missing] == ["nothing"]


def test_uploads_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"x")
    with serving({}) as served:
        argv = ["curl", "-sS", "-T", str(tmp_path / "mine"), f"tftp://127.0.0.1:{served.port}/mine"]
        done = subprocess.run(argv, capture_output=True, timeout=10)
        served.wait_for(TransferKind.MISSING)
    assert done.returncode == 69  # CURLE_TFTP_PERM, from our ERROR 2


def test_two_hundred_clients_at_once(tmp_path: Path) -> None:
    """Rule 4.24, with clients of four kinds and one that never answers."""
    content = some_bytes(300_000)
    kinds = ("curl-1468", "atftp-window-16", "busybox-1024", "tftp-hpa")
    with serving({b"loader": content}, limits=None) as served:
        _storm(served, tmp_path, kinds, count=200)
    for got in tmp_path.glob("got-*"):
        assert got.read_bytes() == content


def _storm(served: Served, folder: Path, kinds: tuple[str, ...], *, count: int) -> None:
    """`count` clients, twenty at a time, since one address may hold thirty-two transfers."""
    for begin in range(0, count, 20):
        running = []
        for number in range(begin, begin + 20):
            command, options = CLIENTS[kinds[number % len(kinds)]]
            argv = command(served.port, "loader", folder / f"got-{number}", *options)
            running.append(subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL))
        for client in running:
            assert client.wait(60) == 0, client.args
    assert len(served.wait_for(TransferKind.FINISHED, count)) == count
