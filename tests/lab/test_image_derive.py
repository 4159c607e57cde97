"""Compressed forms of a root: the same files, the same bytes whatever the circumstances, and nothing half."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from netboot.errors import InvalidInput, Unavailable
from netboot.images.derive import WORK_NAME, drop_derived, ensure
from netboot.images.derived import FORMATS, derived_files, find_derived
from netboot.images.mending import mend
from netboot.images.store import ImageStore
from netboot.images.whole import damage_of
from netboot.model.image import Root, Version
from netboot.model.root import RootFormat
from netboot.system.loop import find_loop
from tests.cli_kit import NETBOOT, Cli, environ
from tests.images_kit import publish_delta, publish_whole
from tests.import_kit import ACL, MIB, blank, make_rich_system, mounted, told
from tests.kill_kit import damage, faults, gc, killed_at, remove
from tests.lab.store_on_full_disk import fill as take_all

EROFS, SQUASHFS = FORMATS
# The program of each format, as the kernel names its process.
MAKERS = {EROFS: "mkfs.erofs", SQUASHFS: "mksquashfs"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files with everything that squashfs can hold."""
    tree = make_rich_system(tmp_path / "system")
    os.removexattr(tree / "etc/acl", "system.posix_acl_access")
    return tree


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "data/images")


def publish(store: ImageStore, tree: Path, *, hashed: bool = False) -> Version:
    """The next version, of these files; `hashed`: its folders list their names in another order."""
    store.directory.mkdir(parents=True, exist_ok=True)
    file = blank(store.directory.parent / "root.ext4", 24 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", file], check=True)
    with mounted(file, file.with_suffix(".mnt"), "-o", "loop") as place:
        subprocess.run(["cp", "-a", f"{tree}/.", place], check=True)
    if hashed:
        subprocess.run(["e2fsck", "-fyD", file], stdout=subprocess.DEVNULL)
    return publish_whole(store, blocks=file)


def seen(file: Path, place: Path) -> dict[bytes, tuple[object, ...]]:
    with mounted(file, place, "-o", "loop,ro") as root:
        return {path: what for path, what in told(root).items() if path != b"lost+found"}


@pytest.mark.parametrize("format", FORMATS)
def test_it_holds_the_same_files_and_its_tree_checks_them(
    store: ImageStore, tree: Path, tmp_path: Path, format: RootFormat
) -> None:
    version = publish(store, tree)
    root = ensure(store, version, format)
    wanted = seen(version.root.path, tmp_path / "mnt")
    assert seen(root.path, tmp_path / "mnt") == wanted
    assert len(wanted) > 20
    assert root.verity is not None
    words = ["veritysetup", "verify", str(root.path), str(root.verity.tree.path), root.verity.root_hash.hex]
    subprocess.run(words, check=True)
    assert root.size_bytes == root.path.stat().st_size
    assert root.size_bytes % 4096 == 0
    assert ensure(store, version, format) == find_derived(version, format) == root
    assert faults(store.directory) == []
    assert find_loop(version.root.path) is None


def test_erofs_holds_acls_and_squashfs_is_refused_for_them(store: ImageStore, tmp_path: Path) -> None:
    version = publish(store, make_rich_system(tmp_path / "system"))
    wanted = seen(version.root.path, tmp_path / "mnt")
    assert "system.posix_acl_access" in str(wanted[b"etc/acl"])
    assert seen(ensure(store, version, EROFS).path, tmp_path / "mnt") == wanted
    with pytest.raises(InvalidInput, match="squashfs has no ACLs, and /etc/acl has one"):
        ensure(store, version, SQUASHFS)
    assert {file.name for file in derived_files(version)} == {"root.erofs", "root.erofs.verity", "root.erofs.json"}
    assert faults(store.directory) == []


def test_squashfs_is_refused_for_the_acl_of_the_root_folder(store: ImageStore, tree: Path) -> None:
    os.setxattr(tree, "system.posix_acl_access", ACL)
    version = publish(store, tree)
    with pytest.raises(InvalidInput, match="squashfs has no ACLs, and / has one"):
        ensure(store, version, SQUASHFS)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_version_is_the_same_bytes(
    tree: Path, tmp_path: Path, format: RootFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by one processor or several, at another time, in another environment, of another order of names on disk."""
    for number in range(300):
        (tree / f"var/lib/{number}").write_text(f"{number % 7}" * 5000)
        os.utime(tree / f"var/lib/{number}", (1.6e9, 1.6e9))
    os.utime(tree / "var/lib", (1.6e9, 1.6e9))
    stores = [ImageStore(tmp_path / name / "images") for name in ("a", "b")]
    one = publish(stores[0], tree)
    other = publish(stores[1], tree, hashed=True)
    assert orders(one, tmp_path) != orders(other, tmp_path)
    first = ensure(stores[0], one, format, processors=1)
    wanted = first.path.read_bytes()
    assert drop_derived(one)
    time.sleep(1.1)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000")
    umask = os.umask(0o077)
    try:
        again = ensure(stores[0], one, format, processors=4)
    finally:
        os.umask(umask)
    elsewhere = ensure(stores[1], other, format, processors=2)
    assert again.path.read_bytes() == wanted
    assert elsewhere.path.read_bytes() == wanted
    assert {each.verity and each.verity.root_hash for each in (first, again, elsewhere)} == {
        first.verity and first.verity.root_hash
    }
    assert oct(again.path.stat().st_mode) == oct(0o100444)


def orders(version: Version, tmp_path: Path) -> list[str]:
    with mounted(version.root.path, tmp_path / "mnt", "-o", "loop,ro") as root:
        return [path.name for path in (root / "var/lib").iterdir()]


def test_of_a_version_that_is_stored_as_changes(store: ImageStore, tree: Path, tmp_path: Path) -> None:
    one = publish(store, tree)
    (tree / "etc/new").write_text("new")
    other = publish(ImageStore(tmp_path / "other/data/images"), tree)
    two = publish_delta(store, one, other.root.path)
    assert not two.root.path.exists()
    root = ensure(store, two, EROFS)
    assert b"etc/new" in seen(root.path, tmp_path / "mnt")


def test_what_is_damaged_is_found_and_made_anew(store: ImageStore, tree: Path) -> None:
    version = publish(store, tree)
    roots = [ensure(store, version, format) for format in FORMATS]
    before = [root.path.read_bytes() for root in roots]
    assert roots[0].verity
    for file, what in (
        (roots[0].path, b"\xff"),
        (roots[1].path, None),
        (roots[0].verity.tree.path, b"\xff"),
        (version.folder / "root.erofs.json", b"\xff"),
    ):
        break_(file, what)
        found = [fault for fault in faults(store.directory) if fault.is_damage]
        assert [fault.path for fault in found] == [file]
        assert mend(store, found[0])
        assert faults(store.directory) == []
        assert [root.path.read_bytes() for root in roots] == before


def break_(file: Path, what: bytes | None) -> None:
    file.chmod(0o644)
    with file.open("r+b") as target:
        if what is None:
            target.truncate(4096)
        else:
            target.seek(5000 if file.stat().st_size > 5000 else 0)
            target.write(what)


def test_it_goes_when_nobody_needs_the_version(store: ImageStore, tree: Path) -> None:
    one = publish(store, tree)
    ensure(store, one, EROFS)
    gc(store, None)
    assert find_derived(one, EROFS) is not None  # the newest is needed
    two = publish(store, tree)
    ensure(store, two, EROFS)
    gc(store, None)
    assert derived_files(one) == []
    assert find_derived(two, EROFS) is not None
    ensure(store, one, EROFS)
    with_loop = subprocess.run(
        ["losetup", "--find", "--show", "--read-only", one.folder / "root.erofs"], capture_output=True, text=True
    ).stdout.strip()
    try:
        gc(store, None)
        assert find_derived(one, EROFS) is not None  # somebody uses it
    finally:
        subprocess.run(["losetup", "--detach", with_loop], check=True)
    remove(store, one)
    assert not one.folder.exists()
    assert faults(store.directory) == []


def test_commands_make_it_and_tell_of_it(store: ImageStore, tree: Path) -> None:
    version, cli = publish(store, tree), Cli(store.directory.parent)
    assert cli.ok("image", "list", "--json").json[0]["derived"] == []
    said = cli.ok("image", "derive", "debian", "--format", "squashfs", "--json").json
    root = find_derived(version, SQUASHFS)
    assert root is not None and root.verity is not None
    assert said == {
        "format": "squashfs",
        "path": str(root.path),
        "size_bytes": root.size_bytes,
        "root_hash": root.verity.root_hash.hex,
        "tree": str(root.verity.tree.path),
    }
    shown = cli.ok("image", "show", "debian", "--json").json
    assert shown["derived"] == [said]
    assert shown["made_bytes"] >= root.path.stat().st_blocks * 512
    assert root.verity.root_hash.hex in cli.ok("image", "show", "debian").stdout
    assert "debian:1 is there as erofs" in cli.ok("image", "derive", "debian:1").stdout
    assert cli("image", "derive", "debian:2").code == 3
    publish(store, tree)
    pieces = cli.ok("image", "gc", "--json").json
    assert [(each["what"], each["name"]) for each in pieces] == [("derived", "debian:1")]
    assert pieces[0]["size_bytes"] > root.size_bytes
    assert cli.ok("image", "fsck").stdout == "all is whole\n"


def test_a_program_that_is_missing_is_named_with_its_package(
    store: ImageStore, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = publish(store, tree)
    monkeypatch.setenv("PATH", str(tmp_path))
    for format, package in ((EROFS, "erofs-utils"), (SQUASHFS, "squashfs-tools")):
        with pytest.raises(Unavailable, match=MAKERS[format]) as caught:
            ensure(store, version, format)
        assert caught.value.hint == f"apt-get install {package}"
    assert faults(store.directory) == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_nothing(tree: Path, tmp_path: Path, format: RootFormat) -> None:
    (tree / "var/lib/noise").write_bytes(random.randbytes(3 * MIB))
    publish(ImageStore(tmp_path / "first/images"), tree)
    with mounted("none", tmp_path / "small", "-t", "tmpfs", "-o", "size=64M"):
        images = tmp_path / "small/images"
        subprocess.run(["cp", "-a", tmp_path / "first/images", images], check=True)
        store = ImageStore(images)
        for leave in (0, 4096, MIB, 2 * MIB):
            take_all(tmp_path / "small/filler", leave=leave)
            with pytest.raises(Unavailable, match="No space left on device") as caught:
                ensure(store, store.list()[0], format)
            (tmp_path / "small/filler").unlink()
            assert caught.value.hint == "free some: netboot image gc, netboot image rm"
            assert faults(images) == []
        assert ensure(store, store.list()[0], format).size_bytes > 3 * MIB


@pytest.mark.timeout(900)
@pytest.mark.parametrize("format", FORMATS)
def test_killed_at_each_of_its_steps(store: ImageStore, tree: Path, format: RootFormat) -> None:
    images, version = store.directory, publish(store, tree)
    step = 0
    while True:
        step += 1
        if not killed_at(step, images, partial(ensure, ImageStore(images), version, format)):
            break
        assert damage(images) == [], f"killed at step {step}"
        assert find_derived(version, format) is None or list(damage_of(version)) == []
        if step % 2:
            for fault in faults(images):
                assert mend(store, fault), f"killed at step {step}: {fault}"
            assert faults(images) == [], f"killed at step {step}"
        drop_derived(version)
    assert step > 10, "nothing was killed"
    assert faults(images) == []
    assert find_derived(version, format) is not None


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_killed_while_the_program_runs(
    store: ImageStore, tree: Path, format: RootFormat, number: signal.Signals
) -> None:
    """The program ends with us, and so do its mounts; the next one makes it."""
    for index in range(4):
        (tree / f"var/lib/noise-{index}").write_bytes(random.randbytes(3 * MIB))
    version = publish(store, tree)
    argv = [*NETBOOT, "--data-dir", str(store.directory.parent), "image", "derive", "debian", "--format", format]
    deriving = subprocess.Popen(argv, env=environ(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (makers := list(children(deriving.pid, MAKERS[format]))) and deriving.poll() is None:
        time.sleep(0.001)
    assert makers, "it was never seen"
    deriving.send_signal(number)
    assert deriving.wait(30) in (-number, 130)
    deadline = time.monotonic() + 20
    while any(lives(pid) for pid in makers) or find_loop(version.root.path):
        assert time.monotonic() < deadline, "something outlived it"
        time.sleep(0.01)
    assert derived_files(version) == []
    if number == signal.SIGINT:
        assert not (version.folder / WORK_NAME).exists()
    for fault in faults(store.directory):
        assert not fault.is_damage
        assert mend(store, fault)
    assert faults(store.directory) == []
    assert subprocess.run(argv, env=environ(), capture_output=True).returncode == 0


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def children(parent: int, name: str) -> Iterator[int]:
    """Its processes of this name."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.read_text().split(" (", 1)
        except OSError:
            continue
        comm, rest = rest.rsplit(") ", 1)
        if comm == name and int(rest.split()[1]) == parent:
            yield int(pid)


def test_of_several_that_need_it_one_makes_it(store: ImageStore, tree: Path) -> None:
    version = publish(store, tree)
    argv = [*NETBOOT, "--data-dir", str(store.directory.parent), "image", "derive", "debian", "--json"]
    several = [subprocess.Popen(argv, env=environ(), stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [json.loads(each.communicate(timeout=60)[0]) for each in several]
    assert [each.returncode for each in several] == [0, 0, 0]
    assert said[0] == said[1] == said[2]
    root: Root | None = find_derived(version, EROFS)
    assert root is not None
    assert faults(store.directory) == []
    shutil.rmtree(store.directory)
