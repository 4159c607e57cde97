"""Boots of one client in any order: it never loses the disk that it runs from, and never gets a used one as new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netboot.exports.own_disk import OwnDisk, disk_for, outdated, parse_disk
from netboot.model.mac import MacAddress
from tests.kit import MAC

IMAGES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda name: ".." not in name)


@given(
    st.builds(
        OwnDisk,
        mac=st.just(MAC),
        image=IMAGES,
        number=st.integers(1, 10**6),
        generation=st.integers(0, 10**6),
    )
)
def test_a_disk_is_read_back_from_its_name(disk: OwnDisk) -> None:
    assert parse_disk(MAC, disk.file_name) == disk
    assert disk.file_name.startswith(f"{disk.stem}.")


@given(st.lists(st.tuples(st.sampled_from(["fetch", "boot", "tidy"]), st.integers(1, 2)), max_size=30))
def test_whoever_runs_from_a_disk_has_it_until_it_boots_again(doings: list[tuple[str, int]]) -> None:
    there: set[OwnDisk] = set()
    touched: set[OwnDisk] = set()
    runs_from: OwnDisk | None = None
    for what, number in doings:
        wanted = OwnDisk(mac=MacAddress(MAC.octets), image="a", number=number, generation=1)
        if what == "tidy":
            there -= set(outdated(there, touched=touched))
        else:
            disk = disk_for(wanted, there, touched=touched)
            assert disk == disk_for(wanted, there | {disk}, touched=touched)
            assert (disk.label, disk in touched) == (wanted.label, False)
            there.add(disk)
            if what == "boot":
                touched.add(disk)
                runs_from = disk
        assert runs_from is None or runs_from in there
    there -= set(outdated(there, touched=touched))
    assert len(there & touched) <= 1
