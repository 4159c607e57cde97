"""What configfs holds is read from a tree of the same shape; tests/appliance reads the kernel's own."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.exports.lio_tree import LioTree
from netboot.exports.targets import Chap, Initiator, Lun, Observed, Target

PREFIX = "netboot-94a6b447."
NAME = "iqn.2018-05.arpa.home.netboot:debian.1.ext4"
CLIENT = "iqn.2018-05.arpa.home.netboot:client.lab-1"


@pytest.fixture
def tree(tmp_path: Path) -> LioTree:
    (tmp_path / "target/core/alua").mkdir(parents=True)
    (tmp_path / "target/iscsi/discovery_auth").mkdir(parents=True)
    return LioTree(PREFIX, configfs=tmp_path, sys_block=tmp_path / "block")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def add_store(tree: LioTree, index: int, name: str, file: str, *, read_only: bool = True) -> Path:
    """A backstore as Linux 6.1 tells of it."""
    store = tree.backstores / f"iblock_{index}" / name
    info = (
        "Status: ACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 2560\n"
        f"        iBlock device: loop{index}  UDEV PATH: /dev/loop{index}  readonly: {int(read_only)}\n"
        f"        Major: 7 Minor: {index}  CLAIMED: IBLOCK\n"
    )
    write(store / "info", info)
    write(tree.path.parent / f"block/loop{index}/loop/backing_file", f"{file}\n")
    return store


def add_target(tree: LioTree, name: str, *stores: Path, portal: str = "10.9.0.1:3260") -> Path:
    tpg = tree.targets / name / "tpgt_1"
    for number, store in enumerate(stores):
        lun = tpg / f"lun/lun_{number}"
        lun.mkdir(parents=True)
        (lun / "8648e44dae").symlink_to(store)
        write(lun / "alua_tg_pt_gp", "")
    (tpg / "np" / portal).mkdir(parents=True)
    (tpg / "acls").mkdir()
    write(tpg / "dynamic_sessions", "")
    return tpg


def add_acl(tpg: Path, name: str, user: str, secret: str, *, info: str) -> None:
    write(tpg / "acls" / name / "auth/userid", f"{user}\n")
    write(tpg / "acls" / name / "auth/password", f"{secret}\n")
    write(tpg / "acls" / name / "info", info)


def test_a_target_is_read_with_its_disks_and_who_may_and_does(tree: LioTree) -> None:
    root = add_store(tree, 3, f"{PREFIX}debian.1.ext4.0", "/srv/net boot/root.ext4")
    own = add_store(tree, 4, f"{PREFIX}debian.1.ext4.1", "/srv/own", read_only=False)
    tpg = add_target(tree, NAME, root, own)
    add_acl(tpg, CLIENT, "lab-1", "secret-of-lab-1", info=f"InitiatorName: {CLIENT}\nInitiatorAlias:\n")
    other = CLIENT.replace("lab-1", "lab-2")
    add_acl(tpg, other, "NULL", "NULL", info=f"No active iSCSI Session for Initiator Endpoint: {other}\n")
    write(tpg / "dynamic_sessions", "iqn.2003-01.org.example:somebody\n")
    target = Target(
        name=NAME,
        luns=(
            Lun(number=0, path=Path("/srv/net boot/root.ext4")),
            Lun(number=1, path=Path("/srv/own"), writable=True),
        ),
        networks=None,
        portals=(IPv4Address("10.9.0.1"),),
        initiators=(
            Initiator(name=CLIENT, chap=Chap(user="lab-1", secret="secret-of-lab-1")),
            Initiator(name=other),
        ),
    )
    assert tree.observed(NAME) == Observed(target=target, users=frozenset({CLIENT, "iqn.2003-01.org.example:somebody"}))
    assert tree.names() == [NAME]
    assert tree.free_index() == 5


def test_targets_of_others_are_not_ours_whatever_they_are_called(tree: LioTree) -> None:
    add_target(tree, NAME, add_store(tree, 0, "disk", "/srv/disk"))
    add_target(tree, f"{NAME}x", add_store(tree, 1, "netboot-00000000.debian.1.ext4x.0", "/other/root.ext4"))
    add_target(tree, "iqn.2003-01.org.example:disk", add_store(tree, 2, f"{PREFIX}x", "/srv/disk"))
    assert [tree.observed(name) for name in tree.names()] == [None, None]


def test_a_target_that_was_half_made_is_ours_and_empty(tree: LioTree) -> None:
    (tree.targets / NAME).mkdir()
    assert tree.observed(NAME) == Observed(target=Target(name=NAME, luns=(), networks=None, portals=()))
    assert tree.observed(f"{NAME}x") is None


def test_backstores_that_no_target_has_are_found(tree: LioTree) -> None:
    add_target(tree, NAME, add_store(tree, 0, f"{PREFIX}debian.1.ext4.0", "/srv/root.ext4"))
    lost = add_store(tree, 1, f"{PREFIX}debian.2.ext4.0", "/srv/root.ext4")
    add_store(tree, 2, "disk", "/srv/disk")
    assert list(tree.orphans()) == [lost]


@pytest.mark.parametrize(
    ("portal", "shared"),
    [("0.0.0.0:3260", "0.0.0.0"), ("[::0]:3260", "[::0]"), ("10.9.0.1:3260", None), ("0.0.0.0:3261", None)],
)
def test_anothers_portal_at_all_addresses_is_seen(tree: LioTree, portal: str, shared: str | None) -> None:
    add_target(tree, NAME, add_store(tree, 0, f"{PREFIX}debian.1.ext4.0", "/srv/root.ext4"), portal="0.0.0.0:3260")
    assert tree.shared_portal() is None
    add_target(tree, "iqn.2003-01.org.example:disk", add_store(tree, 1, "disk", "/srv/disk"), portal=portal)
    assert tree.shared_portal() == shared
    found = tree.observed(NAME, shared=shared is not None)
    assert found is not None
    assert found.target.portals == (None if shared else (IPv4Address("0.0.0.0"),))


def test_where_there_is_no_lio_there_are_no_targets(tmp_path: Path) -> None:
    assert LioTree(PREFIX, configfs=tmp_path).names() == []
