from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from netboot import initramfs
from netboot.config.paths import recipes_dir
from netboot.errors import Unavailable
from netboot.images.builder import MARKS, mmdebstrap_argv
from netboot.images.identity import filesystem_uuids
from netboot.images.mirror import Source, choose_sources, host_codename, host_sources, parse_deb822, parse_lines
from netboot.images.pace import IMPORT_STEPS, STEPS, Pace
from netboot.images.publish import make_filesystem
from netboot.images.recipe import Recipe, load_recipe
from netboot.images.store import ImageStore
from netboot.system.commands import CommandFailed, run

DATE = 1_790_000_000
HERE = "http://mirror.example/debian"


def recipe(**changes: object) -> Recipe:
    return dataclasses.replace(load_recipe(recipes_dir(), "debian-minimal"), **changes)  # type: ignore[arg-type]


def argv(**changes: object) -> list[str]:
    return mmdebstrap_argv(
        recipe(**changes), overlay=Path("/s/overlay"), tree=Path("/s/tree"), sources=[f"deb {HERE} bookworm main"]
    )


# -- the command


def test_the_build_dies_with_us_and_its_mounts_with_it() -> None:
    words = argv()
    assert words[:3] == ["setpriv", "--pdeathsig=KILL", "unshare"]
    assert {"--mount", "--pid", "--kill-child"} < set(words[: words.index("mmdebstrap")])


def test_suite_tree_and_sources_come_last() -> None:
    assert argv()[-3:] == ["bookworm", "/s/tree", f"deb {HERE} bookworm main"]


def test_what_the_client_side_needs_is_installed_whatever_the_recipe_says() -> None:
    for generator in initramfs.GENERATORS.values():
        words = argv(packages=("linux-image-amd64",), initramfs=generator.name)
        (include,) = [word for word in words if word.startswith("--include=")]
        assert set(include.removeprefix("--include=").split(",")) == {"linux-image-amd64", *generator.packages}


def test_units_are_adjusted_and_scripts_run_in_the_tree(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("20-b", "10-a"):
        (tmp_path / "scripts" / name).touch()
    hooks = [word for word in argv(folders=(tmp_path,), enable=("a.service",), mask=()) if "--customize-hook" in word]
    assert hooks == [
        '--customize-hook=chroot "$1" systemctl --quiet enable a.service netboot-up.service netboot-upper.service',
        '--customize-hook=chroot "$1" systemctl --quiet disable ssh.service',
        f'--customize-hook={tmp_path}/scripts/10-a "$1"',
        f'--customize-hook={tmp_path}/scripts/20-b "$1"',
    ]


def test_every_mark_begins_a_known_step() -> None:
    assert set(MARKS.values()) <= set(STEPS)


# -- the mirror


def test_one_line_sources_are_read() -> None:
    text = (
        f"# deb {HERE} old main\n"
        f"deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] {HERE} bookworm main contrib # here\n"
        f"deb-src {HERE} bookworm main\n"
    )
    assert list(parse_lines(text)) == [
        Source(uri=HERE, suite="bookworm", components=("main", "contrib"), signed_by="/k/debian-archive-keyring.gpg")
    ]


def test_paragraph_sources_are_read_in_all_combinations() -> None:
    text = f"""\
Types: deb deb-src
# a comment inside
URIs: {HERE}
Suites: bookworm
 bookworm-updates
Components: main

Types: deb
URIs: {HERE}-off
Suites: bookworm
Components: main
Enabled: no
"""
    assert [(each.uri, each.suite) for each in parse_deb822(text)] == [(HERE, "bookworm"), (HERE, "bookworm-updates")]


SOURCES = (
    Source(uri=HERE, suite="bookworm", components=("main",)),
    Source(uri=f"{HERE}-security", suite="bookworm-security", components=("main",), signed_by="/k/debian-archive.gpg"),
    Source(uri="http://other.example", suite="bookworm", components=("stable",)),
    Source(uri="http://third.example", suite="bookworm", components=("main",), signed_by="/k/third.gpg"),
)


def test_the_machines_own_debian_sources_are_used_and_no_third_partys() -> None:
    assert choose_sources(SOURCES, suite="bookworm", codename="bookworm", components=("main",)) == [
        f"deb {HERE} bookworm main",
        f"deb {HERE}-security bookworm-security main",
    ]


def test_for_another_release_the_machines_mirror_is_used() -> None:
    assert choose_sources(SOURCES, suite="trixie", codename="bookworm", components=("main", "contrib")) == [
        f"deb {HERE} trixie main contrib",
        f"deb {HERE}-security trixie-security main contrib",
    ]


def test_without_a_source_the_hint_is_to_name_a_mirror() -> None:
    with pytest.raises(Unavailable) as caught:
        choose_sources((), suite="bookworm", codename="noble", components=("main",))
    assert "--mirror" in (caught.value.hint or "")


def test_files_of_both_spellings_are_found(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(f"deb {HERE} one main\n")
    (tmp_path / "sources.list.d/a.sources").write_text(f"Types: deb\nURIs: {HERE}\nSuites: two\nComponents: main\n")
    assert [each.suite for each in host_sources(tmp_path)] == ["one", "two"]


def test_the_release_names_itself(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    assert host_codename(tmp_path / "os-release") == "bookworm"
    assert host_codename(tmp_path / "none") == ""


# -- how long it takes


def test_progress_never_goes_back_and_ends_at_the_end() -> None:
    pace = Pace.learned({})
    seen = [pace.fraction(step, elapsed) for step in STEPS for elapsed in (0.0, 1.0, 1000.0)]
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert 0.95 < seen[-1] < 1.0


def test_an_earlier_build_teaches_the_length_of_steps_and_nonsense_does_not() -> None:
    pace = Pace.learned({"publishing": 30.0, "unpacking the base": -1.0, "unheard of": 5.0})
    assert pace.expected["publishing"] == 30.0
    assert pace.expected["unpacking the base"] == STEPS["unpacking the base"]
    assert list(pace.expected) == list(STEPS)


def test_a_machine_twice_as_slow_has_twice_as_long_to_go() -> None:
    pace = Pace.learned({})
    step = "installing packages"
    usual = pace.left_s(step, 0.0, total_elapsed_s=pace.done_s(step, 0.0))
    assert pace.left_s(step, 0.0, total_elapsed_s=2 * pace.done_s(step, 0.0)) == pytest.approx(2 * usual)


def test_work_of_known_amount_is_told_by_its_rate() -> None:
    pace = Pace.learned({}, IMPORT_STEPS)
    step = next(iter(IMPORT_STEPS))
    rest = sum(IMPORT_STEPS.values()) - IMPORT_STEPS[step]
    assert pace.left_at_s(step, 0.25, elapsed_s=10.0) == pytest.approx(30.0 + rest)
    assert pace.left_at_s(step, 0.0, elapsed_s=0.0) == pytest.approx(sum(IMPORT_STEPS.values()))
    seen = [pace.fraction_at(each, share) for each in IMPORT_STEPS for share in (0.0, 0.5, 1.0)]
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] == pytest.approx(1.0)


# -- what is made


def test_versions_share_the_seed_and_differ_in_uuid() -> None:
    (seed_1, own_1), (seed_2, own_2) = filesystem_uuids("a", 1), filesystem_uuids("a", 2)
    assert seed_1 == seed_2
    assert len({seed_1, own_1, own_2, filesystem_uuids("b", 1)[1]}) == 4


def make(tmp_path: Path, tree: Path, *, size_bytes: int) -> Path:
    with ImageStore(tmp_path / "images").stage("tiny") as staging:
        file = make_filesystem(staging, tree, size_bytes, date=DATE)
        return file.rename(tmp_path / "root.ext4")


def test_the_file_system_can_be_delta_synced_and_exported(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "hello").write_text("hello")
    os.link(tree / "hello", tree / "again")
    file = make(tmp_path, tree, size_bytes=8 << 20)
    features = run(["dumpe2fs", "-h", file]).stdout
    seed, own = filesystem_uuids("tiny", 1)
    assert f"Filesystem UUID:          {own}" in features
    assert f"Directory Hash Seed:      {seed}" in features
    assert "Block size:               4096" in features
    assert "has_journal" not in features
    assert "metadata_csum_seed" in features
    run(["e2fsck", "-f", "-n", file])


def test_a_tree_that_is_too_large_says_which_setting_to_change(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "large").write_bytes(os.urandom(9 << 20))
    with pytest.raises(CommandFailed) as caught:
        make(tmp_path, tree, size_bytes=8 << 20)
    assert "size in the recipe" in (caught.value.hint or "")


# -- what runs on the client


def test_every_file_of_the_client_side_has_its_place_and_programs_can_run(tmp_path: Path) -> None:
    for generator in initramfs.GENERATORS.values():
        initramfs.install(tmp_path, initramfs.files(generator))
    installed = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert installed == set(initramfs.PLACES.values())
    runnable = {place for source, place in initramfs.PLACES.items() if source in initramfs.PROGRAMS}
    assert {name for name in installed if os.access(tmp_path / name, os.X_OK)} >= runnable
    for name in runnable:
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o755


def test_an_image_has_the_frame_of_its_own_generator_alone() -> None:
    placed = {each.place for each in initramfs.files(initramfs.DRACUT)}
    assert "usr/share/netboot/core.sh" in placed
    assert not [place for place in placed if "initramfs-tools" in place]


def test_an_initrd_of_an_older_client_side_need_not_have_what_newer_ones_need() -> None:
    names = "\n".join(initramfs.INITRAMFS_TOOLS.required)
    assert initramfs.INITRAMFS_TOOLS.lacking(names) == ()
    assert "sbin/iscsistart" in initramfs.INITRAMFS_TOOLS.lacking(f"{names}\nnetboot/root.sh")
    assert initramfs.INITRAMFS_TOOLS.lacking("") == initramfs.INITRAMFS_TOOLS.required


def test_no_file_of_the_client_side_is_forgotten() -> None:
    folder = Path(initramfs.__file__).parent
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {name for name in files if not name.endswith((".py", ".pyc"))} == set(initramfs.PLACES)
