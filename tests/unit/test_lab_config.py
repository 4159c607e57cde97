from __future__ import annotations

from pathlib import Path

import pytest

from netboot.config import DhcpMode, parse_config
from netboot.lab.config import LabDhcp, daemon_config
from netboot.lab.kvm import Accelerator
from netboot.lab.network import plan_lab

PLAN = plan_lab(1)


def test_own_mode_lends_the_plans_pool() -> None:
    config = parse_config(daemon_config(PLAN, LabDhcp.OWN, data_dir=Path("/d"), accelerator=Accelerator.TCG))
    (interface,) = config.interface
    (subnet,) = config.subnet
    assert (interface.name, interface.dhcp, interface.address) == ("br0", DhcpMode.OWN, PLAN.server.ip)
    assert (subnet.network, subnet.pool) == (PLAN.server.network, (PLAN.pool,))
    assert config.data_dir == Path("/d")


def test_proxy_mode_lends_nothing() -> None:
    config = parse_config(daemon_config(PLAN, LabDhcp.PROXY, data_dir=Path("/d"), accelerator=Accelerator.TCG))
    assert config.interface[0].dhcp is DhcpMode.PROXY
    assert config.subnet[0].pool == ()


@pytest.mark.parametrize("accelerator", Accelerator)
def test_emulated_clients_are_given_more_time(accelerator: Accelerator) -> None:
    config = parse_config(daemon_config(PLAN, LabDhcp.OWN, data_dir=Path("/d"), accelerator=accelerator))
    assert config.boot.patience == {Accelerator.KVM: 1.0, Accelerator.TCG: 3.0}[accelerator]
