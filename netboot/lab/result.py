"""How a lab went, for people, for programs (`--json`) and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netboot.lab.client import LabFirmware
from netboot.lab.config import LabDhcp
from netboot.lab.kvm import Accelerator
from netboot.lab.network import Seat
from netboot.model.boot import Boot, Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientResult:
    """How one client's boot went.  `last_lines` is the end of its console, `console` the file with all of it."""

    seat: Seat
    verdict: Verdict
    boot: Boot | None
    login_seen: bool
    seconds: float
    console: Path
    last_lines: str

    @property
    def ok(self) -> bool:
        return self.verdict.outcome is Outcome.UP and self.login_seen


@dataclass(frozen=True, slots=True, kw_only=True)
class LabResult:
    """How a lab went; `directory` keeps consoles, configuration and logs."""

    firmware: LabFirmware
    dhcp: LabDhcp
    accelerator: Accelerator
    directory: Path
    clients: tuple[ClientResult, ...]

    @property
    def ok(self) -> bool:
        return all(client.ok for client in self.clients)

    def as_json(self) -> Mapping[str, Any]:
        """The result in the shape of `netboot lab boot --json`."""
        return {
            "ok": self.ok,
            "firmware": str(self.firmware),
            "dhcp": str(self.dhcp),
            "accelerator": str(self.accelerator),
            "directory": str(self.directory),
            "clients": [_client_as_json(client) for client in self.clients],
        }


def _client_as_json(client: ClientResult) -> Mapping[str, Any]:
    found = client.verdict
    return {
        "name": client.seat.name,
        "mac": str(client.seat.mac),
        "ok": client.ok,
        "outcome": str(found.outcome),
        "reached": found.reached and str(found.reached),
        "missing": found.missing and str(found.missing),
        "cause": found.cause,
        "hint": found.hint,
        "login_seen": client.login_seen,
        "seconds": round(client.seconds, 1),
        "steps": _steps(client.boot),
        "console": str(client.console),
    }


def _steps(boot: Boot | None) -> list[Mapping[str, Any]]:
    """Each event of the boot with the seconds since its first one."""
    if boot is None:
        return []
    return [
        {"kind": str(event.kind), "seconds": round(event.at - boot.started_at, 2), "details": dict(event.details)}
        for event in boot.events
    ]
