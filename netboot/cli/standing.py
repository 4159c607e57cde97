"""What a client runs, what it would get at its next boot, and whether a reboot would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netboot.boot.choose import BootPolicy, Versions, choose
from netboot.boot.running import system_booted
from netboot.cli.stories import Stories
from netboot.model.boot import Outcome
from netboot.model.client import Client
from netboot.model.mac import MacAddress
from netboot.model.request import ANY_ARCH, BootRequest, Firmware, Stage
from netboot.model.target import DeniedTarget, ImageTarget, SanTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`runs` is what its last boot was sent, and `outcome` how far that came; None when it never booted.

    `next` is what its next boot gets; while that is nothing, `denied` says why.  Either is a version's label, or the
    URI of a disk with a loader of its own.
    """

    runs: str | None
    outcome: Outcome | None
    next: str | None
    denied: str = ""

    @property
    def reboot_changes(self) -> bool | None:
        """None while it is not known to run anything."""
        return None if self.runs is None else self.runs != self.next


def standings(clients: Sequence[Client], stories: Stories, versions: Versions) -> dict[MacAddress, Standing]:
    """How it is with each of the clients."""
    boots = stories.events.latest_boots([client.mac for client in clients])
    found = {}
    for client in clients:
        boot = boots.get(client.mac)
        label, denied = _next_of(client, versions)
        found[client.mac] = Standing(
            runs=system_booted(boot) if boot else None,
            outcome=stories.verdict(boot).outcome if boot else None,
            next=label,
            denied=denied,
        )
    return found


@dataclass(frozen=True, slots=True)
class _Alone:
    client: Client

    def find(self, mac: MacAddress) -> Client | None:
        return self.client if mac == self.client.mac else None


def _next_of(client: Client, versions: Versions) -> tuple[str | None, str]:
    """Asked of the one resolver.  Profiles are in the daemon's configuration, and have no say in the version."""
    policy = BootPolicy(clients=_Alone(replace(client, profiles=())), versions=versions)
    request = BootRequest(mac=client.mac, stage=Stage.LOADER, firmware=Firmware.UNKNOWN, arch=ANY_ARCH)
    match choose(request, policy):
        case ImageTarget(version=version):
            return version.label, ""
        case SanTarget(san=san):
            return str(san), ""
        case DeniedTarget(reason=reason):
            return None, reason
    return None, ""
