"""One lab from start to end: what `netboot lab boot`, `netboot demo` and the boot tests run.

A client has booted when its own word and its console agree: the daemon got its report "up", and a login prompt
stands on its serial console.
"""

from __future__ import annotations

import re
import signal
import time
from dataclasses import replace
from typing import Protocol

from netboot.lab.client import QemuClient
from netboot.lab.config import PATIENCE
from netboot.lab.desktop import wait_for_desktop
from netboot.lab.lab import Lab, LabSpec
from netboot.lab.network import Seat
from netboot.lab.result import ClientResult, LabResult
from netboot.lab.watch import LOOK_S, BootWatch, judge
from netboot.model.boot import Outcome
from netboot.model.event import Event

LOGIN_PROMPT = re.compile(r"^\S+ login:", re.MULTILINE)

# The report "up" comes from a unit that does not wait for the getty; both follow the same target.
_LOGIN_S = 60.0

_LAST_LINES = 20


class LabListener(Protocol):
    """Whoever shows a lab to a person."""

    def said(self, text: str) -> None:
        """The lab does something that is worth a line."""

    def happened(self, client: str, event: Event) -> None:
        """An event of the client of that name."""

    def settled(self, result: ClientResult) -> None:
        """A client has come as far as it will."""


def run_lab(spec: LabSpec, listener: LabListener) -> LabResult:
    """Boot the clients of `spec` and wait for each to be up or to have failed; within the lab's walls only."""
    with Lab(spec) as lab:
        listener.said(
            f"virtual network {lab.plan.server.network}, QEMU with {lab.accelerator}, files in {lab.directory}"
        )
        for index in range(spec.count):
            lab.register(index)
        lab.start_daemon()
        listener.said("the daemon is ready")
        result = LabResult(
            firmware=spec.firmware,
            dhcp=spec.dhcp,
            accelerator=lab.accelerator,
            directory=lab.directory,
            clients=_boot_all(lab, listener),
        )
        if spec.screenshot and result.ok:
            listener.said("waiting until the desktop is drawn")
            wait_for_desktop(lab.client(0), spec.screenshot, timeout_s=spec.timeout_s)
            listener.said(f"it is drawn: {spec.screenshot}")
        if spec.keep:
            _keep(lab, listener)
    return result


def _boot_all(lab: Lab, listener: LabListener) -> tuple[ClientResult, ...]:
    """Switch all clients on, follow their boots, and settle each; in the order of their seats."""
    waiting = {seat: lab.client(index) for index, seat in enumerate(lab.plan.seats)}
    for client in waiting.values():
        client.start()
    on_since = time.time()
    settled: dict[Seat, ClientResult] = {}
    with lab.watch() as watch:
        while waiting:
            lab.daemon.check()
            for seat, event in watch.new_events():
                listener.happened(seat.name, event)
            for seat, client in list(waiting.items()):
                if result := _settle(lab, client, watch, on_since=on_since):
                    settled[seat] = result
                    del waiting[seat]
                    listener.settled(result)
            time.sleep(LOOK_S)
    return tuple(settled[seat] for seat in lab.plan.seats)


def _settle(lab: Lab, client: QemuClient, watch: BootWatch, *, on_since: float) -> ClientResult | None:
    """The client's result, None while its boot goes on."""
    seat, now = client.spec.seat, time.time()
    boot = watch.boot(seat)
    found = judge(boot, on_since=on_since, now=now, patience=PATIENCE[lab.accelerator])
    if found.outcome is Outcome.BOOTING:
        client.check()
        if now - on_since <= lab.spec.timeout_s:
            return None
        found = replace(found, cause=f"it was not done after {lab.spec.timeout_s:g} s", hint="try a longer --timeout")
    login_seen = LOGIN_PROMPT.search(client.console.text_of_programs) is not None
    if boot and found.outcome is Outcome.UP and not login_seen and now - boot.last_at <= _LOGIN_S:
        return None
    return ClientResult(
        seat=seat,
        verdict=found,
        boot=boot,
        login_seen=login_seen,
        seconds=(boot.last_at if boot else now) - on_since,
        console=client.spec.console_log,
        last_lines=client.console.last_lines(_LAST_LINES),
    )


def _keep(lab: Lab, listener: LabListener) -> None:
    listener.said(f"the lab stays as it is until Ctrl-C; consoles are in {lab.directory}")
    listener.said("to look into it: nsenter --all --target $(pgrep -n -f 'netboot serve') ip address")
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        listener.said("taking the lab down")
