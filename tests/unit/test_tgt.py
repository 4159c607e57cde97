from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.errors import Unavailable
from netboot.exports.iscsi_tgt import admissions, admitted
from netboot.exports.targets import Initiator, Lun, Target
from netboot.exports.tgt_accounts import moves
from netboot.exports.tgt_show import TgtTarget, parse_accounts, parse_targets, word_of
from netboot.exports.tgt_socket import Mode, Op, check_file, encode

LAB = IPv4Network("10.9.0.0/24")

# As tgtadm 1.0.85 prints it.
LISTING = (Path(__file__).parents[1] / "golden/exports/tgt-show.txt").read_text(encoding="utf-8")


def test_what_tgtd_shows_is_read() -> None:
    client = "iqn.2018-05.arpa.home.netboot:client.lab-"
    assert list(parse_targets(LISTING).values()) == [
        TgtTarget(
            number=3,
            name="iqn.2018-05.arpa.home.netboot:debian.1.ext4",
            luns=(
                Lun(number=1, path=Path("/srv/net boot/root.ext4")),
                Lun(number=2, path=Path("/srv/own"), writable=True),
            ),
            accounts=("netboot-keeper", "lab-1"),
            networks=(LAB, IPv4Network("10.8.0.7/32")),
            initiators=(f"{client}1",),
            users=frozenset({f"{client}1", f"{client}2"}),
        ),
        TgtTarget(
            number=4,
            name="iqn.2018-05.arpa.home.netboot:debian.2.ext4",
            luns=(),
            accounts=(),
            networks=(IPv4Network("0.0.0.0/0"),),
            initiators=(),
            users=frozenset(),
        ),
    ]
    assert parse_targets("") == {}
    second = "iqn.2018-05.arpa.home.netboot:debian.2.ext4"
    assert list(parse_targets(LISTING, only=[second, "iqn.2003-01.org.example:x"])) == [second]
    assert parse_accounts(LISTING) == {
        "iqn.2018-05.arpa.home.netboot:debian.1.ext4": (3, ["netboot-keeper", "lab-1"]),
        second: (4, []),
    }


@pytest.mark.parametrize(
    ("network", "word"),
    [("10.9.0.0/24", "10.9.0.0/24"), ("10.9.0.7/32", "10.9.0.7"), ("0.0.0.0/0", "ALL"), ("0.0.0.0/1", "0.0.0.0/1")],
)
def test_a_network_is_written_as_tgtd_matches_it(network: str, word: str) -> None:
    assert word_of(IPv4Network(network)) == word


def test_a_request_is_laid_out_as_tgtadms_are() -> None:
    # What tgtadm 1.0.85 sends for: --mode logicalunit --op new --tid 1 --lun 1 -b /tmp/img
    request = encode(Mode.DEVICE, Op.NEW, target=1, lun=1, text="path=/tmp/img")
    head = b"\x02\0\0\0\0\0\0\0iscsi" + bytes(59) + b"\x86\0\0\0\x01\0\0\0" + bytes(8) + b"\x01" + bytes(31)
    assert request == head + b"path=/tmp/img\0"


def test_what_tgtd_cannot_be_told_is_refused_with_the_fix() -> None:
    with pytest.raises(Unavailable, match="cannot serve"):
        check_file(Path("/srv/a,b/root.ext4"))


def test_with_names_no_address_is_enough() -> None:
    name = "iqn.2018-05.arpa.home.netboot:client.lab-1"
    target = Target(name="iqn.2018-05.arpa.home.netboot:a.1.ext4", luns=(), networks=(LAB,))
    assert admissions(target) == {"initiator-address=10.9.0.0/24"}
    listed = Target(name=target.name, luns=(), networks=(LAB,), initiators=(Initiator(name=name),))
    assert admissions(listed) == {f"initiator-name={name}"}
    seen = parse_targets(LISTING)["iqn.2018-05.arpa.home.netboot:debian.1.ext4"]
    assert admitted(seen) == {"initiator-address=10.9.0.0/24", "initiator-address=10.8.0.7", f"initiator-name={name}"}


USERS = st.lists(st.sampled_from("abcdef"), unique=True)


@given(USERS, USERS, st.sets(st.sampled_from("abcdef")))
def test_accounts_are_unbound_from_the_end_alone(bound: list[str], wanted: list[str], stale: set[str]) -> None:
    plan = moves(bound, wanted, stale=stale)
    after = list(bound)
    for user in plan.unbind:
        assert after.pop() == user
    assert not stale & set(after)
    after += plan.bind
    assert sorted(after) == sorted(wanted)


def test_what_is_bound_already_stays() -> None:
    assert not moves(["k", "a", "b"], ["k", "b", "a"]).unbind
    assert moves(["k", "a", "b"], ["k", "b", "c"]).unbind == ("b", "a")
