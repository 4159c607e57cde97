from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from netboot.exports.own_disk import OwnDisk, disk_for, outdated, parse_disk, target_of
from netboot.exports.targets import Initiator, check
from netboot.model.root import Persistence
from tests.kit import MAC, OTHER_MAC

KEPT = OwnDisk(mac=MAC, image="debian", number=3)
ANY = replace(KEPT, generation=1)


def made(generation: int, number: int = 3) -> OwnDisk:
    return OwnDisk(mac=MAC, image="debian", number=number, generation=generation)


def test_all_that_is_known_of_a_disk_stands_in_its_name() -> None:
    assert [each.file_name for each in (KEPT, made(12))] == ["debian.3.keep.ext4", "debian.3.reset-12.ext4"]
    assert [each.persistence for each in (KEPT, made(12))] == [Persistence.KEEP, Persistence.RESET]
    assert KEPT.target_name == "iqn.2018-05.arpa.home.netboot:525400000001.debian.3.keep"


@pytest.mark.parametrize(
    "name",
    [
        "debian.3.keep.json",
        ".debian.3.keep.ext4.new",
        "debian.03.keep.ext4",
        "debian.3.reset-0.ext4",
        "x",
        "..1.keep.ext4",
    ],
)
def test_other_files_are_no_disks(name: str) -> None:
    assert parse_disk(MAC, name) is None


def test_a_kept_disk_is_found_again() -> None:
    assert disk_for(KEPT, [made(1), replace(KEPT, number=2)], touched=()) == KEPT
    assert disk_for(KEPT, [made(1), KEPT], touched=[made(1)]) == KEPT


def test_a_boot_gets_a_new_disk_unless_nobody_wrote_to_the_newest() -> None:
    assert disk_for(ANY, [KEPT], touched=()) == made(1)
    assert disk_for(ANY, [made(1), made(2)], touched=[made(1)]) == made(2)
    assert disk_for(ANY, [made(1), made(2)], touched=[made(2)]) == made(3)
    assert disk_for(ANY, [made(4, number=2)], touched=()) == made(5)


def test_a_disk_goes_once_its_client_wrote_to_a_newer_one() -> None:
    disks = [KEPT, made(1), made(2), made(3)]
    assert list(outdated(disks, touched=[])) == []
    assert list(outdated(disks, touched=[made(1)])) == []
    assert list(outdated(disks, touched=[KEPT, made(1), made(2)])) == [made(1)]
    assert list(outdated(disks, touched=[made(3)])) == [made(1), made(2)]


def test_a_target_is_writable_and_for_one_alone() -> None:
    one = Initiator(name="iqn.2018-05.arpa.home.netboot:client.lab-01")
    targets = [
        target_of(disk, Path("/x"), one, first_lun=1)
        for disk in (KEPT, made(1), made(2), replace(KEPT, mac=OTHER_MAC), replace(KEPT, number=4))
    ]
    for target in targets:
        check(target)
        assert target.initiators == (one,)
        assert not target.networks
        assert [(each.number, each.writable) for each in target.luns] == [(1, True)]
    assert len({each.name for each in targets}) == len(targets)
