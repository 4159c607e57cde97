"""When the TFTP loop looks for the next packet instead of sleeping."""

from __future__ import annotations

import pytest

from netboot.tftp.vigil import Vigil


@pytest.mark.parametrize("transfers", [0, 5, 1000])
def test_an_idle_server_sleeps_and_a_busy_one_has_no_need_to_look(transfers: int) -> None:
    assert Vigil().looks(transfers) == 0


def test_looking_goes_on_while_it_pays() -> None:
    vigil = Vigil()
    for _ in range(1000):
        assert 0 < vigil.looks(1) < 100
        vigil.in_vain()
        assert vigil.looks(1)
        vigil.seen()


def test_looking_in_vain_is_soon_given_up() -> None:
    vigil = Vigil()
    tries = 0
    for _ in range(1000):
        if vigil.looks(1):
            tries += 1
            vigil.in_vain()
    assert tries < 30


def test_a_client_that_comes_nearer_is_noticed() -> None:
    vigil = Vigil()
    for _ in range(1000):
        if vigil.looks(1):
            vigil.in_vain()
    while not vigil.looks(1):
        pass
    vigil.seen()
    for _ in range(5):
        assert vigil.looks(1)
        vigil.in_vain()
