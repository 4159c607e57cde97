from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.errors import InvalidInput
from netboot.exports.iscsi import place_of, version_target
from netboot.exports.targets import (
    Add,
    Change,
    Chap,
    Initiator,
    Lun,
    Observed,
    Remove,
    Target,
    TargetPlan,
    describe,
    make_plan,
)
from netboot.model.root import RootFiles, RootFormat
from tests.kit import make_version

LAB, OFFICE = IPv4Network("10.9.0.0/24"), IPv4Network("192.168.7.0/24")
SERVER, OTHER = IPv4Address("10.9.0.1"), IPv4Address("192.168.7.1")
PREFIX = "iqn.2018-05.arpa.home.netboot"
SECRET = "correct-horse-battery"


def initiator(number: int, secret: str | None = SECRET) -> Initiator:
    chap = Chap(user=f"lab-{number}", secret=secret) if secret else None
    return Initiator(name=f"{PREFIX}:client.lab-{number}", chap=chap)


def target(number: int, *initiators: Initiator, file: str = "root.ext4") -> Target:
    return Target(
        name=f"{PREFIX}:debian.{number}.ext4",
        luns=(Lun(number=0, path=Path(f"/srv/images/debian/{number}/{file}")),),
        networks=(LAB,),
        portals=(SERVER,),
        initiators=initiators,
    )


def seen(target: Target, *users: Initiator) -> Observed:
    return Observed(target=target, users=frozenset(each.name for each in users))


def test_only_what_is_new_is_added_and_what_is_unwanted_removed() -> None:
    plan = make_plan([target(2), target(3)], [seen(target(1)), seen(target(2))])
    assert plan == TargetPlan(steps=(Remove(target(1)), Add(target(3))))


def test_a_target_that_clients_use_stays() -> None:
    assert make_plan([], [seen(target(1), initiator(1))]) == TargetPlan(kept=(target(1).name,))


def test_a_target_with_other_disks_is_made_anew_unless_it_is_used() -> None:
    old, new = target(1), target(1, file="root.erofs")
    assert make_plan([new], [seen(old)]).steps == (Remove(old), Add(new))
    assert make_plan([new], [seen(old, initiator(1))]) == TargetPlan(kept=(old.name,))


def test_an_initiator_that_is_added_touches_no_other() -> None:
    before, after = target(1, initiator(1)), target(1, initiator(1), initiator(2))
    (change,) = make_plan([after], [seen(before, initiator(1))]).steps
    assert isinstance(change, Change)
    assert (change.admit, change.expel) == ((initiator(2),), ())


def test_an_initiator_with_another_secret_is_expelled_and_admitted_even_while_it_runs() -> None:
    old, new = initiator(1), initiator(1, "another-secret-of-it")
    (change,) = make_plan([target(1, new)], [seen(target(1, old), old)]).steps
    assert isinstance(change, Change)
    assert (change.admit, change.expel) == ((new,), (old,))


def test_an_initiator_that_is_logged_in_keeps_its_permission() -> None:
    plan = make_plan([target(1, initiator(1))], [seen(target(1, initiator(1), initiator(2)), initiator(2))])
    assert plan == TargetPlan(kept=(f"{initiator(2).name} at {target(1).name}",))


def test_a_target_that_opens_for_everybody_keeps_no_list() -> None:
    (change,) = make_plan([target(1)], [seen(target(1, initiator(1)), initiator(1))]).steps
    assert isinstance(change, Change)
    assert change.expel == (initiator(1),)


def test_the_order_of_networks_and_portals_means_nothing() -> None:
    one = replace(target(1), networks=(LAB, OFFICE), portals=(SERVER, OTHER))
    other = replace(target(1), networks=(OFFICE, LAB), portals=(OTHER, SERVER))
    assert not make_plan([one], [seen(other)])


def test_another_network_or_portal_is_a_change() -> None:
    for changed in (replace(target(1), networks=(LAB, OFFICE)), replace(target(1), portals=(OTHER,))):
        assert make_plan([changed], [seen(target(1))]).steps == (Change(target(1), changed),)


def test_what_a_backend_cannot_tell_is_as_desired() -> None:
    for blind in (replace(target(1), networks=None), replace(target(1), portals=None)):
        assert not make_plan([target(1)], [seen(blind)])


TARGETS = st.lists(
    st.builds(
        lambda number, numbers, file: target(number, *map(initiator, sorted(numbers)), file=file),
        st.integers(1, 4),
        st.sets(st.integers(1, 3)),
        st.sampled_from(["root.ext4", "root.erofs"]),
    ),
    unique_by=lambda each: each.name,
)


@given(TARGETS, TARGETS, st.sets(st.integers(1, 3)))
def test_a_second_plan_is_empty_and_nobody_who_is_logged_in_loses_anything(
    desired: list[Target], there: list[Target], users: set[int]
) -> None:
    logged_in = frozenset(initiator(number).name for number in users)
    observed = [
        Observed(target=each, users=logged_in & ({i.name for i in each.initiators} or logged_in)) for each in there
    ]
    after = {each.target.name: each for each in observed}
    for step in make_plan(desired, observed).steps:
        match step:
            case Remove(gone):
                assert not after.pop(gone.name).users
            case Add(new):
                assert new.name not in after
                after[new.name] = Observed(target=new)
            case Change(before, new):
                users_of = after[new.name].users
                assert after[new.name].target == before
                assert not new.initiators or {each.name for each in before.initiators} & users_of <= {
                    each.name for each in new.initiators
                }
                after[new.name] = Observed(target=new, users=users_of)
    assert not make_plan(desired, after.values())


def test_a_plan_is_told_without_secrets() -> None:
    plan = make_plan(
        [target(2, initiator(1), initiator(2, None)), target(3, initiator(2))],
        [seen(target(1)), seen(target(3, initiator(1))), seen(target(4), initiator(1))],
    )
    assert list(describe(plan)) == [
        f"remove target {PREFIX}:debian.1.ext4",
        f"change target {PREFIX}:debian.3.ext4",
        f"  refuse {PREFIX}:client.lab-1",
        f"  admit {PREFIX}:client.lab-2 by secret",
        f"add target {PREFIX}:debian.2.ext4 for {PREFIX}:client.lab-1 by secret, {PREFIX}:client.lab-2",
        "  LUN 0: /srv/images/debian/2/root.ext4, read-only",
        f"keep {PREFIX}:debian.4.ext4, since clients run from it",
    ]
    assert SECRET not in repr(plan)


def test_networks_and_portals_are_told() -> None:
    after = replace(target(1), networks=(LAB, OFFICE), portals=(SERVER, OTHER))
    assert list(describe(make_plan([after], [seen(target(1))]))) == [
        f"change target {PREFIX}:debian.1.ext4",
        "  serve 10.9.0.0/24, 192.168.7.0/24",
        "  listen at 10.9.0.1, 192.168.7.1",
    ]


@pytest.mark.parametrize("secret", ["short", "with blank in it", "with,comma,in,it", "NULL-and-more-of-it", "ü" * 20])
def test_a_secret_that_a_backend_cannot_take_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_plan([target(1, initiator(1, secret))], [])
    assert secret not in str(caught.value)


@pytest.mark.parametrize("name", ["", "lab-1", "iqn.2018-05.arpa.home.netboot:Lab", f"{PREFIX}:{'x' * 200}", "iqn.x:y"])
def test_what_is_no_iscsi_name_is_refused(name: str) -> None:
    for wrong in (target(1, Initiator(name=name)), replace(target(1), name=name)):
        with pytest.raises(InvalidInput, match="no iSCSI name"):
            make_plan([wrong], [])


def test_what_somebody_else_added_is_taken_away_however_it_is_called() -> None:
    strange = Initiator(name="iqn.1994-05.com.example:ABC", chap=Chap(user="a b", secret="short"))
    (change,) = make_plan([target(1, initiator(1))], [seen(target(1, initiator(1), strange))]).steps
    assert isinstance(change, Change)
    assert change.expel == (strange,)


def test_a_version_is_a_target_with_its_tree_beside_it() -> None:
    made = version_target(
        make_version(number=7),
        RootFormat.EROFS,
        RootFiles(path=Path("/srv/root.erofs"), tree=Path("/srv/root.verity")),
        first_lun=1,
        networks=(LAB,),
        portals=(SERVER,),
    )
    assert made.name == "iqn.2018-05.arpa.home.netboot:debian.7.erofs"
    assert made.luns == (Lun(number=1, path=Path("/srv/root.erofs")), Lun(number=2, path=Path("/srv/root.verity")))
    assert place_of(made) == ":3260:1:iqn.2018-05.arpa.home.netboot:debian.7.erofs"
    # What initiators know a disk by is for life: another algorithm would show running clients other disks.
    assert made.serial(made.luns[0]) == "5421f7a55fd3b16d85ee79b2e93bb16a"
