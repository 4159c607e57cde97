from __future__ import annotations

import pytest

from netboot.errors import InvalidInput
from netboot.lab.network import MAX_CLIENTS, plan_lab


def test_every_client_has_its_own_name_card_tap_and_uuid() -> None:
    seats = plan_lab(MAX_CLIENTS).seats
    for facts in ("name", "mac", "tap", "uuid"):
        assert len({getattr(seat, facts) for seat in seats}) == MAX_CLIENTS, facts


def test_a_client_is_the_same_in_every_lab() -> None:
    assert plan_lab(1).seats[0] == plan_lab(3).seats[0]


def test_cards_carry_qemus_prefix() -> None:
    assert str(plan_lab(2).seats[1].mac) == "52:54:00:4e:42:02"


def test_the_pool_leaves_out_server_and_neighbour_and_has_room_for_all() -> None:
    plan = plan_lab(MAX_CLIENTS)
    assert plan.server.ip not in plan.pool
    assert plan.neighbour.ip not in plan.pool
    assert len(plan.pool) >= MAX_CLIENTS
    assert plan.pool.first in plan.server.network
    assert plan.pool.last in plan.server.network


@pytest.mark.parametrize("count", [0, -1, MAX_CLIENTS + 1])
def test_a_lab_without_room_is_refused(count: int) -> None:
    with pytest.raises(InvalidInput):
        plan_lab(count)
