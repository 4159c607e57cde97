"""`netboot image rm` and `gc`: nothing that somebody needs goes, and who needs it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.images.draft import DraftNote
from netboot.images.staging import claimed
from netboot.images.store import ImageStore
from netboot.model.event import EventKind
from netboot.model.image import Version
from netboot.model.names import VersionRef
from tests.cli_kit import Cli, publish_image, tell
from tests.images_kit import assert_whole, block, publish_delta, publish_whole
from tests.kit import MAC, OTHER_MAC

K = EventKind


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Five versions of debian: 2 is changes to 1, 3 to 2; 4 and 5 are whole."""
    store = ImageStore(tmp_path / "images")
    one = publish_whole(store)
    two = publish_delta(store, one, {2: block("two")})
    store.materialise(two)
    publish_delta(store, two, {3: block("three")})
    publish_whole(store)
    publish_whole(store)
    return Cli(tmp_path)


def labels(cli: Cli) -> list[str]:
    return [f"{each['image']}:{each['number']}" for each in cli.ok("image", "list", "--json").json]


def version(cli: Cli, number: int) -> Version:
    return ImageStore(cli.data_dir / "images").get(VersionRef("debian", number))


def whole(cli: Cli) -> None:
    assert cli.ok("image", "fsck").stdout == "all is whole\n"


def gone(cli: Cli, *words: str) -> list[tuple[str, str]]:
    return [(each["what"], each["name"]) for each in cli.ok("image", "gc", "--json", *words).json]


def test_a_version_that_nobody_needs_is_removed_with_what_only_it_had(cli: Cli) -> None:
    before = len(list((cli.data_dir / "images/.objects").rglob("*-*")))
    assert cli.ok("image", "rm", "debian:4").stdout == "debian:4 is removed\n"
    assert labels(cli) == ["debian:1", "debian:2", "debian:3", "debian:5"]
    assert len(list((cli.data_dir / "images/.objects").rglob("*-*"))) == before - 4
    whole(cli)


def draft_of(cli: Cli, number: int) -> None:
    """As a draft says of what it is one; its disk is of no interest here."""
    import json
    from dataclasses import asdict

    folder = cli.data_dir / "images/.drafts/mine"
    folder.mkdir(parents=True)
    digest = str(version(cli, number).digest)
    note = DraftNote(name="mine", image="debian", number=number, digest=digest, created_at=1.0, who="", note="")
    (folder / "draft.json").write_text(json.dumps({"format": 1, **asdict(note)}))


def client(cli: Cli, image: str) -> None:
    cli.ok("client", "add", str(MAC), "--name", "lab-01", "--image", image)


def disk_over(cli: Cli, name: str) -> None:
    folder = cli.data_dir / "clients" / MAC.dashed / "disks"
    folder.mkdir(parents=True)
    (folder / name).touch()


def running(cli: Cli, label: str) -> None:
    client(cli, "debian:5")
    tell(cli.data_dir, (K.DISCOVERED, 1e9, {"stage": "firmware"}), (K.KERNEL_SENT, 1e9, {"version": label}))


NEEDED = [
    ("debian:5", lambda cli: None, "it is the newest version", "--all"),
    ("debian:4", lambda cli: cli.ok("image", "promote", "debian:4"), "tag stable stands at it", "--remove"),
    ("debian:4", lambda cli: client(cli, "debian:4"), "client lab-01 is assigned to it", "client set lab-01"),
    ("debian:4", lambda cli: running(cli, "debian:4"), "client lab-01 runs it", "boot it into another"),
    (
        "debian:4",
        lambda cli: tell(cli.data_dir, (K.SCRIPT_SENT, 1e9, {"version": "debian:4"}), mac=OTHER_MAC),
        "client 52:54:00:00:00:02 runs it",
        "boot it into another",
    ),
    ("debian:4", lambda cli: draft_of(cli, 4), "draft mine changes it", "image discard mine"),
    (
        "debian:4",
        lambda cli: disk_over(cli, "debian.4.keep.ext4"),
        "client 52:54:00:00:00:01 keeps a disk over it",
        "client disk remove 52:54:00:00:00:01 --version debian:4",
    ),
    ("debian:1", lambda cli: None, "debian:2 is stored as changes to it", "--make-whole"),
]


@pytest.mark.parametrize(("label", "need", "who", "remedy"), NEEDED)
def test_what_somebody_needs_is_not_removed(cli: Cli, label: str, need: object, who: str, remedy: str) -> None:
    if "52:54" in who:
        cli.ok("client", "add", str(OTHER_MAC if "disk" in who else MAC), "--name", "x")  # makes the database
    assert callable(need)
    need(cli)
    ran = cli("image", "rm", label)
    assert (ran.code, ran.stdout) == (4, "")
    assert f"{label} is needed: {who}" in ran.stderr
    assert remedy in ran.stderr
    assert len(labels(cli)) == 5
    if need is not NEEDED[-1][1]:  # a child keeps its parent only as long as it stays itself
        assert ("version", label) not in gone(cli, "--keep", "0")
        assert label in labels(cli)


def test_unknown_clients_need_what_the_configuration_gives_them(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "netboot.toml"
    config.write_text('[clients]\nunknown = "image:debian:4"\n')
    ran = cli("image", "rm", "debian:4", "--config", str(config))
    assert (ran.code, "unknown clients boot it" in ran.stderr) == (4, True)
    assert ("version", "debian:4") not in gone(cli, "--dry-run", "--keep", "0", "--config", str(config))
    assert ("version", "debian:4") in gone(cli, "--dry-run", "--keep", "0")


def test_of_several_none_is_removed_if_one_is_needed(cli: Cli) -> None:
    assert cli("image", "rm", "debian:4", "debian:5").code == 4
    assert len(labels(cli)) == 5
    cli.ok("image", "rm", "debian:1", "debian:2", "debian:3")
    assert labels(cli) == ["debian:4", "debian:5"]
    whole(cli)


def test_a_child_can_be_made_whole_first(cli: Cli) -> None:
    ran = cli.ok("image", "rm", "debian:1", "--make-whole", "--json").json
    assert ran == {"removed": ["debian:1"], "made_whole": ["debian:2"]}
    assert labels(cli)[0] == "debian:2"
    assert_whole(version(cli, 2), version(cli, 3))
    whole(cli)
    assert gone(cli) == []
    assert version(cli, 2).root.path.exists()
    assert cli.ok("image", "list", "--json").json[0]["made_bytes"] == 0
    ImageStore(cli.data_dir / "images").materialise(version(cli, 3))
    assert gone(cli) == [("root", "debian:3")]
    whole(cli)


def test_gc_leaves_what_was_made_whole_as_it_is(cli: Cli) -> None:
    store = ImageStore(cli.data_dir / "images")
    store.make_whole(version(cli, 2))
    assert gone(cli) == []
    assert version(cli, 2).root.path.exists()
    cli.ok("image", "rm", "debian:1")  # nobody is made of it any more
    whole(cli)


def test_a_rollback_to_what_was_removed_says_so(cli: Cli) -> None:
    cli.ok("image", "promote", "debian:4")
    cli.ok("image", "promote", "debian:5")
    cli.ok("image", "rm", "debian:4")
    ran = cli("image", "rollback", "debian")
    assert (ran.code, "debian:4 before, which was removed" in ran.stderr) == (4, True)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["debian"], 2, "add --all"),
        (["debian:4", "--all"], 2, "name the image alone"),
        (["debian:9"], 3, "there is"),
        (["debain", "--all"], 3, "there is debian"),
    ],
)
def test_what_is_named_wrongly_is_told(cli: Cli, words: list[str], code: int, told: str) -> None:
    ran = cli("image", "rm", *words)
    assert (ran.code, told in ran.stderr) == (code, True)
    assert len(labels(cli)) == 5


def test_a_whole_image_goes_with_its_tags_unless_a_client_needs_it(cli: Cli) -> None:
    publish_image(cli.data_dir, "kiosk")
    cli.ok("image", "promote", "debian:4")
    client(cli, "debian")
    ran = cli("image", "rm", "debian", "--all")
    assert (ran.code, "client lab-01 is assigned to it" in ran.stderr) == (4, True)
    cli.ok("client", "set", "lab-01", "--image", "kiosk")
    cli.ok("image", "rm", "debian", "--all")
    assert labels(cli) == ["kiosk:1"]
    assert not (cli.data_dir / "images/debian").exists()
    whole(cli)
    assert publish_whole(ImageStore(cli.data_dir / "images")).number == 1


def test_while_somebody_is_at_work_on_the_image_nothing_is_removed(cli: Cli) -> None:
    with claimed(cli.data_dir / "images", "debian"):
        ran = cli("image", "rm", "debian:4")
    assert (ran.code, "by another process" in ran.stderr) == (4, True)
    assert "debian:4" in labels(cli)


def test_gc_removes_no_version_unasked(cli: Cli) -> None:
    assert gone(cli, "--dry-run") == [("root", "debian:2")]
    assert version(cli, 2).root.path.exists()
    assert gone(cli) == [("root", "debian:2")]
    assert not version(cli, 2).root.path.exists()
    assert len(labels(cli)) == 5
    assert gone(cli) == []
    whole(cli)


def test_gc_keeps_so_many_and_what_they_are_made_of(cli: Cli) -> None:
    assert [name for what, name in gone(cli, "--keep", "1") if what == "version"] == [
        "debian:4",
        "debian:3",
        "debian:2",
        "debian:1",
    ]
    assert labels(cli) == ["debian:5"]
    whole(cli)


def test_gc_keeps_where_a_rollback_leads_and_the_chain_below_it(cli: Cli) -> None:
    cli.ok("image", "promote", "debian:3")
    cli.ok("image", "promote", "debian:5")
    assert [name for what, name in gone(cli, "--keep", "1") if what == "version"] == ["debian:4"]
    assert labels(cli) == ["debian:1", "debian:2", "debian:3", "debian:5"]
    assert version(cli, 3).root.path.exists(), "so that a rollback is at once"
    whole(cli)


def test_gc_says_what_it_would_free_and_frees_that(cli: Cli) -> None:
    images = cli.data_dir / "images"
    (images / ".staging/debian/version").mkdir(parents=True, exist_ok=True)
    (images / ".staging/debian/version/half").write_bytes(b"x" * 100_000)
    said = cli.ok("image", "gc", "--dry-run", "--keep", "1", "--json").json
    before = used(images)
    assert cli.ok("image", "gc", "--keep", "1", "--json").json == said
    assert before - used(images) == sum(each["size_bytes"] for each in said)
    assert {each["what"] for each in said} == {"version", "object", "abandoned"}
    assert cli.ok("image", "gc").stdout == "WHAT  NAME  FREES\n0 B freed\n"


def used(folder: Path) -> int:
    files = {each.stat().st_ino: each.stat().st_blocks for each in folder.rglob("*") if each.is_file()}
    return 512 * sum(files.values())


def test_a_directory_whose_links_were_lost_in_copying_keeps_its_versions(cli: Cli) -> None:
    import shutil

    for file in [each for each in (cli.data_dir / "images/debian").rglob("*") if each.is_file()]:
        copied = file.with_name("copied")
        shutil.copyfile(file, copied)
        copied.replace(file)
    assert gone(cli) == [("root", "debian:2")]
    assert_whole(*(version(cli, number) for number in range(1, 6)))
    cli.ok("image", "fsck", "--repair")
    whole(cli)
