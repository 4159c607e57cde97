"""How a boot went: events folded into a status, and a verdict in plain words.

A boot is a line of steps.  Each step has a time limit until the next step is due and, for when it does not
come, the likely cause (`netboot.boot.waits`).  A machine that boots a disk with a loader of its own leaves the line
after its script: its last step is that iPXE has that disk, for what the disk starts tells us nothing.  Limits are for
machines of flesh and blood; `patience` stretches them for slow ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from netboot.boot.rootcauses import root_cause, san_cause
from netboot.boot.suspects import suspect
from netboot.boot.waits import PI_FILES, is_pi, wait_after
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
_POSITION: Mapping[EventKind, int] = {kind: position for position, kind in enumerate(STEPS)} | {
    K.DISK_ATTACHED: STEPS.index(K.UP)
}


# Steps that start a boot: firmware that comes again after these is a new attempt, not a repeated question.
_BEYOND_DHCP = _POSITION[K.LOADER_SENT]


def is_step(kind: EventKind) -> bool:
    """Whether an event tells that a boot went on, rather than of trouble or of anything else."""
    return kind in _POSITION


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


# Which failed try to attach the root is told as a verdict.
_TOLD_FROM_TRY = 2

# Firmware gives up within a minute or so (EDK2: 60 s); what comes after that much silence was switched on anew.
_QUIET_S = 90.0


def verdict(boot: Boot, *, now: float, patience: float = 1.0) -> Verdict:
    """What to think of a boot at `now`.  `patience` multiplies every limit."""
    reached = _furthest(boot.events)
    if reached is K.UP:
        return _up(boot)
    if failure := _failure(boot, reached):
        return failure
    if reached is K.DISK_ATTACHED:
        return Verdict(outcome=Outcome.HANDED_OVER, reached=reached)
    wait = wait_after(boot.events, reached)
    if now - boot.last_at <= wait.limit_s * patience:
        return Verdict(outcome=Outcome.BOOTING, reached=reached, missing=wait.missing)
    why = suspect(boot.events, reached) or wait
    return Verdict(outcome=Outcome.STALLED, reached=reached, missing=wait.missing, cause=why.cause, hint=why.hint)


def _up(boot: Boot) -> Verdict:
    """It runs; what it told last since then may still be worth knowing."""
    last = next((event for event in reversed(boot.events) if event.kind in (K.UPPER_FULL, K.ROOT_FAILED, K.UP)), None)
    up = Verdict(outcome=Outcome.UP, reached=K.UP)
    if last is None or last.kind is K.UP:
        return up
    if last.kind is K.ROOT_FAILED:
        told = _root_failed(last, K.UP)
        return replace(up, cause=told.cause, hint=told.hint)
    return replace(
        up,
        cause=f"its temporary layer is full: {_said(last, 'message', 'programs are told that no space is left')}",
        hint="reboot it, or give it a larger one: netboot client set NAME --upper",
    )


def due_at(boot: Boot, *, patience: float = 1.0) -> float:
    """When a boot that is still going will count as stalled if nothing more is heard of it."""
    return boot.last_at + wait_after(boot.events, _furthest(boot.events)).limit_s * patience


def fraction(boot: Boot) -> float:
    """How far a boot came, from 0 to 1."""
    reached = _furthest(boot.events)
    return 0.0 if reached is None else (_POSITION[reached] + 1) / len(STEPS)


def _furthest(events: Sequence[Event]) -> EventKind | None:
    steps = [each.kind for each in events if each.kind in _POSITION]
    furthest = max(steps, key=_POSITION.__getitem__, default=None)
    # iPXE that could not start what is on its disk begins anew with its script.
    return K.SCRIPT_SENT if furthest is K.DISK_ATTACHED and steps[-1] is K.SCRIPT_SENT else furthest


def _failure(boot: Boot, reached: EventKind | None) -> Verdict | None:
    """The verdict of the last word that the client or we ourselves said, when that word was a failure."""
    for event in reversed(boot.events):
        if event.kind is K.LOADER_LOOPS:
            return _loops(event, reached, is_board=is_pi(boot.events))
        if (maker := _FAILURES.get(event.kind)) and (failure := maker(event, reached)):
            return failure
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
    message = _said(event, "message", "it gave no reason")
    why = root_cause(message)
    return Verdict(
        outcome=Outcome.FAILED,
        reached=reached,
        missing=K.ROOT_MOUNTED,
        cause=f"{why.cause}: {message}" if why else f"the client could not mount its root: {message}",
        hint=why.hint if why else "see the end of the client's log: netboot boot show NAME",
        log=_said(event, "log", ""),
    )


def _root_awaited(event: Event, reached: EventKind | None) -> Verdict:
    return replace(_root_failed(event, reached), outcome=Outcome.STALLED)


def _root_retried(event: Event, reached: EventKind | None) -> Verdict | None:
    """A try may fail while a server starts; of the second on somebody should know, though the client goes on trying."""
    attempt = event.details.get("attempt")
    if not isinstance(attempt, int) or attempt < _TOLD_FROM_TRY:
        return None
    return _root_awaited(event, reached)


def _loader_failed(event: Event, reached: EventKind | None) -> Verdict:
    file = _said(event, "file", "what it was given")
    message = _said(event, "message", "")
    if why := san_cause(file, message):
        return Verdict(
            outcome=Outcome.FAILED,
            reached=reached,
            missing=None if reached is K.DISK_ATTACHED else K.DISK_ATTACHED,
            cause=f"{why.cause} (error {message or 'not told'})",
            hint=why.hint,
        )
    return Verdict(
        outcome=Outcome.FAILED,
        reached=reached,
        missing=K.INITRAMFS_STARTED,
        cause=f"the loader could not start {file}: {message or 'it gave no reason'}",
        hint="the file is damaged or for another machine: netboot image fsck",
        log=_said(event, "log", ""),
    )


def _loops(event: Event, reached: EventKind | None, *, is_board: bool) -> Verdict:
    file, times = _said(event, "file", "the same file"), _said(event, "times", "several")
    return Verdict(
        outcome=Outcome.FAILED,
        reached=reached,
        missing=K.SCRIPT_SENT if reached is None or _POSITION[reached] < _POSITION[K.SCRIPT_SENT] else K.KERNEL_SENT,
        cause=f"the client fetched {file} {times} times within a minute: each time it ends where it began",
        hint="what it fetched does not suit it; "
        + (PI_FILES if is_board else "try another loader: netboot client set NAME --loader grub or pxelinux"),
    )


def _said(event: Event, key: str, otherwise: str) -> str:
    return str(event.details.get(key) or otherwise)


_FAILURES: Mapping[EventKind, Callable[[Event, EventKind | None], Verdict | None]] = {
    K.DENIED: _denied,
    K.ROOT_AWAITED: _root_awaited,
    K.ROOT_RETRIED: _root_retried,
    K.ROOT_FAILED: _root_failed,
    K.LOADER_FAILED: _loader_failed,
}
