"""How a boot went: events folded into a status, and a verdict in plain words.

A boot is a line of steps.  Each step has a time limit until the next step is due and, for when it does not
come, the likely cause.  Limits are for machines of flesh and blood; `patience` stretches them for slow ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netboot.boot.suspects import suspect
from netboot.model.boot import Boot, Outcome, Verdict
from netboot.model.event import Event, EventKind

K = EventKind

STEPS: tuple[EventKind, ...] = (
    K.DISCOVERED,
    K.OFFERED,
    K.ACKED,
    K.LOADER_SENT,
    K.SCRIPT_OFFERED,
    K.SCRIPT_SENT,
    K.KERNEL_SENT,
    K.INITRD_SENT,
    K.INITRAMFS_STARTED,
    K.ROOT_MOUNTED,
    K.UP,
)
_POSITION: Mapping[EventKind, int] = {kind: position for position, kind in enumerate(STEPS)}


@dataclass(frozen=True, slots=True)
class Wait:
    """What is due after a step: within how many seconds, and why it probably did not come."""

    missing: EventKind
    limit_s: float
    cause: str
    hint: str


_WAITS: Mapping[EventKind, Wait] = {
    K.DISCOVERED: Wait(
        K.OFFERED,
        15,
        "we saw the client but made it no offer",
        "look at the daemon's log for the reason: a full pool, a missing subnet, or an unknown client",
    ),
    K.OFFERED: Wait(
        K.ACKED,
        30,
        "the client did not take our offer: another server's offer won, or the reply never reached it",
        "look for a second DHCP server on this network, and for a switch port that blocks or delays (spanning tree)",
    ),
    K.ACKED: Wait(
        K.LOADER_SENT,
        60,
        "the client has its address but never fetched its loader over TFTP",
        "check that UDP port 69 and the ports above 1023 of this server are open to the client",
    ),
    K.LOADER_SENT: Wait(
        K.SCRIPT_OFFERED,
        90,
        "the loader was sent but never asked for its script: it did not start, as Secure Boot lets only grub do, or it"
        " has no driver for the network card",
        "try another loader: netboot client set NAME --loader grub (UEFI, also with Secure Boot) or pxelinux (BIOS)",
    ),
    K.SCRIPT_OFFERED: Wait(
        K.SCRIPT_SENT,
        60,
        "the loader knows where its script is but never fetched it",
        "check that the HTTP port of this server is open to the client",
    ),
    K.SCRIPT_SENT: Wait(
        K.KERNEL_SENT,
        90,
        "the loader has its script but did not finish fetching the kernel",
        "check the link's speed, and that the version's kernel is whole: netboot image fsck",
    ),
    K.KERNEL_SENT: Wait(
        K.INITRD_SENT,
        120,
        "the kernel was fetched but the initrd was not: the loader refused the kernel, or ran out of memory",
        "check that the kernel fits the client's architecture: netboot image fsck",
    ),
    K.INITRD_SENT: Wait(
        K.INITRAMFS_STARTED,
        120,
        "kernel and initrd were fetched, but the initramfs never reported: the kernel crashed or found no network",
        "look at the client's console; try another kernel, or add the card's driver to the image",
    ),
    K.INITRAMFS_STARTED: Wait(
        K.ROOT_MOUNTED,
        90,
        "the initramfs runs but could not mount its root",
        "check that the NFS export is there and that TCP port 2049 of this server is open to the client",
    ),
    K.ROOT_MOUNTED: Wait(
        K.UP,
        300,
        "the root is mounted but the system did not come up",
        "look at the client's console for the unit that hangs",
    ),
}

# The same after a loader that never asks by DHCP where its script is, by the folder of the loader's file.
_SILENT_LOADERS: Mapping[str, Wait] = {
    "pxelinux": Wait(
        K.SCRIPT_SENT,
        90,
        "PXELINUX was sent but never fetched its configuration: it did not start, or does not get along with this"
        " machine's PXE",
        "try another loader: netboot client set NAME --loader auto",
    ),
    "grub": Wait(
        K.SCRIPT_SENT,
        90,
        "GRUB was sent but never fetched its configuration: it did not start, or it asks another server than this one,"
        " namely the one that the lender of its address names as next server",
        "beside another DHCP server: have that one name this server as next-server (siaddr), or use --loader auto",
    ),
}

# Steps that start a boot: firmware that comes again after these is a new attempt, not a repeated question.
_BEYOND_DHCP = _POSITION[K.LOADER_SENT]


def begins_boot(current: Sequence[Event], event: Event) -> bool:
    """Whether `event` opens a new boot of its client, whose current boot's events are `current` (may be empty).

    Firmware repeats its DISCOVER, and iPXE asks again after the firmware did; neither is a new boot.  A
    DISCOVER from firmware after a loader was sent is, and so is any DISCOVER once the script has been fetched,
    since a running system's DHCP is not recorded as one.  iPXE that opened the boot itself, from a ROM, and was
    then sent another loader is such a firmware.
    """
    if not current:
        return True
    if event.kind is not K.DISCOVERED:
        return False
    furthest = max((_POSITION[each.kind] for each in current if each.kind in _POSITION), default=0)
    from_rom = current[0].details.get("stage") == "loader"
    replaced = from_rom and any(each.kind is K.LOADER_SENT for each in current)
    if event.details.get("stage") == "firmware" or replaced:
        return furthest >= _BEYOND_DHCP or event.at - current[-1].at > _QUIET_S
    return furthest >= _POSITION[K.SCRIPT_SENT] or event.at - current[-1].at > _QUIET_S


# Firmware gives up within a minute or so (EDK2: 60 s); what comes after that much silence was switched on anew.
_QUIET_S = 90.0


def verdict(boot: Boot, *, now: float, patience: float = 1.0) -> Verdict:
    """What to think of a boot at `now`.  `patience` multiplies every limit."""
    reached = _furthest(boot.events)
    if reached is K.UP:
        return Verdict(outcome=Outcome.UP, reached=reached)
    if failure := _failure(boot, reached):
        return failure
    wait = _wait_after(boot.events, reached)
    if now - boot.last_at <= wait.limit_s * patience:
        return Verdict(outcome=Outcome.BOOTING, reached=reached, missing=wait.missing)
    why = suspect(boot.events, reached) or wait
    return Verdict(outcome=Outcome.STALLED, reached=reached, missing=wait.missing, cause=why.cause, hint=why.hint)


def due_at(boot: Boot, *, patience: float = 1.0) -> float:
    """When a boot that is still going will count as stalled if nothing more is heard of it."""
    return boot.last_at + _wait_after(boot.events, _furthest(boot.events)).limit_s * patience


def fraction(boot: Boot) -> float:
    """How far a boot came, from 0 to 1."""
    reached = _furthest(boot.events)
    return 0.0 if reached is None else (_POSITION[reached] + 1) / len(STEPS)


def _furthest(events: Sequence[Event]) -> EventKind | None:
    steps = [each.kind for each in events if each.kind in _POSITION]
    return max(steps, key=_POSITION.__getitem__, default=None)


def _wait_after(events: Sequence[Event], reached: EventKind | None) -> Wait:
    # A client that was denied, or whose first packet we never saw, waits as one that was just discovered.
    if reached is None or reached is K.UP:
        return _WAITS[K.DISCOVERED]
    asked_by_loader = any(e.kind is K.DISCOVERED and e.details.get("stage") == "loader" for e in events)
    silent = _SILENT_LOADERS.get(_family(events))
    if reached is K.ACKED and asked_by_loader and silent is None:
        return _WAITS[K.SCRIPT_OFFERED]
    if reached is K.LOADER_SENT and silent is not None:
        return silent
    return _WAITS[reached]


def _family(events: Sequence[Event]) -> str:
    """The folder of the loader that was offered or sent last: `ipxe`, `pxelinux`, `grub`; empty before that."""
    telling = [each.details for each in events if each.kind in (K.OFFERED, K.LOADER_SENT)]
    named = [details.get("file") or details.get("boot_file") for details in telling]
    return str(named[-1]).lstrip("/").partition("/")[0] if named else ""


def _failure(boot: Boot, reached: EventKind | None) -> Verdict | None:
    """The verdict of the last word that the client or we ourselves said, when that word was a failure."""
    for event in reversed(boot.events):
        if maker := _FAILURES.get(event.kind):
            return maker(event, reached)
        if event.kind in _POSITION and event.kind not in (K.DISCOVERED, K.OFFERED, K.ACKED):
            return None
    return None


def _denied(event: Event, reached: EventKind | None) -> Verdict:
    return Verdict(
        outcome=Outcome.DENIED,
        reached=reached,
        cause=_said(event, "reason", "the client may not boot"),
        hint=_said(event, "hint", "see netboot client list"),
    )


def _root_failed(event: Event, reached: EventKind | None) -> Verdict:
    return Verdict(
        outcome=Outcome.FAILED,
        reached=reached,
        missing=K.ROOT_MOUNTED,
        cause=f"the client could not mount its root: {_said(event, 'message', 'it gave no reason')}",
        hint="check that the NFS server runs, that the export is there, and that TCP port 2049 is open to the client",
        log=_said(event, "log", ""),
    )


def _loader_failed(event: Event, reached: EventKind | None) -> Verdict:
    file = _said(event, "file", "what it was given")
    return Verdict(
        outcome=Outcome.FAILED,
        reached=reached,
        missing=K.INITRAMFS_STARTED,
        cause=f"the loader could not start {file}: {_said(event, 'message', 'it gave no reason')}",
        hint="the file is damaged or for another machine: netboot image fsck",
        log=_said(event, "log", ""),
    )


def _loops(event: Event, reached: EventKind | None) -> Verdict:
    file, times = _said(event, "file", "the same file"), _said(event, "times", "several")
    return Verdict(
        outcome=Outcome.FAILED,
        reached=reached,
        missing=K.SCRIPT_SENT if reached is None or _POSITION[reached] < _POSITION[K.SCRIPT_SENT] else K.KERNEL_SENT,
        cause=f"the client fetched {file} {times} times within a minute: each time it ends where it began",
        hint="what it fetched does not suit it; try another loader: netboot client set NAME --loader grub or pxelinux",
    )


def _said(event: Event, key: str, otherwise: str) -> str:
    return str(event.details.get(key) or otherwise)


_FAILURES = {K.DENIED: _denied, K.ROOT_FAILED: _root_failed, K.LOADER_FAILED: _loader_failed, K.LOADER_LOOPS: _loops}
