"""Which kernel of a system is booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.errors import NetbootError
from netboot.images.kernel import kernel_versions, natural, newest_kernel


def tree_with(folder: Path, *names: str) -> Path:
    (folder / "boot").mkdir()
    for name in names:
        (folder / "boot" / name).write_bytes(b"x")
    return folder


def test_the_newest_by_number_not_by_letter(tmp_path: Path) -> None:
    tree = tree_with(
        tmp_path, "vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-10-amd64", "initrd.img-6.1.0-10-amd64", "config-7"
    )
    assert kernel_versions(tree) == ("6.1.0-9-amd64", "6.1.0-10-amd64")
    assert newest_kernel(tree).version == "6.1.0-10-amd64"
    assert newest_kernel(tree).initrd == tree / "boot/initrd.img-6.1.0-10-amd64"


def test_links_out_of_the_system_are_no_kernels(tmp_path: Path) -> None:
    tree = tree_with(tmp_path)
    (tree / "boot/vmlinuz-9").symlink_to("/etc/shadow")
    with pytest.raises(NetbootError, match="no kernel"):
        newest_kernel(tree)


def test_a_kernel_without_initrd_is_named_with_the_way_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(NetbootError, match="has no initrd") as caught:
        newest_kernel(tree_with(tmp_path, "vmlinuz-6.2"))
    assert caught.value.hint and "update-initramfs" in caught.value.hint


def test_any_names_can_be_compared() -> None:
    assert sorted(["6.1", "rc", "6.1-rc", ""], key=natural)[0] == ""
