from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.model.mac import MacAddress
from netboot.system.neighbours import neighbour_at

TABLE = """\
IP address       HW type     Flags       HW address            Mask     Device
10.9.0.100       0x1         0x2         52:54:00:00:00:01     *        br0
10.9.0.10        0x1         0x2         52:54:00:00:00:02     *        br0
10.9.0.101       0x1         0x0         00:00:00:00:00:00     *        br0
10.9.0.102       0x1         0x2         00:00:00:00:00:00     *        lo
"""


@pytest.mark.parametrize(
    ("address", "mac"),
    [
        ("10.9.0.100", "52:54:00:00:00:01"),
        ("10.9.0.10", "52:54:00:00:00:02"),
        ("10.9.0.101", None),
        ("10.9.0.102", None),
        ("10.9.0.1", None),
    ],
)
def test_the_kernels_table_is_read(tmp_path: Path, address: str, mac: str | None) -> None:
    table = tmp_path / "arp"
    table.write_text(TABLE)
    expected = MacAddress.parse(mac) if mac else None
    assert neighbour_at(IPv4Address(address), table) == expected


def test_the_real_table_can_be_read() -> None:
    assert neighbour_at(IPv4Address("192.0.2.255")) is None
