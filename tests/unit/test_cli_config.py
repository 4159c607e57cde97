"""`netboot config`: a file's errors before the daemon meets them, and every setting with its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.config import Config, parse_config
from tests.cli_kit import Cli, as_nobody, open_to_all

FULL = """
data_dir = "/srv/netboot"
templates = "/etc/netboot/templates"
database = "postgresql+psycopg://netboot@db/netboot"
[[interface]]
name = "eth1"
dhcp = "own"
address = "10.0.0.1"
[[interface]]
name = "eth2"
[[subnet]]
network = "10.0.0.0/24"
pool = "10.0.0.100-10.0.0.200"
router = "10.0.0.1"
dns = ["10.0.0.1", "10.0.0.2"]
domain = "lab.example"
routes = ["10.20.0.0/16 via 10.0.0.254"]
lease_time_s = 600
[clients]
unknown = "image:debian"
[boot]
kernel_args = ["console=ttyS0", "quiet"]
shell = true
[tftp]
ports = "50000-50999"
[exports]
backend = "ganesha"
[loaders]
x64-uefi = "grub"
4711 = "site/odd.efi"
[profile.room]
inherits = "general"
loader = "ipxe/mine.efi"
loaders = { bios = "pxelinux" }
[profile.general]
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.mark.parametrize("text", ["", FULL], ids=["defaults", "full"])
def test_what_show_prints_is_the_same_configuration(cli: Cli, text: str) -> None:
    file = cli.data_dir / "netboot.toml"
    file.write_text(text)
    shown = cli.ok("config", "show", str(file)).stdout
    assert parse_config(shown) == parse_config(text)


def test_show_without_a_file_shows_the_defaults(cli: Cli) -> None:
    assert parse_config(cli.ok("config", "show").stdout) == Config()


def test_show_as_json(cli: Cli) -> None:
    file = cli.data_dir / "netboot.toml"
    file.write_text(FULL)
    shown = cli.ok("config", "show", str(file), "--json").json
    assert shown["subnet"][0]["pool"] == ["10.0.0.100-10.0.0.200"]
    assert shown["subnet"][0]["routes"] == ["10.20.0.0/16 via 10.0.0.254"]
    assert shown["interface"][1] == {"name": "eth2", "dhcp": None, "address": None}
    assert shown["http"] == {"port": 8080}


def test_check_of_a_right_file(cli: Cli) -> None:
    file = cli.data_dir / "netboot.toml"
    file.write_text(FULL)
    assert cli.ok("config", "check", str(file)).stdout == f"{file} is right\n"
    assert cli.ok("config", "check", str(file), "--json").json == {"file": str(file), "valid": True}


def test_check_names_file_key_and_neighbour(cli: Cli) -> None:
    file = cli.data_dir / "netboot.toml"
    file.write_text("[htp]\nport = 1\n")
    ran = cli("config", "check", str(file))
    assert ran.code == 2
    assert ran.stderr == f"netboot: error: {file}: htp is no setting\nhint: did you mean http?\n"
    assert cli("config", "check", str(cli.data_dir / "missing.toml")).code == 3


def test_file_that_may_not_be_read(cli: Cli) -> None:
    file = cli.data_dir / "netboot.toml"
    file.touch()
    open_to_all(cli.data_dir)
    file.chmod(0)
    with as_nobody():
        ran = cli("config", "check", str(file))
    assert (ran.code, ran.stderr) == (
        5,
        f"netboot: error: {file} may not be read\nhint: run as root, or make it readable\n",
    )


def test_file_that_is_a_folder(cli: Cli) -> None:
    ran = cli("config", "check", str(cli.data_dir))
    assert ran.code == 2
    assert "Is a directory" in ran.stderr
