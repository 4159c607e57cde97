"""A lab that makes one of everything and then only waits: what `test_lab_namespace` kills.

usage: python hold_lab.py IMAGE MOUNTPOINT
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from netboot.lab.client import LabFirmware, MachineSpec, QemuClient
from netboot.lab.kvm import Accelerator
from netboot.lab.namespace import SOCKETS
from netboot.lab.neighbour import start_neighbour
from netboot.lab.network import make_network, plan_lab
from netboot.system.commands import run


def main(image: Path, mountpoint: Path) -> None:
    plan = plan_lab(1)
    make_network(plan)
    start_neighbour(plan, serves_dhcp=True, directory=mountpoint.parent)
    run(["mount", "-o", "loop,ro", image, mountpoint])
    machine = MachineSpec(
        seat=plan.seats[0],
        firmware=LabFirmware.BIOS,
        accelerator=Accelerator.TCG,
        directory=mountpoint.parent,
        sockets=SOCKETS,
        memory_mib=64,
    )
    QemuClient(machine).start()
    spaces = {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("net", "mnt", "pid")}
    print(json.dumps(spaces), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
