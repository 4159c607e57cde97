"""`netboot client`: what is printed, what is changed, and what is refused with a remedy."""

from __future__ import annotations

import shlex
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from typer.testing import CliRunner

from netboot.cli.main import make_app
from netboot.config.paths import DataDir
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.store import LeaseRepository, open_database
from tests.cli_kit import Cli, as_nobody, open_to_all, publish_image
from tests.personal_kit import write

MAC = "52:54:00:00:00:01"
OTHER = "52:54:00:00:00:02"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    publish_image(tmp_path)
    return Cli(tmp_path)


def test_add_then_show(cli: Cli) -> None:
    added = cli.ok("client", "add", "5254.0000.0001", "--name", "lab-01", "--image", "debian")
    assert added.stdout == f"added client lab-01 ({MAC}), boots debian\n"
    shown = cli.ok("client", "show", "lab-01", "--json").json
    assert shown.pop("created_at") > 1_700_000_000
    assert shown == {
        "mac": MAC,
        "name": "lab-01",
        "image": "debian",
        "san": None,
        "profiles": [],
        "loader": "auto",
        "address": None,
        "kernel_args": [],
        "shell": False,
        "strategy": None,
        "root": None,
        "root_format": None,
        "verify": None,
        "upper": None,
        "persistent": None,
        "locale": None,
        "keyboard": None,
        "timezone": None,
        "host_keys": None,
        "persist": None,
        "persist_size": None,
        "told": None,
    }


def test_every_option_of_add_is_recorded(cli: Cli) -> None:
    options = "--name k --image debian:1 --address 10.0.0.5 --loader grub --kernel-arg a=1 --kernel-arg b --shell"
    added = cli.ok("client", "add", MAC, *options.split(), "--strategy", "plain", "--json").json
    assert {**added, "told": None} == cli.ok("client", "show", MAC, "--json").json
    assert added["strategy"] == "plain"
    assert (added["image"], added["address"], added["loader"]) == ("debian:1", "10.0.0.5", "grub")
    assert (added["kernel_args"], added["shell"]) == (["a=1", "b"], True)


def test_wishes_that_are_not_named_stay(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "k", "--root", "nfs-file", "--verify", "--upper", "zram:50%")
    cli.ok("client", "set", "k", "--root-format", "erofs", "--root", "none")
    shown = cli.ok("client", "show", "k", "--json").json
    wishes = {key: shown[key] for key in ("root", "root_format", "verify", "upper")}
    assert wishes == {"root": None, "root_format": "erofs", "verify": True, "upper": "zram:50%"}
    removed = cli.ok("client", "remove", "k").stdout
    assert "--root-format erofs --verify --upper zram:50%" in removed


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--root", "usb", '"nfs-file"'),
        ("--root-format", "ntfs", '"erofs"'),
        ("--upper", "disk:a/b", "disk:scratch"),
        ("--locale", "de;id", "de_DE.UTF-8"),
        ("--keyboard", "de nodeadkeys", "de-nodeadkeys"),
        ("--timezone", "../../etc/passwd", "Europe/Berlin"),
        ("--persist", "/", "absolute path"),
        ("--persist", "home", "absolute path"),
        ("--persist", "/home/../etc", "absolute path"),
        ("--persist", "/a b", "absolute path"),
        ("--persist", "/etc", "/etc/ssh"),
        ("--persist", "/usr", "/etc/ssh"),
        ("--persist", "/run/x", "/etc/ssh"),
        ("--persist-size", "1m", "16m"),
        ("--persist-size", "1", "16m"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(cli: Cli, option: str, value: str, said: str) -> None:
    failed = cli("client", "add", MAC, "--name", "k", option, value)
    assert failed.code == 2
    assert f"{option} must" in failed.stderr
    assert said in failed.stderr


SAN = "iscsi:10.9.0.2::::iqn.2010-04.org.example:till-2"


def test_a_disk_with_its_own_loader_is_assigned_shown_and_taken_away(cli: Cli) -> None:
    added = cli.ok("client", "add", MAC, "--name", "till-2", "--san", "iscsi:10.9.0.2:6:3260:0:" + SAN.split("::::")[1])
    assert added.stdout == f"added client till-2 ({MAC}), boots from {SAN}\n"
    assert cli.ok("client", "show", "till-2", "--json").json["san"] == SAN
    assert SAN in cli.ok("client", "show", "till-2").stdout
    (listed,) = cli.ok("client", "list", "--json").json
    assert listed["standing"]["next"] == SAN
    # What is not named stays, and an image waits until the disk is taken away.
    cli.ok("client", "set", "till-2", "--image", "debian")
    assert cli.ok("client", "list", "--json").json[0]["standing"]["next"] == SAN
    removed = cli.ok("client", "remove", "till-2").stdout
    assert f"--image debian --san {SAN}" in removed
    command = removed.split("to bring it back: netboot ")[1].splitlines()[0]
    assert cli.ok(*shlex.split(command), "--json").json["san"] == SAN
    assert f"san: {SAN} -> -" in cli.ok("client", "set", "till-2", "--san", "none").stdout
    assert cli.ok("client", "show", "till-2", "--json").json["san"] is None
    assert cli.ok("client", "list", "--json").json[0]["standing"]["next"] == "debian:1"


def test_paths_that_are_kept_are_replaced_and_taken_away(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "k", "--persist", "/home", "--persist", "/etc/ssh", "--persist-size", "2G")
    shown = cli.ok("client", "show", "k", "--json").json
    assert (shown["persist"], shown["persist_size"]) == (["/home", "/etc/ssh"], "2g")
    changed = cli.ok("client", "set", "k", "--persist", "/var/lib/app").stdout
    assert "persist: /home /etc/ssh -> /var/lib/app" in changed
    removed = cli.ok("client", "remove", "k").stdout
    assert "--persist /var/lib/app --persist-size 2g" in removed
    cli.ok("client", "add", MAC, "--name", "k", "--persist", "/home")
    cli.ok("client", "set", "k", "--persist", "none")
    assert cli.ok("client", "show", "k", "--json").json["persist"] is None


@pytest.fixture
def kept(cli: Cli, tmp_path: Path) -> Path:
    """The folder of a client that keeps something."""
    cli.ok("client", "add", MAC, "--name", "k")
    folder = tmp_path / "clients" / MAC.replace(":", "-")
    write(folder, {"ssh/ssh_host_ed25519_key": "secret"})
    with (folder / "volume.ext4").open("wb") as file:
        file.truncate(1 << 30)
    return folder


def test_what_clients_keep_is_listed_and_removed(cli: Cli, kept: Path) -> None:
    assert cli.ok("client", "data", "list", "--json").json == [
        {
            "mac": MAC,
            "name": "k",
            "has_keys": True,
            "size_bytes": 1 << 30,
            "taken_bytes": 0,
            "is_mounted": False,
        }
    ]
    assert MAC in cli.ok("client", "data", "list").stdout
    assert cli.ok("client", "data", "remove", "k").stdout == f"removed what was kept of {MAC}\n"
    assert not kept.exists()
    assert list(kept.parent.iterdir()) == []
    assert cli.ok("client", "data", "list", "--json").json == []
    again = cli("client", "data", "remove", "k")
    assert (again.code, f"nothing is kept of {MAC}" in again.stderr) == (3, True)


def test_what_a_client_kept_outlives_it_and_is_removed_by_its_address(cli: Cli, kept: Path) -> None:
    assert f"netboot client data remove {MAC}" in cli.ok("client", "remove", "k").stdout
    assert cli.ok("client", "data", "list", "--json").json[0]["name"] is None
    cli.ok("client", "data", "remove", MAC)
    assert not kept.exists()
    assert cli("client", "data", "remove", "k").code == 3


def test_what_a_client_keeps_goes_along_to_its_new_card(cli: Cli, kept: Path) -> None:
    moved = kept.with_name(OTHER.replace(":", "-"))
    moved.mkdir()
    refused = cli("client", "set", "k", "--mac", OTHER)
    assert (refused.code, f"netboot client data remove {OTHER}" in refused.stderr) == (4, True)
    assert cli.ok("client", "show", "k", "--json").json["mac"] == MAC
    moved.rmdir()
    cli.ok("client", "add", OTHER, "--name", "other")
    assert cli("client", "set", "k", "--mac", OTHER).code == 4
    assert kept.is_dir()
    cli.ok("client", "remove", "other")
    cli.ok("client", "set", "k", "--mac", OTHER)
    assert (moved / "ssh/ssh_host_ed25519_key").read_text() == "secret"


def test_list_is_a_table_by_name(cli: Cli) -> None:
    cli.ok("client", "add", OTHER, "--name", "b")
    cli.ok("client", "add", MAC, *["--name", "a", "--image", "debian", "--profile", "room", "--profile", "lab"])
    assert cli.ok("client", "list").stdout.splitlines() == [
        "NAME  MAC                IMAGE   RUNS  NEXT      REBOOT  ADDRESS  PROFILES  LOADER",
        "a     52:54:00:00:00:01  debian  -     debian:1  -       -        room lab  auto",
        "b     52:54:00:00:00:02  -       -     -         -       -        -         auto",
    ]


REFUSED_ADDS = [
    (["52:54:00:00:00:0g", "--name", "x"], 2, "is not a MAC address", "six pairs"),
    (["01:00:5e:00:00:01", "--name", "x"], 2, "group address", "network card"),
    ([OTHER, "--name", "Not_A_Name"], 2, "hostname", "lower-case"),
    ([OTHER, "--name", "x", "--image", "debain"], 3, "there is no image debain", "debian"),
    ([OTHER, "--name", "x", "--image", "debian:7"], 3, "no version 7", "debian:1"),
    ([OTHER, "--name", "x", "--image", "a b"], 2, "cannot be an image's name", "lower-case"),
    ([OTHER, "--name", "x", "--address", "10.0.0.256"], 2, "not an IPv4 address", "10.9.0.50"),
    ([OTHER, "--name", "x", "--address", "224.0.0.1"], 2, "no address that a client can have", "subnet"),
    ([OTHER, "--name", "x", "--kernel-arg", "two words"], 2, "'two words'", "kernel arguments"),
    ([OTHER, "--name", "x", "--kernel-arg", 'a="b'], 2, "kernel line", "quotes"),
    ([OTHER, "--name", "x", "--kernel-arg", "${net0/mac}"], 2, "iPXE", "kernel arguments"),
    ([OTHER, "--name", "x", "--loader", "lilo"], 2, "'lilo' is no loader", "name a family"),
    ([OTHER, "--name", "x", "--loader", "../x.efi"], 2, "cannot be the name of a loader", "folder of loaders"),
    ([OTHER, "--name", "x", "--profile", "A b"], 2, "cannot be a profile's name", "lower-case"),
    ([OTHER, "--name", "x", "--san", "iscsi:nas"], 2, "names no iSCSI disk", "iscsi:10.9.0.2:::1:iqn."),
    ([OTHER, "--name", "x", "--san", f"{SAN} shell"], 2, "no name of iSCSI", "iscsi:10.9.0.2:::1:iqn."),
    ([OTHER, "--name", "x", "--strategy", "force"], 2, "'force' is no strategy", "auto, direct"),
    ([MAC, "--name", "x"], 4, "already client lab-01", "netboot client set lab-01"),
    ([OTHER, "--name", "lab-01"], 4, "belongs to the client with 52:54:00:00:00:01", "--name NEW"),
    ([OTHER, "--name", "x", "--address", "10.0.0.9"], 4, "reserved for client lab-01", "--address none"),
    ([OTHER], 2, "--name", "netboot client add --help"),
]


@pytest.mark.parametrize(("words", "code", "says", "hint"), REFUSED_ADDS, ids=lambda each: str(each)[:40])
def test_refused_additions_name_the_fix_and_change_nothing(
    cli: Cli, words: list[str], code: int, says: str, hint: str
) -> None:
    cli.ok("client", "add", MAC, "--name", "lab-01", "--address", "10.0.0.9")
    before = cli.ok("client", "list", "--json").stdout
    ran = cli("client", "add", *words)
    assert ran.code == code
    assert ran.stdout == ""
    error, remedy = ran.stderr.splitlines()
    assert error.startswith("netboot: error: ")
    assert says in error
    assert remedy.startswith("hint: ")
    assert hint in remedy
    assert cli.ok("client", "list", "--json").stdout == before


FILE = """
[[interface]]
name = "eth1"
address = "10.9.0.1"
[[subnet]]
network = "10.9.0.0/24"
router = "10.9.0.254"
[[reservation]]
address = "10.9.0.50"
circuit_id = "port 7"
"""
TAKEN = [
    ("10.9.0.50", 4, "10.9.0.50 is reserved for circuit_id port 7", "[[reservation]]"),
    ("10.9.0.1", 2, "a server's", "choose another"),
    ("10.9.0.254", 2, "the router's", "choose another"),
    ("10.9.0.101", 4, f"lent to {OTHER} until", "netboot lease list"),
    ("10.9.0.102", 4, f"{OTHER} found a stranger", "netboot lease list"),
]


@pytest.fixture
def lent(cli: Cli) -> Cli:
    """Addresses that others have, the client's own among them, and those of others that are free again."""
    soon, over = time.time() + 100, time.time() - 100
    leases = [
        (101, OTHER, LeaseState.ACTIVE, soon),
        (102, OTHER, LeaseState.DECLINED, soon),
        (103, OTHER, LeaseState.RELEASED, soon),
        (104, OTHER, LeaseState.ACTIVE, over),
        (105, MAC, LeaseState.ACTIVE, soon),
    ]
    engine = open_database(cli.data_dir)
    LeaseRepository(engine).commit(
        [
            Lease(address=IPv4Address(f"10.9.0.{last}"), mac=MacAddress.parse(mac), state=state, expires_at=until)
            for last, mac, state, until in leases
        ]
    )
    engine.dispose()
    (cli.data_dir / "netboot.toml").write_text(FILE)
    return cli


@pytest.mark.parametrize(("address", "code", "says", "hint"), TAKEN)
def test_an_address_that_is_anothers_is_refused(lent: Cli, address: str, code: int, says: str, hint: str) -> None:
    config = ("--config", str(lent.data_dir / "netboot.toml"))
    refused = lent("client", "add", MAC, "--name", "a", "--address", address, *config)
    assert refused.code == code
    assert says in refused.stderr
    assert hint in refused.stderr
    assert lent.ok("client", "list", "--json").json == []
    lent.ok("client", "add", MAC, "--name", "a")
    refused = lent("client", "set", "a", "--address", address, *config)
    assert (refused.code, says in refused.stderr) == (code, True)
    assert lent.ok("client", "show", "a", "--json").json["address"] is None


@pytest.mark.parametrize("address", ["10.9.0.103", "10.9.0.104", "10.9.0.105", "10.9.0.60"])
def test_an_address_that_is_free_or_the_clients_own_may_be_reserved(lent: Cli, address: str) -> None:
    lent.ok("client", "add", MAC, "--name", "a", "--address", address, "--config", str(lent.data_dir / "netboot.toml"))
    # A changed card: the address is lent to the old one still.
    lent.ok("client", "set", "a", "--mac", "52:54:00:00:00:03", "--address", address)


def test_the_file_is_that_of_the_daemon_which_serves_from_there(lent: Cli) -> None:
    lock = DataDir(lent.data_dir).lock
    lock.parent.mkdir()
    lock.write_text(f"{lent.data_dir / 'netboot.toml'}\n")
    assert "circuit_id port 7" in lent("client", "add", MAC, "--name", "a", "--address", "10.9.0.50").stderr
    (lent.data_dir / "netboot.toml").write_text("broken")
    lent.ok("client", "add", MAC, "--name", "a")  # asks for no address
    assert "not valid TOML" in lent("client", "set", "a", "--address", "10.9.0.50").stderr
    (lent.data_dir / "netboot.toml").unlink()
    lent.ok("client", "set", "a", "--address", "10.9.0.50")


def test_unknown_image_names_the_commands_that_help(cli: Cli) -> None:
    ran = cli("client", "add", MAC, "--name", "x", "--image", "nothing-like-it")
    assert "netboot image list" in ran.stderr
    assert "netboot image build" in ran.stderr


def test_set_says_what_changed(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "lab-01", "--image", "debian", "--kernel-arg", "old")
    ran = cli.ok("client", "set", "lab-01", "--image", "none", "--name", "lab-09", "--shell", "--kernel-arg", "new")
    assert ran.stdout.splitlines() == [
        "client lab-09: changed",
        "  name: lab-01 -> lab-09",
        "  image: debian -> -",
        "  kernel_args: old -> new",
        "  shell: no -> yes",
    ]
    assert cli("client", "show", "lab-01").code == 3


def test_set_takes_things_away(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "a", "--kernel-arg", "x", "--address", "10.0.0.9", "--shell")
    changed = cli.ok("client", "set", "a", "--no-kernel-args", "--address", "none", "--no-shell", "--json").json
    assert (changed["kernel_args"], changed["address"], changed["shell"]) == ([], None, False)


def test_set_follows_a_changed_network_card(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "a")
    cli.ok("client", "set", "a", "--mac", OTHER)
    assert cli.ok("client", "show", OTHER, "--json").json["name"] == "a"


def test_set_of_what_is_so_already(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "a")
    assert "nothing changed" in cli.ok("client", "set", "a", "--name", "a").stdout


def test_set_without_a_change_is_refused(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "a")
    ran = cli("client", "set", "a")
    assert (ran.code, "nothing to change" in ran.stderr) == (2, True)


def test_set_that_is_refused_changes_nothing(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "a")
    cli.ok("client", "add", OTHER, "--name", "b")
    before = cli.ok("client", "list", "--json").stdout
    assert cli("client", "set", "b", "--shell", "--name", "a").code == 4
    assert cli("client", "set", "b", "--shell", "--image", "missing").code == 3
    assert cli("client", "set", "c", "--shell").code == 3
    assert cli.ok("client", "list", "--json").stdout == before


def test_remove_prints_the_way_back(cli: Cli) -> None:
    words = "--name a --image debian:1 --address 10.0.0.5 --loader pxelinux --kernel-arg x=1 --strategy pi --shell"
    added = cli.ok("client", "add", MAC, *words.split(), "--json").json
    removed = cli.ok("client", "remove", "a").stdout.splitlines()
    assert removed[0] == f"removed client a ({MAC})"
    assert cli.ok("client", "list", "--json").json == []
    back = shlex.split(removed[1].removeprefix("to bring it back: "))
    again = cli.ok(*back[1:], "--json").json
    assert {**again, "created_at": 0} == {**added, "created_at": 0}


def test_data_dir_after_the_verb_counts_more(cli: Cli, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    cli.ok("client", "add", MAC, "--name", "there", "--data-dir", other)
    assert cli("client", "list").code == 3
    assert cli.ok("client", "list", "--json", "--data-dir", other).json[0]["name"] == "there"


def test_data_dir_comes_from_the_environment(tmp_path: Path) -> None:
    runner = CliRunner(env={"NETBOOT_DATA_DIR": str(tmp_path)})
    assert runner.invoke(make_app(), ["client", "add", MAC, "--name", "a"]).exit_code == 0
    assert runner.invoke(make_app(), ["client", "show", "a", "--json"]).exit_code == 0
    assert (tmp_path / "netboot.db").exists()


def test_database_by_url(tmp_path: Path) -> None:
    runner = CliRunner(env={"NETBOOT_DATABASE": f"sqlite:///{tmp_path}/elsewhere.db"})
    assert runner.invoke(make_app(), ["client", "add", MAC, "--name", "a"]).exit_code == 0
    assert runner.invoke(make_app(), ["client", "list"]).stdout.startswith("NAME")
    assert (tmp_path / "elsewhere.db").exists()


def test_directory_without_rights_names_the_way_out(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o500)
    with as_nobody():
        ran = Cli(private / "data")("client", "add", MAC, "--name", "x")
    assert ran.code == 5
    assert "--data-dir" in ran.stderr


def test_files_that_may_not_be_read_are_no_crash(tmp_path: Path) -> None:
    publish_image(tmp_path)
    open_to_all(tmp_path)
    (tmp_path / "images/debian").chmod(0o700)
    with as_nobody():
        ran = Cli(tmp_path)("image", "list")
    assert ran.code == 5
    assert str(tmp_path / "images/debian") in ran.stderr


def test_profiles_are_replaced_and_taken_away(cli: Cli) -> None:
    cli.ok("client", "add", MAC, "--name", "a", "--profile", "room", "--loader", "ipxe/mine.efi")
    changed = cli.ok("client", "set", "a", "--profile", "lab", "--profile", "room", "--profile", "lab", "--json").json
    assert (changed["profiles"], changed["loader"]) == (["lab", "room"], "ipxe/mine.efi")
    assert "profiles: lab room -> -" in cli.ok("client", "set", "a", "--profile", "none").stdout
    gone = cli.ok("client", "remove", "a").stdout
    assert f"to bring it back: netboot client add {MAC} --name a --loader ipxe/mine.efi" in gone
