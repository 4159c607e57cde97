"""What boot tests ask of a lab: boot this client, tell me how it went."""

from __future__ import annotations

import time

from netboot.boot.progress import verdict
from netboot.lab.client import QemuClient
from netboot.lab.config import PATIENCE
from netboot.lab.lab import Lab
from netboot.lab.network import Seat
from netboot.lab.watch import LOOK_S
from netboot.model.boot import Outcome, Verdict
from netboot.model.event import EventKind

# An idle two-core machine without KVM takes 60 to 75 s from power-on to the prompt; a busy one thrice as long.
UP_S = 300.0


def boot(lab: Lab, index: int = 0) -> tuple[Seat, QemuClient]:
    """Register and switch on a client, and wait for its report and its shell."""
    seat, client = lab.register(index), lab.client(index)
    client.start()
    with lab.watch() as watch:
        watch.wait_for(seat, EventKind.UP, timeout_s=UP_S)
    client.login(timeout_s=60)
    return seat, client


def settled(lab: Lab, seat: Seat, *, timeout_s: float) -> Verdict:
    """The verdict on the client's boot as soon as there is one; fails when there is none in time."""
    deadline = time.monotonic() + timeout_s
    with lab.watch() as watch:
        while True:
            boot = watch.boot(seat)
            found = verdict(boot, now=time.time(), patience=PATIENCE[lab.accelerator]) if boot else None
            if found and found.outcome is not Outcome.BOOTING:
                return found
            assert time.monotonic() < deadline, f"no verdict within {timeout_s:g} s, but {found}"
            time.sleep(LOOK_S)


def address_of(client: QemuClient) -> str:
    """The IPv4 address that the running client has."""
    return client.command("ip -4 -o address show scope global | grep -o 'inet [^ ]*'").split()[1].partition("/")[0]
