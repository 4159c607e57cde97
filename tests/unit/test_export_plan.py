from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.errors import InvalidInput
from netboot.exports.plan import Export, Grant, Plan, check_root, export_of, grants, make_plan
from netboot.model.root import RootForm, RootMode
from tests.kit import make_version

ROOT = Path("/srv/netboot/exports")
LAB, OFFICE = IPv4Network("10.9.0.0/24"), IPv4Network("192.168.7.0/24")


def export(number: int, *networks: IPv4Network) -> Export:
    return export_of(make_version(number=number), RootForm(RootMode.NFS), root=ROOT, networks=networks)


def grant(number: int, network: IPv4Network) -> Grant:
    return Grant(ROOT / "debian" / str(number), network)


def test_a_new_export_is_given_to_every_network() -> None:
    assert make_plan([export(1, LAB, OFFICE)], []) == Plan(give=(grant(1, LAB), grant(1, OFFICE)))


def test_a_network_that_is_added_leaves_the_others_alone() -> None:
    assert make_plan([export(1, LAB, OFFICE)], [grant(1, LAB)]) == Plan(give=(grant(1, OFFICE),))


def test_what_is_no_longer_wanted_is_withdrawn() -> None:
    assert make_plan([export(2, LAB)], [grant(1, LAB), grant(2, LAB)]) == Plan(withdraw=(grant(1, LAB),))


EXPORTS = st.lists(st.builds(export, st.integers(1, 4), st.sampled_from([LAB, OFFICE])), unique_by=lambda e: e.label)
GRANTS = st.lists(st.builds(grant, st.integers(1, 4), st.sampled_from([LAB, OFFICE])))


@given(EXPORTS, GRANTS)
def test_a_second_plan_is_empty(desired: list[Export], observed: list[Grant]) -> None:
    plan = make_plan(desired, observed)
    after = (set(observed) - set(plan.withdraw)) | set(plan.give)
    assert after == set(grants(desired))
    assert not make_plan(desired, after)


def test_a_version_lies_below_the_root_and_its_id_is_its_digests() -> None:
    made = export(7, LAB)
    assert made.path == ROOT / "debian/7"
    assert made.label == "debian:7"
    assert made.fsid == "11111111-1111-1111-1111-111111111111"


@pytest.mark.parametrize("root", ["/srv/net boot", '/srv/"', "/srv/a,b", "relative", "/srv/a;b", "/srv/a\nb"])
def test_a_root_that_nfs_or_a_kernel_line_cannot_quote_is_refused(root: str) -> None:
    with pytest.raises(InvalidInput):
        check_root(Path(root))


def test_an_ordinary_root_is_fine() -> None:
    check_root(ROOT)
