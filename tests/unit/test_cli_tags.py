"""`netboot image tag`, `promote`, `rollback`, `log`, and what `image list` and `client list` say of it all."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from netboot.boot.running import system_booted, versions_running
from netboot.cli.main import make_app
from netboot.images.store import ImageStore
from netboot.model.boot import Boot
from netboot.model.event import Event, EventKind
from netboot.model.image import Version
from tests.cli_kit import Cli, publish_image, tell
from tests.images_kit import block, publish_delta, publish_whole
from tests.kit import MAC, OTHER_MAC

K = EventKind


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Two versions of debian, of which the second is stored as its changes, and one of kiosk."""
    store = ImageStore(tmp_path / "images")
    publish_delta(store, publish_whole(store, note="the first"), {3: block("new")}, note="a fix")
    publish_image(tmp_path, "kiosk")
    return Cli(tmp_path)


def find(cli: Cli, ref: str) -> str:
    shown = cli.ok("image", "show", ref, "--json").json
    return f"{shown['image']}:{shown['number']}"


def test_promote_and_rollback_decide_what_the_name_alone_means(cli: Cli) -> None:
    assert cli.ok("image", "promote", "debian:1").stdout == "debian:stable is debian:1\n"
    assert [find(cli, ref) for ref in ("debian", "debian:stable", "debian:latest")] == [
        "debian:1",
        "debian:1",
        "debian:2",
    ]
    assert cli.ok("image", "promote", "debian").stdout == "debian:stable is debian:2, was debian:1\n"
    assert cli.ok("image", "promote", "debian").stdout == "debian:stable is debian:2 already\n"
    assert cli.ok("image", "rollback", "debian", "-m", "no").stdout == "debian:stable is debian:1, was debian:2\n"
    assert find(cli, "debian") == "debian:1"


def test_promoting_makes_the_root_so_that_no_client_waits(cli: Cli) -> None:
    two = cli.data_dir / "images/debian/2/root.ext4"
    assert not two.exists()
    before = cli.ok("image", "list", "--json").json[1]
    cli.ok("image", "promote", "debian", "--to", "test")
    assert two.exists()
    after = cli.ok("image", "list", "--json").json[1]
    assert (before["made_bytes"], before["tags"], after["tags"]) == (0, [], ["test"])
    assert after["made_bytes"] > 0
    assert after["stored_bytes"] == before["stored_bytes"]


def test_a_move_is_printed_as_json(cli: Cli) -> None:
    moved = cli.ok("image", "tag", "debian:1", "test", "-m", "why", "--json").json
    assert moved.pop("at") > 1_700_000_000
    assert moved.pop("who")
    assert moved == {"image": "debian", "tag": "test", "kind": "set", "number": 1, "before": None, "note": "why"}
    again = cli.ok("image", "tag", "debian:1", "test", "--json").json
    assert again["note"] == "why"


def test_a_tag_is_taken_away(cli: Cli) -> None:
    cli.ok("image", "tag", "debian:1", "test")
    assert cli.ok("image", "tag", "debian", "test", "--remove").stdout == "debian:test is no more, was debian:1\n"
    assert cli("image", "show", "debian:test").code == 3


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["tag", "debian:1", "latest"], 2, "latest is always the newest version"),
        (["tag", "debian:1", "Bad"], 2, "cannot be a tag"),
        (["tag", "debian:9", "test"], 3, "there is debian:1, debian:2"),
        (["tag", "debain", "test"], 3, "there is debian"),
        (["tag", "debian", "test", "--remove"], 3, "there is no tag test"),
        (["promote", "debian:test"], 3, "image debian has no version test"),
        (["promote", "debian", "--to", "latest"], 2, "latest is always the newest version"),
        (["rollback", "debian"], 3, "there is no tag stable"),
        (["rollback", "debain"], 3, "there is no image debain"),
        (["log", "debain"], 3, "there is no image debain"),
    ],
)
def test_what_is_refused_says_why_and_changes_nothing(cli: Cli, words: list[str], code: int, told: str) -> None:
    ran = cli("image", *words)
    assert (ran.code, ran.stdout) == (code, "")
    assert told in ran.stderr
    assert not (cli.data_dir / "images/debian/tags.json").exists()
    assert not (cli.data_dir / "images/debian/2/root.ext4").exists()


def test_rolling_back_to_what_never_was_says_so(cli: Cli) -> None:
    cli.ok("image", "promote", "debian:1")
    ran = cli("image", "rollback", "debian")
    assert (ran.code, "nothing to go back to" in ran.stderr) == (4, True)


def test_the_log_tells_publications_and_moves_newest_first(cli: Cli) -> None:
    cli.ok("image", "promote", "debian:1")
    cli.ok("image", "promote", "debian:2", "-m", "works")
    cli.ok("image", "rollback", "debian")
    log = cli.ok("image", "log", "debian", "--json").json
    assert [(each["what"], each["tag"], each["number"], each["before"], each["note"]) for each in log] == [
        ("tag-rolled-back", "stable", 1, 2, ""),
        ("tag-set", "stable", 2, 1, "works"),
        ("tag-set", "stable", 1, None, ""),
        ("published", None, 2, 1, "a fix"),
        ("published", None, 1, None, "the first"),
    ]
    assert [each["origin"] for each in log[3:]] == ["draft draft", "recipe debian"]
    lines = cli.ok("image", "log", "debian").stdout.splitlines()
    assert "stable rolled back to debian:1, was debian:2" in lines[1]
    assert "debian:2 published, from draft draft, changes to debian:1" in lines[4]


def test_show_says_all_of_the_manifest(cli: Cli) -> None:
    shown = cli.ok("image", "show", "debian:2", "--json").json
    assert shown["parent"]["number"] == 1
    assert shown["origin"] == {"kind": "draft", "name": "draft"}
    assert (shown["created_by"], shown["note"], shown["packages"], shown["build"]) == ("tester", "a fix", {}, {})
    assert shown["files"]["delta"]["changed_bytes"] == 4096
    text = cli.ok("image", "show", "debian:2").stdout
    for word in ("parent", "delta", "root hash", "salt", "not made now", "a fix", "tester"):
        assert word in text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("netboot image show deb", ["debian", "debian:test", "debian:latest", "debian:1", "debian:2"]),
        ("netboot image rollback deb", ["debian"]),
        ("netboot image rollback debian --tag t", ["test"]),
        ("netboot image tag debian:1 t", ["test"]),
        ("netboot client set x --image debian:t", ["debian:test"]),
    ],
)
def test_the_shell_completes_tags(cli: Cli, typed: str, words: list[str]) -> None:
    cli.ok("image", "tag", "debian:1", "test")
    environ = {
        "_NETBOOT_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": typed,
        "NETBOOT_DATA_DIR": str(cli.data_dir),
    }
    ran = CliRunner().invoke(make_app(), [], env=environ, prog_name="netboot")
    assert ran.stdout.split() == words


def boot(*events: tuple[EventKind, str | None]) -> Boot:
    told = [Event(at=1.0, kind=kind, mac=MAC, details={"version": label} if label else {}) for kind, label in events]
    return Boot(id=1, mac=MAC, events=tuple(told))


def test_what_a_boot_was_sent_last_is_what_it_boots() -> None:
    assert system_booted(boot((K.SCRIPT_SENT, "a:1"), (K.SCRIPT_SENT, "a:2"), (K.KERNEL_SENT, None))) == "a:2"
    assert system_booted(boot((K.DISCOVERED, None), (K.DENIED, None))) is None
    # pxelinux: the script does not say, the kernel does
    assert system_booted(boot((K.SCRIPT_SENT, None), (K.KERNEL_SENT, "a:3"), (K.UP, None))) == "a:3"


def test_a_boot_that_was_sent_nothing_does_not_say_that_the_client_runs_nothing() -> None:
    steps = ((K.KERNEL_SENT, "a:1"), (K.KERNEL_SENT, "a:2"), (K.UP, None), (K.DISCOVERED, None), (K.DENIED, None))
    assert versions_running(boot(*steps).events) == {MAC: "a:2"}
    assert versions_running([]) == {}


def test_a_machine_that_was_sent_to_a_disk_runs_no_version() -> None:
    disk = Event(at=2.0, kind=K.SCRIPT_SENT, mac=MAC, details={"san": "iscsi:nas::::naa.0123456789abcdef"})
    kernel, later = boot((K.KERNEL_SENT, "a:1"), (K.KERNEL_SENT, "a:2")).events
    assert versions_running([kernel, disk]) == {}
    assert versions_running([kernel, disk, later]) == {MAC: "a:2"}
    assert system_booted(Boot(id=1, mac=MAC, events=(kernel, disk))) == "iscsi:nas::::naa.0123456789abcdef"


def test_client_list_says_whom_a_reboot_would_change(cli: Cli) -> None:
    cli.ok("client", "add", str(MAC), "--name", "a", "--image", "debian", "--profile", "unheard-of")
    cli.ok("client", "add", str(OTHER_MAC), "--name", "b", "--image", "debian:1")
    cli.ok("client", "add", "52:54:00:00:00:03", "--name", "c")
    for mac in (MAC, OTHER_MAC):
        tell(
            cli.data_dir,
            (K.DISCOVERED, 1e9, {"stage": "firmware"}),
            (K.SCRIPT_SENT, 1e9, {"version": "debian:1"}),
            mac=mac,
        )
    tell(cli.data_dir, (K.UP, 1e9 + 1, {}))
    assert [each["standing"] for each in cli.ok("client", "list", "--json").json] == [
        {"runs": "debian:1", "outcome": "up", "next": "debian:2", "denied": "", "reboot_changes": True},
        {"runs": "debian:1", "outcome": "stalled", "next": "debian:1", "denied": "", "reboot_changes": False},
        {"runs": None, "outcome": None, "next": None, "denied": "client c has no image", "reboot_changes": None},
    ]
    table = [line.split("  ") for line in cli.ok("client", "list").stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in table]
    assert cells[1][2:6] == ["debian", "debian:1", "debian:2", "changes it"]
    assert cells[2][2:6] == ["debian:1", "debian:1 (stalled)", "debian:1", "the same"]
    cli.ok("image", "promote", "debian:1")
    assert cli.ok("client", "list", "--json").json[0]["standing"]["reboot_changes"] is False


def test_versions_of_one_image_alone_are_tagged(cli: Cli) -> None:
    cli.ok("image", "promote", "kiosk")
    assert ImageStore(cli.data_dir / "images").tags("debian").current == {}
    versions: list[Version] = list(ImageStore(cli.data_dir / "images").list())
    assert [each.label for each in versions] == ["debian:1", "debian:2", "kiosk:1"]
