"""What a stock kernel makes of our deltas and hash trees, and what we make of its own snapshots.

One test, since the machine takes the better part of a minute to boot in emulation.  The commands are those that
docs/images.md tells people to type; images are compared by the SHA-256 of every bit.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from netboot.errors import Unavailable
from netboot.images import delta
from netboot.images.cow import open_cow
from netboot.system.sparse import SparseFile
from tests.appliance.conftest import Workbench
from tests.appliance.machine import Appliance
from tests.appliance.stock import LARGER_SIZE, SIZE, Stock

pytestmark = [pytest.mark.walls, pytest.mark.timeout(900)]

MERGED_S = 200.0

# Chunks that lie alone, from the last to the first, so that their records are not in order and merge one by one.
WRITER = """
import os
device = os.open("/dev/mapper/own", os.O_WRONLY)
for number in range(4500, 300, -3):
    os.pwrite(device, number.to_bytes(4, "big") * 1024, number * 4096)
    if number % 100 == 0:
        os.fsync(device)
os.fsync(device)
"""
# Let a merge begin, and stop it before it is done.  The status counts the sectors that are still taken.
TAKEN = "$(dmsetup status merging | cut -d' ' -f4 | cut -d/ -f1)"
INTERRUPT = f"all={TAKEN}; until [ {TAKEN} -lt $((all - 800)) ]; do sleep 0.1; done; dmsetup remove merging"


def test_a_stock_kernel_reads_merges_and_checks_what_we_write(workbench: Workbench) -> None:
    server, stock = workbench.server, workbench.stock
    assert_versions_are_seen_through_their_deltas(server, stock)
    assert_deltas_merge_in_both_directions(server, stock)
    assert_blocks_are_checked(server, stock)
    assert_we_read_what_the_kernel_wrote(workbench)
    assert server.run("dmsetup ls") == "No devices found\n"


def assert_versions_are_seen_through_their_deltas(server: Appliance, stock: Stock) -> None:
    look(server, "a", "ab")
    assert seen(server) == stock.sha256("b")
    server.run("mkdir -p /run/b && mount -o ro /dev/mapper/next /run/b")
    assert server.run("cd /run/b/usr/lib && cat /run/b/etc/motd && echo * && cd /mnt") == (
        "the second version\nlarge.so part0 part1 part2 part4 part5 part6\n"
    )
    server.run("umount /run/b")
    close(server)
    for base, change, version in (("a", "aa", "a"), ("a", "af", "f"), ("f", "fa", "a")):
        look(server, base, change)
        assert seen(server) == stock.sha256(version), change
        close(server)
    # What the empty area behind a full one is there for.
    server.run("head -c -4096 af > cut")
    with pytest.raises(Unavailable, match="Input/output error"):
        look(server, "a", "cut")
    server.run("losetup --detach $base $delta")
    look(server, "a", "ab.large", sectors=64)
    assert seen(server) == stock.sha256("b")
    close(server)
    assert_chains_are_seen(server, stock)


def assert_chains_are_seen(server: Appliance, stock: Stock) -> None:
    """Over a parent that is padded to the size of the larger version; and over a larger one, cut off."""
    server.run(f"cp --sparse=always a padded && truncate --size {LARGER_SIZE} padded")
    look(server, "padded", "ab")
    server.run("last=$(losetup --find --show --read-only bc)")
    server.run(
        'dmsetup create --readonly last --table "0 $(blockdev --getsz $base) snapshot /dev/mapper/next $last P 8"'
    )
    assert seen(server, "last") == stock.sha256("c")
    server.run("dmsetup remove last && losetup --detach $last")
    close(server)
    look(server, "padded", "ac")
    assert seen(server) == stock.sha256("c")
    close(server)
    look(server, "c", "cb")
    assert server.run(f"head -c {SIZE} /dev/mapper/next | sha256sum").split()[0] == stock.sha256("b")
    close(server)


def assert_deltas_merge_in_both_directions(server: Appliance, stock: Stock) -> None:
    server.run("cp --sparse=always a merged")
    for change, version in (("ab", "b"), ("ba", "a"), ("af", "f"), ("fa", "a"), ("aa", "a")):
        merge(server, change, stock.sha256(version))
        assert server.run("sha256sum merged").split()[0] == stock.sha256(version), change
    server.run(f"truncate --size {LARGER_SIZE} merged")
    merge(server, "ac", stock.sha256("c"))
    assert server.run("sha256sum merged").split()[0] == stock.sha256("c")
    merge(server, "cb", None)
    server.run(f"truncate --size {SIZE} merged")
    assert server.run("sha256sum merged").split()[0] == stock.sha256("b")


def merge(server: Appliance, change: str, expected: str | None) -> None:
    """As documented; before it waits for the end, the device must be the new version already."""
    server.run(f"cp --sparse=always {change} used && ln -sf merged root.ext4 && ln -sf used root.delta")
    server.run("sed '/^# A status/,$d' merge.sh > begin.sh && sed '1,/^# A status/d' merge.sh > end.sh")
    server.run(". ./begin.sh")
    if expected:
        assert seen(server) == expected, change
    server.run(". ./end.sh", timeout_s=MERGED_S)
    server.run("sync")


def assert_blocks_are_checked(server: Appliance, stock: Stock) -> None:
    server.run(f"root_hash={stock.root.hex} && ln -sf b.verity root.verity && ln -sf b root.ext4 && . ./check.sh")
    assert seen(server, "checked") == stock.sha256("b")
    server.run("veritysetup close checked && losetup --detach $data")

    look(server, "a", "ab")
    server.run("veritysetup open /dev/mapper/next checked root.verity $root_hash")
    assert seen(server, "checked") == stock.sha256("b")
    server.run("veritysetup close checked")
    close(server)

    server.run("ln -sf bad root.ext4 && . ./check.sh")
    reads = "dd if=/dev/mapper/checked of=/dev/null bs=4096 count=1 iflag=direct"
    server.run(f"{reads} skip={stock.bad_block - 1}")
    assert "Input/output error" in server.run(f"{reads} skip={stock.bad_block} 2>&1 || true")
    assert server.run("dmsetup status checked").split()[-1] == "C"
    server.run("veritysetup close checked && losetup --detach $data")


def assert_we_read_what_the_kernel_wrote(workbench: Workbench) -> None:
    """A snapshot that a kernel keeps, written to through a file system and by blocks; then half merged."""
    server, size = workbench.server, SIZE
    server.run('dmsetup create own --table "0 $(blockdev --getsz /dev/vdd) snapshot /dev/vdd /dev/vdc P 8"')
    server.run("mkdir -p /run/own && mount /dev/mapper/own /run/own")
    server.run("cp -r /etc /run/own/etc/more && rm -r /run/own/usr/lib/part2 && umount /run/own")
    server.run(f"python3 -c '{WRITER}'", timeout_s=MERGED_S)
    expected = seen(server, "own")
    server.run("dmsetup remove own && blockdev --flushbufs /dev/vdc")
    with (
        SparseFile.open(workbench.snapshot) as snapshot,
        SparseFile.open(workbench.stock.folder / "a", writable=True) as origin,
    ):
        written = open_cow(snapshot)
        assert len(written) > 1400
        assert list(written.news) != sorted(written.news)
        assert bits(delta.Overlay(origin, written, size).read(0, size)) == expected
        delta.apply(written, origin, size_bytes=size)
        assert bits(origin.read(0, size)) == expected

    server.run('dmsetup create merging --table "0 $(blockdev --getsz /dev/vdd) snapshot-merge /dev/vdd /dev/vdc P 8"')
    server.run(f"{INTERRUPT}; blockdev --flushbufs /dev/vdc /dev/vdd", timeout_s=MERGED_S)
    with SparseFile.open(workbench.snapshot) as snapshot, SparseFile.open(workbench.origin) as origin:
        left = open_cow(snapshot)
        assert 0 < len(left) < len(written)
        assert bits(origin.read(0, size)) != expected
        assert bits(delta.Overlay(origin, left, size).read(0, size)) == expected


def look(server: Appliance, base: str, change: str, *, sectors: int = 8) -> None:
    server.run(f"ln -sf {base} root.ext4 && ln -sf {change} root.delta && sed 's/P 8/P {sectors}/' look.sh > look")
    server.run(". ./look")


def close(server: Appliance) -> None:
    server.run("dmsetup remove next && losetup --detach $base $delta")


def seen(server: Appliance, device: str = "next") -> str:
    """The SHA-256 of all that a device gives."""
    return server.run(f"sha256sum /dev/mapper/{device}").split()[0]


def bits(content: bytes) -> str:
    return sha256(content).hexdigest()
