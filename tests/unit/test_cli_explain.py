"""`netboot client explain` gives the daemon's own answer, and the true source of each value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netboot.config import DhcpMode
from netboot.model.event import Detail, Event, EventKind
from netboot.model.request import Firmware
from netboot.model.strategy import Fingerprint, Lesson, Strategy
from netboot.store import EventRepository, LeaseRepository, StrategyRepository, open_database
from tests.cli_kit import Cli, publish_image
from tests.dhcp_kit import active
from tests.kit import MAC

CONFIG = """
[boot]
kernel_args = ["console=ttyS0"]
upper = "1g"
[clients]
unknown = "menu"
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    publish_image(tmp_path)
    (tmp_path / "netboot.toml").write_text(CONFIG)
    return Cli(tmp_path)


def explain(cli: Cli, *words: str) -> tuple[dict[str, Any], list[tuple[str, Any, str]]]:
    shape = cli.ok("client", "explain", *words, "--json").json
    return shape, [(row["name"], row["value"], row["source"]) for row in shape.pop("settings")]


def test_assigned_client(cli: Cli, tmp_path: Path) -> None:
    cli.ok("client", "add", str(MAC), "--name", "lab-01", "--image", "debian", "--kernel-arg", "splash")
    shape, rows = explain(cli, "lab-01", "--config", str(tmp_path / "netboot.toml"))
    assert shape == {
        "client": f"client lab-01 ({MAC})",
        "target": "image",
        "result": "boots debian:1",
        "reason": "client lab-01 is assigned debian",
        "hint": "",
        "kernel_line": None,
        "script": None,
    }
    assert ("version", "debian:1", "tag latest of debian") in rows
    assert ("hostname", "lab-01", "client record") in rows
    assert ("upper", "1g", "configuration") in rows
    assert ("shell", False, "default") in rows
    assert ("loader", "auto", "default") in rows
    assert [row for row in rows if row[0] == "kernel_args"] == [
        ("kernel_args", ["quiet"], "image"),
        ("kernel_args", ["console=ttyS0"], "configuration"),
        ("kernel_args", ["splash"], "client record"),
    ]


SERVED = """
[[interface]]
name = "lan9"
address = "10.9.0.1"
[[interface]]
name = "lan8"
address = "10.8.0.1"
[[subnet]]
network = "10.9.0.0/24"
[[subnet]]
network = "10.8.0.0/24"
"""


@pytest.mark.parametrize(
    ("options", "root", "kind", "command"),
    [
        ("", "nfs:10.9.0.1:{data}/exports/debian/1", "ipxe", "kernel"),
        ("--address 10.8.0.7", "nfs:10.8.0.1:{data}/exports/debian/1", "ipxe", "kernel"),
        ("--root nfs-file", "nfs-file:10.9.0.1:{data}/exports/debian/1.ext4/root.ext4", "ipxe", "kernel"),
        ("--root iscsi --loader grub", "iscsi:10.9.0.1::3260:", "grub", "linux"),
    ],
)
def test_kernel_line_and_script_as_the_daemon_would_send_them(
    cli: Cli, tmp_path: Path, options: str, root: str, kind: str, command: str
) -> None:
    (tmp_path / "netboot.toml").write_text(SERVED)
    (tmp_path / "loaders/grub").mkdir(parents=True)
    (tmp_path / "loaders/grub/shimx64.efi").touch()
    cli.ok("client", "add", str(MAC), "--name", "a", "--image", "debian", *options.split())
    shape, rows = explain(cli, "a", "--config", str(tmp_path / "netboot.toml"))
    wanted = root.format(data=tmp_path.resolve())
    (value,) = [value for name, value, _ in rows if name == "netboot.root"]
    assert value.startswith(wanted)
    assert f"netboot.root={value}" in shape["kernel_line"]
    assert shape["script"]["kind"] == kind
    assert command in shape["script"]["text"]
    assert all(word in shape["script"]["text"] for word in shape["kernel_line"] if "%" not in word)
    said = cli.ok("client", "explain", "a", "--config", str(tmp_path / "netboot.toml")).stdout
    assert " ".join(shape["kernel_line"]) in said


def test_a_disk_with_its_own_loader(cli: Cli, tmp_path: Path) -> None:
    uri = "iscsi:10.9.0.2:::1:iqn.2010-04.org.example:till-2"
    cli.ok("client", "add", str(MAC), "--name", "till-2", "--image", "debian", "--san", uri)
    (tmp_path / "netboot.toml").write_text(SERVED)
    shape, rows = explain(cli, "till-2", "--config", str(tmp_path / "netboot.toml"))
    assert (shape["target"], shape["result"], shape["kernel_line"]) == ("san", f"boots from {uri}", None)
    assert shape["reason"].endswith("which goes before its image debian")
    assert ("san", uri, "client record") in rows
    assert ("image", "debian", "client record") in rows
    assert ("initiator", "iqn.2018-05.arpa.home.netboot:client.till-2", "hostname") in rows
    assert ("loader_file", "ipxe/snponly.efi", "loader and architecture") in rows
    assert shape["script"]["kind"] == "ipxe"
    assert f"sanhook --drive 0x80 {uri} ||" in shape["script"]["text"]
    said = cli.ok("client", "explain", "till-2", "--config", str(tmp_path / "netboot.toml")).stdout
    assert "sanboot --drive 0x80" in said
    assert "kernel line" not in said
    _, rows = explain(cli, "till-2")
    assert "--config" in next(source for name, _, source in rows if name == "script")
    cli.ok("client", "set", "till-2", "--loader", "grub")
    shape, _ = explain(cli, "till-2")
    assert (shape["target"], "iPXE alone" in shape["reason"]) == ("denied", True)


def test_without_the_daemons_file_it_says_what_is_missing(cli: Cli) -> None:
    cli.ok("client", "add", str(MAC), "--name", "a", "--image", "debian")
    _, rows = explain(cli, "a")
    (source,) = [source for name, _, source in rows if name == "netboot.root"]
    assert "--config" in source


def test_settings_of_the_client_itself(cli: Cli) -> None:
    words = "--name a --image debian:1 --loader pxelinux --shell --address 10.0.0.5"
    cli.ok("client", "add", str(MAC), *words.split())
    _, rows = explain(cli, "a")
    for expected in (
        ("version", "debian:1", "client record"),
        ("loader", "pxelinux", "client record"),
        ("shell", True, "client record"),
        ("address", "10.0.0.5", "client record"),
        ("upper", "50%", "default"),
        ("persistent", "off", "default"),
    ):
        assert expected in rows


def test_machine_id_is_stable(cli: Cli) -> None:
    cli.ok("client", "add", str(MAC), "--name", "a", "--image", "debian")
    ids = [{name: value for name, value, _ in explain(cli, "a")[1]}["machine_id"] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 32


def test_client_without_image_is_told_the_command(cli: Cli) -> None:
    cli.ok("client", "add", str(MAC), "--name", "a")
    shape, _ = explain(cli, "a")
    assert (shape["target"], shape["hint"]) == ("denied", "assign one: netboot client set a --image IMAGE")
    assert "boots nothing" in cli.ok("client", "explain", "a").stdout


def test_unknown_client_by_its_mac_address(cli: Cli, tmp_path: Path) -> None:
    open_database(tmp_path).dispose()
    assert explain(cli, str(MAC))[0]["target"] == "denied"
    shape, rows = explain(cli, str(MAC), "--config", str(tmp_path / "netboot.toml"))
    assert (shape["target"], shape["result"]) == ("menu", "is shown a menu of debian:1")
    assert ("unknown clients get", "menu", "configuration") in rows


def test_unknown_name_is_not_found(cli: Cli, tmp_path: Path) -> None:
    open_database(tmp_path).dispose()
    assert cli("client", "explain", "nobody").code == 3


def test_architecture_is_the_one_last_seen(cli: Cli, tmp_path: Path) -> None:
    cli.ok("client", "add", str(MAC), "--name", "a", "--image", "debian")
    assert ("arch", "X64_UEFI (7)", "assumed, since the client was never seen") in explain(cli, "a")[1]
    engine = open_database(tmp_path)
    EventRepository(engine).append([Event(at=1.0, kind=EventKind.DISCOVERED, mac=MAC, details={"arch": 11})])
    engine.dispose()
    shape, rows = explain(cli, "a")
    assert ("arch", "ARM64_UEFI (11)", "the client, when it was last seen") in rows
    assert shape["target"] == "denied"


def test_strategy_in_force_and_who_chose_it(cli: Cli, tmp_path: Path) -> None:
    """An admin goes before what its make taught, and that before the first that there is."""

    def strategy() -> tuple[Any, str]:
        return next((value, source) for name, value, source in explain(cli, str(MAC))[1] if name == "strategy")

    make = Fingerprint(Firmware.UEFI, 7, "52:54:00", "PXEClient")
    engine = open_database(tmp_path)
    assert strategy() == (None, "its firmware, which has not asked yet or knows one way alone")
    details: dict[str, Detail] = {"fingerprint": str(make), "address": "10.9.0.100"}
    EventRepository(engine).append([Event(at=1.0, kind=EventKind.OFFERED, mac=MAC, details=details)])
    assert strategy() == ("direct", "default")
    lesson = Lesson(strategy=Strategy.INVITE, since=1.0, reason="direct failed")
    StrategyRepository(engine).replace({(DhcpMode.OWN, make): lesson})
    engine.dispose()
    assert strategy() == ("invite", f"its make {make}: direct failed; none booted by it yet")
    cli.ok("client", "add", str(MAC), "--name", "a", "--strategy", "plain")
    assert strategy() == ("plain", "client record")
    assert "strategy" in cli.ok("client", "explain", "a").stdout


def test_values_of_profiles_name_the_profile(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(
        CONFIG + '[profile.base]\nupper = "3g"\n'
        '[profile.room]\ninherits = "base"\nloader = "grub"\nkernel_args = ["room"]\nshell = true\n'
    )
    cli.ok("client", "add", str(MAC), *["--name", "a", "--image", "debian", "--profile", "room", "--kernel-arg", "own"])
    _, rows = explain(cli, "a", "--config", str(tmp_path / "profiles.toml"))
    for expected in (
        ("profiles", ["room"], "client record"),
        ("loader", "grub", "profile room"),
        ("loader_file", "grub/shimx64.efi", "loader and architecture"),
        ("upper", "3g", "profile base"),
        ("shell", True, "profile room"),
        ("kernel_args", ["console=ttyS0"], "configuration"),
        ("kernel_args", ["room"], "profile room"),
        ("kernel_args", ["own"], "client record"),
    ):
        assert expected in rows
    shape, _ = explain(cli, "a")
    assert shape["target"] == "denied"
    assert shape["hint"].startswith("write [profile.room] there")


def test_a_loader_file_of_the_data_directory(cli: Cli, tmp_path: Path) -> None:
    cli.ok("client", "add", str(MAC), *["--name", "a", "--image", "debian", "--loader", "ipxe/mine.efi"])
    assert explain(cli, "a")[0]["reason"] == "the loader ipxe/mine.efi is not on this server"
    (tmp_path / "loaders/ipxe").mkdir(parents=True)
    (tmp_path / "loaders/ipxe/mine.efi").touch()
    assert ("loader_file", "ipxe/mine.efi", "loader and architecture") in explain(cli, "a")[1]


@pytest.mark.parametrize(
    ("client_id", "address", "source"),
    [
        (b"kiosk", "10.9.0.50", "configuration: reserved for client_id kiosk"),
        (b"\0kiosk", "10.9.0.50", "configuration: reserved for client_id kiosk"),
        (b"other", "10.9.0.50", "lease from the pool of 10.9.0.0/24"),
        (None, "10.9.0.51", "configuration: reserved for circuit_id 0x0102, remote_id sw-1"),
        (None, "10.9.0.101", "lease from the pool of 10.9.0.0/24"),
        (None, "10.8.0.101", "lease"),
    ],
)
def test_where_an_address_comes_from(
    cli: Cli, tmp_path: Path, client_id: bytes | None, address: str, source: str
) -> None:
    file = tmp_path / "nets.toml"
    file.write_text(
        '[[subnet]]\nnetwork = "10.9.0.0/24"\n[[reservation]]\naddress = "10.9.0.50"\nclient_id = "kiosk"\n'
        '[[reservation]]\naddress = "10.9.0.51"\ncircuit_id = "0x0102"\nremote_id = "sw-1"\n'
    )
    leases = LeaseRepository(open_database(tmp_path))
    assert ("address", "from the pool", "default") in explain(cli, str(MAC), "--config", str(file))[1]
    leases.commit([active(address, client_id=client_id)])
    assert ("address", address, source) in explain(cli, str(MAC), "--config", str(file))[1]
    cli.ok("client", "add", str(MAC), "--name", "lab-01", "--address", "10.9.0.9")
    rows = explain(cli, "lab-01", "--config", str(file))[1]
    assert [row for row in rows if row[0] == "address"] == [
        ("address", "10.9.0.9", "client record"),
        ("address", address, source),
    ]
