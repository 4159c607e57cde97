from __future__ import annotations

from pathlib import Path

import pytest

from netboot.errors import NetbootError
from netboot.system.mounts import Mount, mounted, parse_mountinfo, unmount

# proc(5): optional fields stand before the dash, any number of them.
LINES = r"""
22 1 253:0 / / rw,relatime - ext4 /dev/vda rw
90 22 7:3 / /srv/netboot/exports/a/1 ro,nosuid,nodev,relatime shared:1 master:2 - ext4 /dev/loop3 ro
91 22 0:44 / /mnt/with\040blank\134and rw - nfs4 10.9.0.1:/x\040y rw
""".lstrip()


def test_mountinfo_is_read_with_its_escapes_and_optional_fields() -> None:
    root, export, odd = parse_mountinfo(LINES)
    assert root == Mount(target=Path("/"), fstype="ext4", source="/dev/vda", options=("rw", "relatime"))
    assert (export.source, export.read_only) == ("/dev/loop3", True)
    assert (odd.target, odd.source) == (Path("/mnt/with blank\\and"), "10.9.0.1:/x y")


def test_the_root_is_mounted_and_a_fresh_folder_is_not(tmp_path: Path) -> None:
    assert mounted(Path("/proc")) is not None
    assert mounted(tmp_path) is None


def test_unmounting_what_is_not_mounted_says_so(tmp_path: Path) -> None:
    with pytest.raises(NetbootError, match="cannot unmount"):
        unmount(tmp_path)
