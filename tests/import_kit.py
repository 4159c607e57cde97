"""Systems for imports, as other tools make them, and what an import makes of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netboot import initramfs
from netboot.images.importer.options import ImportOptions
from netboot.images.importer.source import FILLS, identify
from netboot.images.transfer.entry import Entry
from netboot.images.transfer.writer import TreeWriter
from tests.tar_kit import seen
from tests.tree_kit import add_shell, make_system

MIB = 1 << 20
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
ACL = bytes.fromhex("0200000001000600ffffffff02000400e803000004000400ffffffff10000600ffffffff20000400ffffffff")
TAR = ["tar", "--xattrs", "--xattrs-include=*", "--acls", "--format=pax", "--numeric-owner"]


def make_rich_system(tree: Path) -> Path:
    """A small system with everything that a file can have."""
    make_system(tree)
    (tree / "dev").mkdir()
    os.mknod(tree / "dev/null", 0o020666, os.makedev(1, 3))
    os.mknod(tree / "dev/sda1", 0o060660, os.makedev(8, 1))
    os.mkfifo(tree / "run/fifo", 0o600)
    ping = tree / "usr/bin/ping"
    ping.parent.mkdir()
    ping.write_bytes(os.urandom(70_000))
    os.link(ping, tree / "usr/bin/ping6")
    os.chown(ping, 0, 65534)
    ping.chmod(0o4750)
    os.setxattr(ping, "security.capability", CAPABILITY)
    os.setxattr(ping, "user.note", b"\0\xff=\n")
    (tree / "etc/acl").write_text("acl")
    os.setxattr(tree / "etc/acl", "system.posix_acl_access", ACL)
    with (tree / "var/lib/sparse").open("wb") as sparse:
        sparse.truncate(5 * MIB)
        sparse.seek(3 * MIB)
        sparse.write(b"data")
    os.chown(tree / "root", 1000, 100_000)
    (tree / "root/ünïcode \n name").write_text("x")
    (tree / "root" / ("n" * 200)).symlink_to("t" * 300)
    for index, path in enumerate(sorted(tree.rglob("*"), reverse=True)):
        os.utime(path, (1_600_000_000 + index, 1_600_000_000 + index), follow_symlinks=False)
    return tree


def fill(source: Path, place: Path, **options: object) -> tuple[Path, tuple[str, ...]]:
    """What an import makes of a source, before it becomes an image."""
    chosen = ImportOptions(**options)  # type: ignore[arg-type]
    tree, scratch = place / "imported", place / "scratch"
    for each in (tree, scratch):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir()
    steps: list[tuple[int, int]] = []
    with TreeWriter(tree, chosen.limits) as writer:
        notices = FILLS[identify(source)](source, writer, chosen, scratch, lambda *step: steps.append(step))
    assert all(0 <= done <= total for done, total in steps)
    return tree, notices


def told(tree: Path) -> dict[bytes, tuple[object, ...]]:
    """Names with owners, rights, labels, times, links, devices and content; holes are nobody's business."""
    return {entry.path: _plain(entry, content) for entry, content in seen(tree)}


def _plain(entry: Entry, content: bytes) -> tuple[object, ...]:
    # The root itself has the time of its last change.
    time_ns = entry.mtime_ns if entry.path else 0
    what = (entry.kind, oct(entry.mode), entry.uid, entry.gid, entry.size, entry.target, entry.device)
    return (*what, time_ns, sorted(entry.xattrs.items()), hashlib.sha256(content).hexdigest())


@contextmanager
def mounted(source: str | Path, place: Path, *options: str) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, source, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def blank(file: Path, size: int) -> Path:
    with file.open("wb") as disk:
        disk.truncate(size)
    return file


def make_filesystem(kind: str, tree: Path, file: Path) -> Path:
    """A file system of this kind that holds the tree."""
    if kind in ("squashfs", "erofs"):
        argv = ["mksquashfs", str(tree), str(file), "-quiet"] if kind == "squashfs" else ["mkfs.erofs", file, tree]
        subprocess.run([str(word) for word in argv], check=True, capture_output=True)
        return file
    blank(file, 320 * MIB)
    subprocess.run([f"mkfs.{kind}", "-q", file], check=True, capture_output=True)
    with mounted(file, file.with_suffix(".mnt"), "-o", "loop") as place:
        subprocess.run(["cp", "-a", f"{tree}/.", place], check=True)
    return file


_SCRIPTS = {
    "usr/sbin/mkinitramfs": '#!/bin/sh\n[ "$1" = -o ] && echo "initrd for $3" >"$2"\n',
    "usr/bin/lsinitramfs": "#!/bin/sh\ncat <<'END'\n" + "\n".join(initramfs.INITRAMFS_TOOLS.required) + "\nEND\n",
    "usr/bin/systemctl": '#!/bin/sh\necho "$@" >>/etc/enabled\n',
}


def make_bootable_system(tree: Path, *, within: Callable[[Path], Path] = make_system) -> Path:
    """A system of busybox that makes its own initrd, as far as an import looks."""
    within(tree)
    add_shell(tree)
    for name, text in _SCRIPTS.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        (tree / name).chmod(0o755)
    (tree / "usr/lib/systemd").mkdir()
    shutil.copyfile(tree / "bin/busybox", tree / "usr/lib/systemd/systemd")
    for version in ("6.1.0-9", "6.1.0-10"):
        (tree / f"boot/vmlinuz-{version}").write_text(f"kernel {version}")
    return tree
