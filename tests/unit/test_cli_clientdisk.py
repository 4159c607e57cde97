"""`netboot client disk`, where nobody is logged in; tests/lab/test_own_disks.py has those who are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_kit import Cli
from tests.kit import MAC, OTHER_MAC

GIB = 1 << 30


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path)
    cli.ok("client", "add", str(MAC), "--name", "lab-01")
    for mac, name in (
        (MAC, "debian.3.keep.ext4"),
        (MAC, "debian.4.keep.ext4"),
        (MAC, "debian.4.reset-7.ext4"),
        (OTHER_MAC, "debian.4.keep.ext4"),
    ):
        folder = tmp_path / "clients" / mac.dashed / "disks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as made:
            made.truncate(GIB)
        (folder / name).with_suffix(".json").write_text("{}")
    return cli


def names(cli: Cli) -> list[str]:
    return sorted(str(each.relative_to(cli.data_dir)) for each in cli.data_dir.glob("clients/*/disks/*"))


def test_disks_are_listed_with_what_they_take(cli: Cli) -> None:
    listed = cli.ok("client", "disk", "list", "--json").json
    assert [(each["name"], each["version"], each["persistent"], each["generation"]) for each in listed] == [
        ("lab-01", "debian:3", "keep", None),
        ("lab-01", "debian:4", "keep", None),
        ("lab-01", "debian:4", "reset", 7),
        (None, "debian:4", "keep", None),
    ]
    assert {(each["size_bytes"], each["taken_bytes"], each["is_used"]) for each in listed} == {(GIB, 0, False)}
    assert "reset 7" in cli.ok("client", "disk", "list").stdout


def test_disks_over_a_version_are_removed_alone(cli: Cli) -> None:
    gone = cli.ok("client", "disk", "remove", "lab-01", "--version", "debian:3")
    assert gone.stdout == f"removed the disk of {MAC} over debian:3\n"
    assert len(names(cli)) == 6
    assert [each["version"] for each in cli.ok("client", "disk", "remove", "lab-01", "--json").json] == ["debian:4"] * 2
    assert names(cli) == [
        f"clients/{OTHER_MAC.dashed}/disks/debian.4.keep.ext4",
        f"clients/{OTHER_MAC.dashed}/disks/debian.4.keep.json",
    ]
    cli.ok("client", "disk", "remove", str(OTHER_MAC))
    assert names(cli) == []


def test_a_disk_that_is_not_there_is_told(cli: Cli) -> None:
    ran = cli("client", "disk", "remove", "lab-01", "--version", "debian:5")
    assert (ran.code, f"{MAC} has no disk over debian:5" in ran.stderr) == (3, True)
    assert cli("client", "disk", "remove", "nobody").code == 3


def test_what_else_is_kept_of_a_client_is_not_removed_before_its_disks(cli: Cli) -> None:
    ran = cli("client", "data", "remove", "lab-01", "--force")
    assert (ran.code, f"netboot client disk remove {MAC}" in ran.stderr) == (4, True)
    assert len(names(cli)) == 8


def test_a_disk_moves_with_its_clients_network_card(cli: Cli) -> None:
    cli.ok("client", "disk", "remove", str(OTHER_MAC))
    cli.ok("client", "set", "lab-01", "--mac", "52:54:00:00:00:77")
    listed = cli.ok("client", "disk", "list", "--json").json
    assert {(each["mac"], each["name"]) for each in listed} == {("52:54:00:00:00:77", "lab-01")}
