"""The configuration of the lab's daemon, from the template `templates/lab/netboot.toml`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from string import Template

from netboot.config.paths import templates_dir
from netboot.lab.kvm import Accelerator
from netboot.lab.network import LabPlan

# The factor on the daemon's time limits.  An emulated client on a busy machine is several times as slow as metal.
PATIENCE = {Accelerator.KVM: 1.0, Accelerator.TCG: 3.0}


class LabDhcp(StrEnum):
    """Who lends addresses in the lab: our daemon, or the neighbour with our daemon as ProxyDHCP beside it."""

    OWN = "own"
    PROXY = "proxy"


def daemon_config(plan: LabPlan, dhcp: LabDhcp, *, data_dir: Path, accelerator: Accelerator) -> str:
    """The text of the daemon's netboot.toml."""
    template = Template((templates_dir() / "lab" / "netboot.toml").read_text(encoding="utf-8"))
    # As a ProxyDHCP we lend nothing: the subnet is named for whom the images are exported to.
    pool = f'pool = "{plan.pool}"' if dhcp is LabDhcp.OWN else "# no pool: the neighbour lends"
    return template.substitute(
        data_dir=data_dir,
        interface=plan.bridge,
        dhcp=dhcp,
        address=plan.server.ip,
        network=plan.server.network,
        pool=pool,
        patience=PATIENCE[accelerator],
    )
