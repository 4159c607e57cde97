"""Who gets which archive, and when."""

from __future__ import annotations

import stat
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.errors import NotPermitted
from netboot.exports.secrets import chap_for
from netboot.model.boot import Boot
from netboot.model.event import Event, EventKind
from netboot.model.mac import MacAddress
from netboot.model.root import RootMode
from netboot.personal import hostkeys
from netboot.personal.permission import Asker, is_lost, refusal
from netboot.personal.service import Asked, OwnData
from netboot.personal.shelf import Shelf, sign_of
from netboot.personal.volumes import Volumes
from netboot.personal.windows import OPEN_S, BootWindows
from tests.kit import MAC, OTHER_MAC, make_target
from tests.personal_kit import TEMPLATES, contents, members, write

THIRD_MAC = MacAddress.parse("52:54:00:00:00:03")
TARGET = replace(make_target(), timezone="UTC", host_keys=True)
ASKED = Asked(
    asker=Asker(lease=MAC, neighbour=MAC),
    address=IPv4Address("10.9.0.7"),
    server=IPv4Address("10.9.0.1"),
    templates=[TEMPLATES],
)


@pytest.mark.parametrize(
    ("lease", "neighbour", "is_booting", "reason"),
    [
        (MAC, MAC, True, None),
        (MAC, None, True, None),
        (None, MAC, True, None),
        (OTHER_MAC, MAC, True, f"lent to {OTHER_MAC}"),
        (OTHER_MAC, None, True, f"lent to {OTHER_MAC}"),
        (MAC, OTHER_MAC, True, f"{OTHER_MAC} is at the address"),
        (None, OTHER_MAC, True, f"{OTHER_MAC} is at the address"),
        (None, None, True, "nobody knows"),
        (MAC, MAC, False, "not booting"),
    ],
)
def test_lease_and_neighbour_must_both_speak_for_the_client(
    lease: MacAddress | None, neighbour: MacAddress | None, is_booting: bool, reason: str | None
) -> None:
    said = refusal(MAC, Asker(lease=lease, neighbour=neighbour), is_booting=is_booting)
    assert said is None if reason is None else said is not None and reason in said


@pytest.mark.parametrize(
    ("holder", "lost"),
    [
        (Asker(lease=MAC, neighbour=MAC, last=MAC), False),
        (Asker(lease=MAC, neighbour=None, last=MAC), False),
        (Asker(lease=None, neighbour=MAC), False),
        # Switched off, or its cable pulled, where another server lends: it may come back and go on.
        (Asker(lease=None, neighbour=None), False),
        # Our lease is over, so the address can be lent to another any moment; unless it is there for all to see.
        (Asker(lease=None, neighbour=None, last=MAC), True),
        (Asker(lease=None, neighbour=MAC, last=MAC), False),
        (Asker(lease=OTHER_MAC, neighbour=None, last=OTHER_MAC), True),
        (Asker(lease=None, neighbour=OTHER_MAC), True),
        (Asker(lease=MAC, neighbour=OTHER_MAC, last=MAC), True),
    ],
)
def test_an_address_is_lost_when_it_may_be_anothers(holder: Asker, lost: bool) -> None:
    assert is_lost(MAC, holder) is lost


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_windows(clock: Clock, *boots: Boot) -> BootWindows:
    return BootWindows(lambda mac: next((each for each in boots if each.mac == mac), None), clock)


def event(kind: EventKind, at: float = 1000.0, mac: MacAddress = MAC) -> Event:
    return Event(at=at, kind=kind, mac=mac)


def test_the_window_is_from_the_first_packet_to_the_root() -> None:
    windows = make_windows(Clock())
    story = [
        (EventKind.SCRIPT_SENT, False),  # anybody can ask for one
        (EventKind.DISCOVERED, True),
        (EventKind.ACKED, True),
        (EventKind.SCRIPT_SENT, True),
        (EventKind.INITRAMFS_STARTED, True),
        (EventKind.ROOT_RETRIED, True),
        (EventKind.ROOT_MOUNTED, False),
        (EventKind.SCRIPT_SENT, False),
        (EventKind.ROOT_RETRIED, False),
        (EventKind.UP, False),
        (EventKind.DISCOVERED, True),
        (EventKind.UP, False),
    ]
    for kind, is_open in story:
        windows.tell(event(kind))
        assert windows.is_open(MAC) is is_open, kind
        assert not windows.is_open(OTHER_MAC)


def test_a_window_does_not_stay_open_for_ever() -> None:
    clock = Clock()
    windows = make_windows(clock)
    windows.open(MAC)
    clock.now += OPEN_S - 1
    assert windows.is_open(MAC)
    clock.now += 2
    assert not windows.is_open(MAC)


def test_after_a_restart_the_story_tells_who_is_on_the_way() -> None:
    boots = (
        Boot(id=1, mac=MAC, events=(event(EventKind.DISCOVERED, 900.0), event(EventKind.INITRD_SENT, 950.0))),
        Boot(id=2, mac=OTHER_MAC, events=(event(EventKind.DISCOVERED), event(EventKind.ROOT_MOUNTED))),
        # A system that asks for an address is not one that boots.
        Boot(id=3, mac=THIRD_MAC, events=(event(EventKind.ACKED, 990.0),)),
    )
    clock = Clock()
    windows = make_windows(clock, *boots)
    assert windows.is_open(MAC)
    assert not windows.is_open(OTHER_MAC)
    assert not windows.is_open(THIRD_MAC)
    clock.now += OPEN_S
    assert not windows.is_open(MAC)


def make_own(folder: Path, windows: BootWindows) -> OwnData:
    return OwnData(folder / "clients", windows, Volumes(folder / "clients", folder / "exports", lambda exports: None))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnData:
    monkeypatch.setattr(hostkeys, "KINDS", ("ed25519",))  # the others take seconds and are made alike
    windows = make_windows(Clock())
    windows.open(MAC)
    return make_own(tmp_path, windows)


def test_keys_are_made_once_and_are_roots_alone(own: OwnData, tmp_path: Path) -> None:
    first = own.make(TARGET, ASKED)
    found = members(first)
    assert found["files/etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert found["files/etc/ssh/ssh_host_ed25519_key.pub"].mode == 0o644
    assert "files/etc/timezone" in found
    kept = tmp_path / "clients" / MAC.dashed / "ssh"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept / "ssh_host_ed25519_key").stat().st_mode) == 0o600
    # The next daemon sends the same.
    windows = make_windows(Clock())
    windows.open(MAC)
    assert make_own(tmp_path, windows).make(TARGET, ASKED) == first


def test_without_openssh_a_client_boots_without_keys_of_its_own(
    own: OwnData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert set(contents(own.make(TARGET, ASKED))) == {"files/etc/timezone", "files/etc/localtime"}
    own.make(replace(TARGET, timezone="Europe/Rome"), ASKED)
    assert caplog.text.count("openssh-client") == 1


def test_two_clients_have_two_keys(own: OwnData) -> None:
    key = "files/etc/ssh/ssh_host_ed25519_key"
    own._windows.open(OTHER_MAC)
    asked = replace(ASKED, asker=Asker(lease=OTHER_MAC, neighbour=None))
    one, two = own.make(TARGET, ASKED), own.make(replace(TARGET, mac=OTHER_MAC), asked)
    assert contents(one)[key] != contents(two)[key]


def test_half_made_keys_of_a_daemon_that_was_killed_are_made_again(own: OwnData, tmp_path: Path) -> None:
    write(tmp_path / "clients" / MAC.dashed / ".ssh", {"ssh_host_ed25519_key": "half"})
    assert "PRIVATE KEY" in contents(own.make(TARGET, ASKED))["files/etc/ssh/ssh_host_ed25519_key"]


def test_who_is_not_the_client_gets_nothing(own: OwnData, tmp_path: Path) -> None:
    for asker in (Asker(lease=OTHER_MAC, neighbour=None), Asker(lease=MAC, neighbour=OTHER_MAC)):
        with pytest.raises(NotPermitted, match="may not have what is a's own"):
            own.make(TARGET, replace(ASKED, asker=asker))
    assert not (tmp_path / "clients").exists()


def test_a_client_behind_a_router_gets_its_settings_but_no_secret(own: OwnData, tmp_path: Path) -> None:
    asked = replace(ASKED, asker=Asker(lease=None, neighbour=None))
    assert set(contents(own.make(TARGET, asked))) == {"files/etc/timezone", "files/etc/localtime"}
    # Files of the operator's may be secrets; without them it would be another system.
    files = write(tmp_path / "files", {"all/root/etc/motd": ""})
    with pytest.raises(NotPermitted, match="nobody knows"):
        own.make(replace(TARGET, files=(files,)), asked)


def test_the_secret_of_an_iscsi_client_is_its_own_and_given_to_it_alone(tmp_path: Path) -> None:
    windows = make_windows(Clock())
    for mac in (MAC, OTHER_MAC):
        windows.open(mac)
    volumes = Volumes(tmp_path / "clients", tmp_path / "exports", lambda exports: None)
    own = OwnData(tmp_path / "clients", windows, volumes, chap_of=partial(chap_for, b"seed", always=True))
    target = replace(TARGET, host_keys=False, root=RootMode.ISCSI, hostname="lab-01")
    archive = own.make(target, ASKED)
    user, secret = contents(archive)["secrets/chap"].split()
    assert (user, len(secret)) == ("client.lab-01", 24)
    assert members(archive)["secrets/chap"].mode == 0o600
    other = replace(target, mac=OTHER_MAC, hostname="lab-02")
    theirs = contents(own.make(other, replace(ASKED, asker=Asker(lease=OTHER_MAC, neighbour=None))))["secrets/chap"]
    assert secret not in theirs
    with pytest.raises(NotPermitted):
        own.make(target, replace(ASKED, asker=Asker(lease=OTHER_MAC, neighbour=None)))
    for nobody in (target, replace(target, root=RootMode.NFS)):
        asked = replace(ASKED, asker=Asker(lease=None, neighbour=None)) if nobody is target else ASKED
        assert "secrets/chap" not in contents(own.make(nobody, asked))


def test_where_a_client_keeps_its_data_is_told_to_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = make_windows(Clock())
    windows.open(MAC)
    own = make_own(tmp_path, windows)
    asked_for = []

    def ensure(mac: MacAddress, address: IPv4Address, size_bytes: int) -> Path:
        asked_for.append((mac, address, size_bytes))
        return Path("/data/exports/.clients/a")

    monkeypatch.setattr(own._volumes, "ensure", ensure)
    target = replace(TARGET, host_keys=False, persist=("/home", "/etc/ssh", "/home/kim", "/home2"), persist_size="2g")
    for _ in range(2):
        archive = own.make(target, ASKED)
        assert contents(archive)["persist"] == "10.9.0.1:/data/exports/.clients/a\n/home\n/etc/ssh\n/home2\n"
        assert members(archive)["persist"].mode == 0o600
    assert asked_for == [(MAC, ASKED.address, 2 << 30)] * 2
    for asker in (Asker(lease=OTHER_MAC, neighbour=None), Asker(lease=None, neighbour=None)):
        with pytest.raises(NotPermitted):
            own.make(target, replace(ASKED, asker=asker))
    assert len(asked_for) == 2


def test_a_changed_file_is_sent_at_once(own: OwnData, tmp_path: Path) -> None:
    files = write(tmp_path / "files", {"all/root/etc/motd": "one"})
    target = replace(TARGET, files=(files,), host_keys=False)
    first = own.make(target, ASKED)
    assert own.make(replace(target, reason="another"), ASKED) is first
    write(files, {"all/root/etc/motd": "two"})
    assert contents(own.make(target, ASKED))["files/etc/motd"] == "two"
    (files / "all/root/etc/motd").unlink()
    assert "files/etc/motd" not in contents(own.make(target, ASKED))


def test_the_shelf_is_bounded(tmp_path: Path) -> None:
    shelf = Shelf(kept_max_bytes=25)
    sign = sign_of("x", [tmp_path])
    made = []

    def make() -> bytes:
        made.append(1)
        return b"0123456789"

    for key in ("a", "b", "c", "a"):
        shelf.get(key, sign, make)
    assert len(made) == 4
    shelf.get("c", sign, make)
    assert len(made) == 4
