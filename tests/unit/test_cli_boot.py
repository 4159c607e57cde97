"""`netboot boot` and `netboot events`: the story as it was recorded, and the verdict of the daemon's patience."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from netboot.cli.events import parse_since
from netboot.errors import InvalidInput
from netboot.model.event import Detail, EventKind
from tests.cli_kit import Cli, tell
from tests.kit import MAC, OTHER_MAC

K = EventKind
NOW = 2_000_000_000.0


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    Cli(tmp_path).ok("client", "add", str(MAC), "--name", "lab-01")
    return Cli(tmp_path)


def test_story_of_a_boot_that_came_up(cli: Cli) -> None:
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}), (K.OFFERED, NOW + 0.5, {}), (K.UP, NOW + 65.5, {}))
    shown = cli.ok("boot", "show", "lab-01").stdout.splitlines()
    assert shown[0].startswith("boot 1 of lab-01 (52:54:00:00:00:01), ")
    assert [line.split()[0] for line in shown[2:6]] == ["STEP", "discovered", "offered", "up"]
    assert "+0.50 s" in shown[4]
    assert "+1 min 05 s" in shown[5]
    assert shown[-1] == "up, 1 min 06 s after its first packet"


def test_story_of_a_machine_that_was_handed_over_to_its_disk(cli: Cli) -> None:
    uri = "iscsi:10.9.0.2::::iqn.2010-04.org.example:till-2"
    tell(
        cli.data_dir,
        (K.DISCOVERED, NOW, {"stage": "loader"}),
        (K.SCRIPT_SENT, NOW + 2, {"loader": "ipxe", "san": uri}),
        (K.DISK_ATTACHED, NOW + 3, {}),
    )
    ran = cli("boot", "show", "lab-01", "--follow")
    assert ran.code == 0
    assert ran.stdout.splitlines()[-1].startswith("handed over to its disk, 3.00 s after its first packet")
    assert f"san={uri}" in cli.ok("boot", "show", "lab-01").stdout
    assert cli.ok("boot", "list").stdout.splitlines()[1].split()[-2:] == ["handed-over", "disk-attached"]
    standing = cli.ok("client", "list", "--json").json[0]["standing"]
    assert (standing["runs"], standing["outcome"]) == (uri, "handed-over")


def test_story_as_json(cli: Cli) -> None:
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}), (K.DENIED, NOW + 1, {"reason": "no image"}))
    story = cli.ok("boot", "show", "1", "--json").json
    assert (story["id"], story["mac"], story["client"]) == (1, str(MAC), "lab-01")
    assert (story["started_at"], story["last_at"]) == (NOW, NOW + 1)
    assert (story["verdict"]["outcome"], story["verdict"]["cause"]) == ("denied", "no image")
    assert [event["kind"] for event in story["events"]] == ["discovered", "denied"]


def test_failed_boot_says_why_and_what_to_try(cli: Cli) -> None:
    details: dict[str, Detail] = {"message": "mount \x1b[31mis odd", "log": "one\ntwo"}
    tell(cli.data_dir, (K.INITRAMFS_STARTED, NOW, {}), (K.ROOT_FAILED, NOW + 9, details))
    shown = cli.ok("boot", "show", "lab-01").stdout
    assert "failed after 9.00 s: it reached initramfs-started, but not root-mounted" in shown
    assert "  why: the client could not mount its root: mount  [31mis odd" in shown
    assert "  try: see the end of the client" in shown
    assert shown.endswith("    one\n    two\n")
    assert "\x1b" not in shown


def test_patience_is_the_daemons(cli: Cli) -> None:
    started = time.time() - 20
    tell(cli.data_dir, (K.DISCOVERED, started, {"stage": "firmware"}))
    assert cli.ok("boot", "show", "lab-01", "--json").json["verdict"]["outcome"] == "stalled"
    tell(cli.data_dir, (K.SERVER_STARTED, started, {"patience": 10.0}), mac=None)
    assert cli.ok("boot", "show", "lab-01", "--json").json["verdict"]["outcome"] == "booting"
    assert "waiting for offered since " in cli.ok("boot", "show", "lab-01").stdout


def test_following_a_boot_that_is_over_ends(cli: Cli) -> None:
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}), (K.UP, NOW + 1, {}))
    ran = cli("boot", "show", "lab-01", "--follow")
    assert ran.code == 0
    assert ran.stdout.splitlines()[-1] == "up, 1.00 s after its first packet"
    tell(cli.data_dir, (K.DISCOVERED, NOW + 99, {"stage": "firmware"}), (K.DENIED, NOW + 100, {}))
    assert cli("boot", "show", "lab-01", "--follow").code == 1
    assert cli("boot", "show", "lab-01", "--follow", "--json").json["verdict"]["outcome"] == "denied"


def test_boots_are_listed_newest_first(cli: Cli) -> None:
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}), (K.UP, NOW + 1, {}))
    tell(cli.data_dir, (K.DISCOVERED, NOW + 5, {"stage": "firmware"}), (K.UP, NOW + 7, {}), mac=OTHER_MAC)
    listed = cli.ok("boot", "list", "--json").json
    assert [(boot["id"], boot["client"]) for boot in listed] == [(2, None), (1, "lab-01")]
    assert [boot["id"] for boot in cli.ok("boot", "list", "--client", "lab-01", "--json").json] == [1]
    assert [boot["id"] for boot in cli.ok("boot", "list", "--client", str(OTHER_MAC), "--json").json] == [2]
    assert len(cli.ok("boot", "list", "--limit", "1", "--json").json) == 1
    table = cli.ok("boot", "list").stdout.splitlines()
    assert table[1].split()[:3] == ["2", "-", str(OTHER_MAC)]
    assert table[2].split()[-2:] == ["up", "up"]


def test_client_that_never_booted(cli: Cli) -> None:
    ran = cli("boot", "show", "lab-01")
    assert ran.code == 3
    assert "netboot boot show lab-01 --follow" in ran.stderr
    assert cli("boot", "show", "77").code == 3
    assert cli("boot", "show", "nobody").code == 3


def test_number_that_no_boot_has(cli: Cli) -> None:
    tell(cli.data_dir, (K.DISCOVERED, 0.0, {}))
    ran = cli("boot", "show", "9" * 30)
    assert ran.code == 3
    assert "there is no boot 999" in ran.stderr


@pytest.mark.parametrize("command", [("boot", "list"), ("events",)])
def test_limit_that_no_database_takes(cli: Cli, command: tuple[str, ...]) -> None:
    ran = cli(*command, "--limit", "9" * 30)
    assert ran.code == 2
    assert "--limit" in ran.stderr


def test_json_is_ascii_whatever_a_client_said(cli: Cli) -> None:
    tell(cli.data_dir, (K.LOADER_FAILED, 0.0, {"message": "caf\u00e9 \x9b31m \x7f \u202e"}))
    for words in (("events", "--json"), ("boot", "show", str(MAC), "--json")):
        said = cli.ok(*words).stdout
        assert said.isascii()
        assert "caf\\u00e9 \\u009b31m" in said


def test_client_whose_name_is_a_number(cli: Cli) -> None:
    cli.ok("client", "add", str(OTHER_MAC), "--name", "1")
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}))
    assert cli("boot", "show", "1").code == 3
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}), mac=OTHER_MAC)
    assert cli.ok("boot", "show", "1", "--json").json["id"] == 2


def test_events_are_lines(cli: Cli) -> None:
    tell(cli.data_dir, (K.SERVER_STARTED, NOW - 1, {}), mac=None)
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}), (K.KERNEL_SENT, NOW + 3, {"bytes": 8_200_000}))
    lines = cli.ok("events").stdout.splitlines()
    assert [line.split()[2:4] for line in lines] == [
        ["-", "server-started"],
        ["lab-01", "discovered"],
        ["lab-01", "kernel-sent"],
    ]
    assert lines[2].endswith("8.2 MB")
    told = [json.loads(line) for line in cli.ok("events", "--json").stdout.splitlines()]
    assert [event["kind"] for event in told] == ["server-started", "discovered", "kernel-sent"]
    assert told[2]["details"] == {"bytes": 8_200_000}


def test_events_are_narrowed(cli: Cli) -> None:
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}), (K.OFFERED, time.time(), {}))
    tell(cli.data_dir, (K.DISCOVERED, NOW, {"stage": "firmware"}), mac=OTHER_MAC)

    def kinds(*words: str) -> list[str]:
        return [json.loads(line)["kind"] for line in cli.ok("events", "--json", *words).stdout.splitlines()]

    assert kinds("--client", "lab-01") == ["discovered", "offered"]
    assert kinds("--client", "lab-01", "--limit", "1") == ["offered"]
    assert kinds("--limit", "0") == []
    assert kinds("--since", "2033-05-18") == ["discovered", "discovered"]
    assert cli("events", "--client", "nobody").code == 3


@pytest.mark.parametrize(
    ("text", "at"), [("90s", 910.0), ("10m", 400.0), ("0h", 1000.0), ("1970-01-01T00:00:07+00:00", 7.0)]
)
def test_times_that_people_write(text: str, at: float) -> None:
    assert parse_since(text, now=1000.0) == at


@pytest.mark.parametrize("text", ["", "yesterday", "10", "-5m", "10y", "2026-13-01", "999999999999d"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_since(text, now=1000.0)
