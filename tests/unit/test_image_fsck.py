"""Every kind of damage is found, and mended where it can be; what cannot be is left as it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from netboot.images.boottests import BootTest
from netboot.images.draft import Drafts
from netboot.images.fsck import Problem, examine_all
from netboot.images.store import ImageStore
from netboot.model.image import Version
from netboot.model.names import VersionRef
from netboot.system.sparse import SparseFile
from tests.cli_kit import Cli
from tests.images_kit import assert_whole, block, publish_delta, publish_format_1, publish_whole


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Three versions of debian, each changes to the one before, of which 1 and 3 have their root."""
    store = ImageStore(tmp_path / "images")
    versions = [publish_whole(store)]
    for number in (2, 3):
        store.materialise(versions[-1])
        versions.append(publish_delta(store, versions[-1], {number: block(f"of {number}")}))
    store.materialise(versions[2])
    versions[1].root.path.unlink()
    tree_of(versions[1]).unlink()
    return Cli(tmp_path)


def version(cli: Cli, number: int) -> Version:
    return ImageStore(cli.data_dir / "images").get(VersionRef("debian", number))


def tree_of(version: Version) -> Path:
    assert version.root.verity is not None
    return version.root.verity.tree.path


def delta_of(version: Version) -> Path:
    assert version.delta is not None
    return version.delta.path


def damage(file: Path, offset: int = 0) -> None:
    file.chmod(0o644)
    with SparseFile.open(file, writable=True) as content:
        content.write(offset, b"\xff" * 8)


def replace_by_a_copy(file: Path) -> None:
    copied = file.with_name("copied")
    shutil.copyfile(file, copied)
    copied.replace(file)


def lose(file: Path) -> None:
    file.unlink()


def lose_and_its_link(cli: Cli, file: Path) -> None:
    """With all its names."""
    number = file.stat().st_ino
    for each in list(cli.data_dir.rglob("*")):
        if each.is_file() and each.stat().st_ino == number:
            each.unlink()


def found(cli: Cli, *words: str) -> list[tuple[str, str, bool]]:
    return [
        (each["problem"], Path(each["path"]).name, each["mended"])
        for each in json.loads(cli("image", "fsck", "--json", *words).stdout)
    ]


def test_all_is_whole(cli: Cli) -> None:
    assert cli.ok("image", "fsck").stdout == "all is whole\n"
    assert cli.ok("image", "fsck", "--json").json == []
    assert cli.ok("image", "fsck", "debian:2", "debian").stdout == "debian:2, debian: whole\n"


MENDABLE: dict[str, tuple[Callable[[Cli], None], str]] = {
    "a lost kernel comes from its object": (lambda cli: lose(version(cli, 1).kernel.path), "vmlinuz"),
    "a lost root comes from its object": (lambda cli: lose(version(cli, 1).root.path), "root.ext4"),
    "a lost tree comes from its object": (lambda cli: lose(tree_of(version(cli, 1))), "root.verity"),
    "a lost delta comes from its object": (lambda cli: lose(delta_of(version(cli, 3))), "root.delta"),
    "a tree is made from its root": (lambda cli: damage(tree_of(version(cli, 1)), 5000), "root.verity"),
    "a root is made from parent and delta": (lambda cli: damage(version(cli, 3).root.path), "root.ext4"),
    "a delta is made from the two roots": (lambda cli: damage(delta_of(version(cli, 3)), 9000), "root.delta"),
    "a delta that is gone altogether, too": (
        lambda cli: lose_and_its_link(cli, delta_of(version(cli, 3))),
        "root.delta",
    ),
}


@pytest.mark.parametrize("case", MENDABLE)
def test_what_can_be_mended(cli: Cli, case: str) -> None:
    harm, name = MENDABLE[case]
    harm(cli)
    before = found(cli)
    assert ("damaged", name, False) in before
    assert cli("image", "fsck").code == 1
    assert all(mended for _, _, mended in found(cli, "--repair")), found(cli)
    assert cli.ok("image", "fsck").stdout == "all is whole\n"
    assert_whole(version(cli, 1), version(cli, 2), version(cli, 3))


def test_a_damaged_root_and_its_damaged_tree_are_both_made_anew(cli: Cli) -> None:
    damage(version(cli, 3).root.path)
    damage(tree_of(version(cli, 3)), 5000)
    assert found(cli, "--repair") == [("damaged", "root.ext4", True), ("damaged", "root.verity", True)]
    assert found(cli) == []


UNMENDABLE: dict[str, tuple[Callable[[Cli], None], str]] = {
    "a whole root": (lambda cli: damage(version(cli, 1).root.path), "root.ext4"),
    "a kernel": (lambda cli: damage(version(cli, 2).kernel.path), "vmlinuz"),
    "a delta whose version has no root": (lambda cli: damage(delta_of(version(cli, 2)), 9000), "root.delta"),
}


@pytest.mark.parametrize("case", UNMENDABLE)
def test_what_cannot_be_mended_stays_as_it_is(cli: Cli, case: str) -> None:
    harm, name = UNMENDABLE[case]
    harm(cli)
    files = {each: each.read_bytes() for each in cli.data_dir.rglob("*") if each.is_file()}
    ran = cli("image", "fsck", "--repair")
    assert (ran.code, name in ran.stdout) == (1, True)
    assert ran.stdout.startswith("damage: ")
    assert {each: each.read_bytes() for each in cli.data_dir.rglob("*") if each.is_file()} == files


def test_a_damaged_version_among_others_is_named_alone(cli: Cli) -> None:
    damage(version(cli, 2).kernel.path)
    assert cli.ok("image", "fsck", "debian:1").stdout == "debian:1: whole\n"
    assert cli("image", "fsck", "debian:2").code == 1


def test_a_manifest_that_cannot_be_read_is_damage_and_hides_no_other(cli: Cli) -> None:
    file = version(cli, 2).root.path.with_name("manifest.json")
    file.chmod(0o644)
    file.write_text("{}")
    faults = cli("image", "fsck", "--json").json
    assert [(each["problem"], each["version"]) for each in faults] == [("unreadable", "debian:2")]
    assert faults[0]["what"].startswith("cannot be read: it lacks")
    damage(version(cli, 1).kernel.path)
    assert len(found(cli)) == 2


def test_a_version_whose_parent_is_gone_has_no_root(cli: Cli) -> None:
    shutil.rmtree(version(cli, 2).root.path.parent)
    assert [each for each in found(cli) if each[0] != "orphan"] == []
    lose(version(cli, 3).root.path)
    assert ("lost-parent", "3", False) in found(cli)


def test_what_boot_tests_found_is_ours_and_has_to_be_readable(cli: Cli) -> None:
    first = version(cli, 1)
    test = BootTest(number=1, digest=str(first.digest), at=1.0, who="me", firmware="bios", is_up=True, seconds=70.0)
    ImageStore(cli.data_dir / "images").add_boot_test(first, test)
    assert found(cli) == []
    (cli.data_dir / "images/debian/boot-tests.json").write_text("{")
    assert found(cli) == [("unreadable", "boot-tests.json", False)]


def test_a_lost_root_of_a_version_that_was_made_whole_comes_from_its_object(cli: Cli) -> None:
    cli.ok("image", "rm", "debian:1", "--make-whole")
    lose(version(cli, 2).root.path)
    lose(tree_of(version(cli, 2)))
    assert found(cli)[0] == ("lost-parent", "2", False)
    assert all(mended for _, _, mended in found(cli, "--repair"))
    assert found(cli) == []


def test_tags_that_are_wrong(cli: Cli) -> None:
    cli.ok("image", "promote", "debian:1")
    file = cli.data_dir / "images/debian/tags.json"
    text = file.read_text()
    file.write_text(text.replace('"number": 1', '"number": 9'))
    assert found(cli) == [("lost-tag", "tags.json", False)]
    file.write_text("[]")
    assert found(cli) == [("unreadable", "tags.json", False)]


def test_a_draft_of_what_is_gone(cli: Cli) -> None:
    store = ImageStore(cli.data_dir / "images")
    label, digest = "debian:3", str(version(cli, 3).digest)
    here = Path("/drafts/mine")
    assert list(examine_all(store, [(here, label, digest)])) == []
    for wrong in (("debian:7", digest), (label, "sha256:" + "0" * 64)):
        assert [each.problem for each in examine_all(store, [(here, *wrong)])] == [Problem.LOST_DRAFT]
    assert Drafts(store.directory).list() == ()


def test_leftovers_do_no_harm_and_are_cleared(cli: Cli) -> None:
    images = cli.data_dir / "images"
    replace_by_a_copy(version(cli, 1).kernel.path)
    (images / "debian/2/.root.ext4.new").touch()
    (images / "debian/.tags.json.new").touch()
    (images / "empty").mkdir()
    (images / ".staging/debian/version").mkdir(parents=True)
    folder = next(each for each in (images / ".objects").iterdir())
    (folder / ".sha256-x.new").touch()
    told = found(cli)
    assert {problem for problem, _, _ in told} == {"unlinked", "abandoned"}
    assert len(told) == 6
    assert cli.ok("image", "fsck").stdout.endswith("all is whole\n")
    assert all(mended for _, _, mended in found(cli, "--repair"))
    assert found(cli) == []
    assert not (images / "empty").exists()


def test_what_is_not_ours_is_told_and_left_alone(cli: Cli) -> None:
    images = cli.data_dir / "images"
    strays = [images / "notes.txt", images / "debian/1/notes.txt", images / "debian/notes", images / ".objects/notes"]
    for stray in strays:
        stray.touch()
    assert sorted(found(cli, "--repair")) == sorted(("foreign", stray.name, False) for stray in strays)
    assert all(stray.exists() for stray in strays)


def test_what_is_being_made_is_no_leftover(cli: Cli) -> None:
    store, two = ImageStore(cli.data_dir / "images"), version(cli, 2)
    seen: list[object] = []

    def look(_: int) -> None:
        seen.extend(examine_all(store, []))

    store.materialise(two, look)
    with store.stage("debian") as staging:
        (staging.scratch / "x").touch()
        seen.extend(examine_all(store, []))
    assert seen == []


def test_versions_of_the_first_format_are_whole_without_links(tmp_path: Path) -> None:
    publish_format_1(tmp_path / "images")
    cli = Cli(tmp_path)
    assert cli.ok("image", "fsck").stdout == "all is whole\n"
    damage(tmp_path / "images/debian/1/vmlinuz")
    assert found(cli, "--repair") == [("damaged", "vmlinuz", False)]


def test_mending_that_is_killed_leaves_what_was_there(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(version(cli, 3).root.path)
    child = os.fork()
    if child == 0:
        monkeypatch.setattr("netboot.images.roots._check", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        cli("image", "fsck", "--repair")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert ("damaged", "root.ext4", False) in found(cli)
    assert all(mended for _, _, mended in found(cli, "--repair"))
    assert found(cli) == []
