"""`netboot image` and `netboot lease`: reads, and what a build refuses before it begins."""

from __future__ import annotations

import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.model.lease import Lease, LeaseState
from netboot.store import LeaseRepository, open_database
from tests.cli_kit import Cli, publish_image
from tests.kit import MAC, OTHER_MAC


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_no_image_yet(cli: Cli) -> None:
    assert cli.ok("image", "list", "--json").json == []
    ran = cli("image", "show", "debian")
    assert (ran.code, "netboot image build debian" in ran.stderr) == (3, True)


def test_versions_are_listed(cli: Cli) -> None:
    publish_image(cli.data_dir)
    publish_image(cli.data_dir)
    assert [each["number"] for each in cli.ok("image", "list", "--json").json] == [1, 2]
    table = cli.ok("image", "list").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["IMAGE", "debian:1", "debian:2"]


def test_show_names_the_newest_or_one(cli: Cli) -> None:
    one, two = publish_image(cli.data_dir), publish_image(cli.data_dir)
    shown = cli.ok("image", "show", "debian", "--json").json
    assert (shown["number"], shown["digest"]) == (2, str(two.digest))
    assert cli.ok("image", "show", "debian:1", "--json").json["files"]["kernel"] == {
        "path": str(one.kernel.path),
        "size_bytes": one.kernel.size_bytes,
        "digest": str(one.kernel.digest),
    }
    assert "debian:2" in cli.ok("image", "show", "debian").stdout


def test_build_of_what_is_there_does_nothing(cli: Cli) -> None:
    publish_image(cli.data_dir, "debian-minimal")
    ran = cli.ok("image", "build", "debian-minimal", "--if-missing")
    assert ran.stdout == "debian-minimal:1 is there already\n"


def test_build_names_the_recipes_that_there_are(cli: Cli) -> None:
    ran = cli("image", "build", "debian-minmal")
    assert (ran.code, "debian-minimal" in ran.stderr) == (3, True)


def test_leases_with_their_state_in_effect(cli: Cli) -> None:
    cli.ok("client", "add", str(MAC), "--name", "lab-01")
    engine = open_database(cli.data_dir)
    past, future = 1000.0, time.time() + 1000
    LeaseRepository(engine).commit(
        [
            Lease(
                address=IPv4Address("10.0.0.10"), mac=MAC, state=LeaseState.ACTIVE, expires_at=future, client_id=b"\1\2"
            ),
            Lease(address=IPv4Address("10.0.0.9"), mac=OTHER_MAC, state=LeaseState.ACTIVE, expires_at=past),
            Lease(address=IPv4Address("10.0.0.11"), mac=OTHER_MAC, state=LeaseState.RELEASED, expires_at=past),
        ]
    )
    engine.dispose()
    leases = cli.ok("lease", "list", "--json").json
    assert [(each["address"], each["client"], each["state"]) for each in leases] == [
        ("10.0.0.9", None, "expired"),
        ("10.0.0.10", "lab-01", "active"),
        ("10.0.0.11", None, "released"),
    ]
    assert leases[1]["client_id"] == "0102"
    assert next(line.split()[0] for line in cli.ok("lease", "list").stdout.splitlines()) == "ADDRESS"
