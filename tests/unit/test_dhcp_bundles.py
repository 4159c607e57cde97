"""Replies that go together lose neither their order nor one of them."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from netboot.dhcp.bundles import bundles
from netboot.dhcp.destination import Destination
from netboot.dhcp.packets import Outgoing
from tests.dhcp_kit import SERVER

ONE, OTHER = Destination(IPv4Address("10.9.0.2"), 67), Destination(IPv4Address("10.9.0.3"), 67)


def reply(size: int, to: Destination = ONE, *, port: int = 67, source: IPv4Address = SERVER) -> Outgoing:
    return Outgoing(bytes(size), to, source, port)


@pytest.mark.parametrize(
    ("replies", "sizes"),
    [
        ([], []),
        ([reply(300), reply(300), reply(300)], [3]),
        ([reply(300), reply(301), reply(300)], [1, 1, 1]),
        ([reply(300), reply(300, OTHER), reply(300)], [1, 1, 1]),
        ([reply(300), reply(300, source=IPv4Address("10.9.0.9"))], [1, 1]),
        ([reply(300), reply(300, port=4011)], [1, 1]),
        ([reply(300)] * 130, [64, 64, 2]),
        ([reply(1400)] * 100, [46, 46, 8]),
    ],
)
def test_what_is_alike_and_next_to_each_other_goes_together(replies: list[Outgoing], sizes: list[int]) -> None:
    made = list(bundles(replies))
    assert [len(each) for each in made] == sizes
    assert [each for bundle in made for each in bundle] == replies
