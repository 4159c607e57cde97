"""Which strategies there are for which firmware, in the order in which they are tried.

The first is what most machines of the family boot by.  It stays until a machine shows by its packets that it does not
get on with it (`netboot.boot.learning`), or an admin pins another.
"""

from __future__ import annotations

from collections.abc import Mapping

from netboot.config import DhcpMode
from netboot.model.client import Client
from netboot.model.request import BootRequest, Firmware, Stage
from netboot.model.strategy import Fingerprint, Strategy

S = Strategy

# Beside another DHCP server an offer without option 60 counts for nothing (rule 0.4), so `plain` is for our own.
_ORDER: Mapping[tuple[DhcpMode, Firmware], tuple[Strategy, ...]] = {
    (DhcpMode.OWN, Firmware.BIOS): (S.DIRECT, S.DISCOVERY, S.PLAIN, S.INVITE),
    (DhcpMode.OWN, Firmware.UEFI): (S.DIRECT, S.INVITE, S.PLAIN, S.DISCOVERY),
    (DhcpMode.OWN, Firmware.RASPBERRY_PI): (S.PI, S.PI_LATE, S.DIRECT),
    (DhcpMode.PROXY, Firmware.BIOS): (S.DIRECT, S.DISCOVERY, S.INVITE),
    (DhcpMode.PROXY, Firmware.UEFI): (S.INVITE, S.DIRECT, S.DISCOVERY),
    (DhcpMode.PROXY, Firmware.RASPBERRY_PI): (S.PI, S.PI_LATE, S.DIRECT),
}
# The ROM of a Raspberry Pi 3, which has addresses of this block, misses an offer that comes at once (rule 2.30).
_PI_3 = "b8:27:eb"
_PI_3_ORDER = (S.PI_LATE, S.PI, S.DIRECT)


def order(mode: DhcpMode, fingerprint: Fingerprint) -> tuple[Strategy, ...]:
    """What to try, the first first; empty for firmware that there is one way for: HTTP boot, U-Boot, iPXE."""
    if fingerprint.firmware is Firmware.RASPBERRY_PI and fingerprint.oui == _PI_3:
        return _PI_3_ORDER
    return _ORDER.get((mode, fingerprint.firmware), ())


def may_learn(asker: BootRequest) -> bool:
    """Whether there is more than one way for who asks.  An iPXE, in ROM or as our loader, never is sent a menu."""
    return asker.stage is Stage.FIRMWARE and (DhcpMode.OWN, asker.firmware) in _ORDER


def choose_strategy(
    mode: DhcpMode,
    fingerprint: Fingerprint,
    client: Client | None,
    learned: Mapping[tuple[DhcpMode, Fingerprint], Strategy],
) -> Strategy:
    """What an admin pinned for the client, else what its make taught us, else the first that there is."""
    if client is not None and client.strategy is not None:
        return client.strategy
    tried = order(mode, fingerprint)
    known = learned.get((mode, fingerprint))
    return known if known in tried else tried[0]
