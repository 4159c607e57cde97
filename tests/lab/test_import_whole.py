"""From a source to a version that can be booted, and what stops an import on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli_kit import Cli
from tests.import_kit import make_bootable_system, mounted


@pytest.fixture
def bootable(tmp_path: Path) -> Path:
    return make_bootable_system(tmp_path / "bootable")


def test_an_import_from_its_beginning_to_its_end(bootable: Path, tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    (bootable / "etc/ssh").mkdir()
    (bootable / "etc/ssh/ssh_host_rsa_key").write_text("secret")
    os.mknod(bootable / "null", 0o020666, os.makedev(1, 3))
    ran = cli.ok("image", "import", "tiny", str(bootable), "--note", "from a folder", "--json")
    assert (ran.json["image"], ran.json["number"], ran.json["kernel_version"]) == ("tiny", 1, "6.1.0-10")
    second = cli.ok("image", "import", "tiny", str(bootable), "--kernel", "6.1.0-9", "--size", "300M")
    assert second.stdout.startswith("tiny:2 is imported, 314.6 MB")
    assert "1 device nodes came with it: 'null'" in second.stderr
    folder = tmp_path / "data/images/tiny"
    assert (folder / "1/vmlinuz").read_text() == "kernel 6.1.0-10"
    assert (folder / "2/initrd.img").read_text() == "initrd for 6.1.0-9\n"
    told = json.loads((folder / "1/manifest.json").read_text())
    assert (told["origin"], told["note"]) == ({"kind": "import", "name": "bootable"}, "from a folder")
    exported = tmp_path / "again"
    exported.mkdir()
    with mounted(folder / "1/root.ext4", tmp_path / "mnt", "-o", "loop,ro") as root:
        assert (root / "etc/enabled").read_text() == "--quiet enable netboot-up.service netboot-upper.service\n"
        assert (root / "usr/share/netboot/core.sh").is_file()
        assert not (root / "etc/ssh/ssh_host_rsa_key").exists()
    assert (bootable / "etc/ssh/ssh_host_rsa_key").read_text() == "secret"
    assert not (bootable / "etc/enabled").exists()


def _refused(cli: Cli, source: Path, *options: str) -> tuple[int, str]:
    ran = cli("image", "import", "tiny", str(source), *options)
    assert cli.ok("image", "list", "--json").json == []
    staged = cli.data_dir / "images/.staging/tiny"
    assert not staged.exists() or list(staged.iterdir()) == []
    return ran.code, ran.stderr


def test_what_an_import_refuses_is_named_and_leaves_nothing(bootable: Path, tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    assert _refused(cli, tmp_path / "none")[0] == 3
    code, said = _refused(cli, bootable.parent / "bootable/usr")
    assert (code, "no system: it has no /etc/os-release" in said, "lib, sbin" in said) == (2, True, True)
    code, said = _refused(cli, bootable, "--kernel", "7")
    assert (code, "there is 6.1.0-10, 6.1.0-9" in said) == (2, True)
    code, said = _refused(cli, bootable, "--packages", "nano")
    assert (code, "has no apt" in said) == (2, True)
    code, said = _refused(cli, bootable, "--max-files", "10")
    assert (code, "more than 10 files" in said) == (2, True)
    code, said = _refused(cli, bootable, "--size", "1M")
    assert code != 0
    (bootable / "usr/sbin/mkinitramfs").rename(bootable / "usr/bin/mkinitcpio")
    code, said = _refused(cli, bootable)
    assert (code, "makes its initrd with mkinitcpio, and only initramfs-tools or dracut" in said) == (2, True)
    shutil.rmtree(bootable / "boot")
    code, said = _refused(cli, bootable)
    assert (code, "has no kernel" in said) == (2, True)
    shutil.rmtree(bootable / "usr/lib/systemd")
    arm = b"\x7fELF\2\1\1" + bytes(9) + b"\3\0\xb7\0"
    (bootable / "bin/busybox").write_bytes(arm)
    code, said = _refused(cli, bootable)
    assert (code, "a system for arm64" in said) == (2, True)


def test_a_source_that_says_nothing_of_its_root_has_one_for_everybody(bootable: Path, tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    names = sorted(each.name for each in bootable.iterdir())
    subprocess.run(["tar", "-C", bootable, "-cf", tmp_path / "a.tar", *names], check=True)
    old = os.umask(0o077)
    try:
        cli.ok("image", "import", "tiny", str(tmp_path / "a.tar"))
    finally:
        os.umask(old)
    with mounted(tmp_path / "data/images/tiny/1/root.ext4", tmp_path / "mnt", "-o", "loop,ro") as root:
        assert root.stat().st_mode & 0o7777 == 0o755
