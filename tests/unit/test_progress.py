from __future__ import annotations

import pytest

from netboot.boot.progress import STEPS, begins_boot, due_at, fraction, is_step, verdict
from netboot.boot.waits import WAITS
from netboot.model.boot import Boot, Outcome
from netboot.model.event import Detail, Event, EventKind
from netboot.model.request import Firmware
from tests.kit import MAC

K = EventKind


def event(kind: EventKind, at: float = 0.0, **details: Detail) -> Event:
    return Event(at=at, kind=kind, mac=MAC, details=details)


def boot(*kinds: EventKind | Event) -> Boot:
    events = [each if isinstance(each, Event) else event(each, float(n)) for n, each in enumerate(kinds)]
    return Boot(id=1, mac=MAC, events=tuple(events))


def test_a_boot_that_is_up_is_up_for_ever() -> None:
    assert verdict(boot(*STEPS), now=1e9).outcome is Outcome.UP
    assert fraction(boot(*STEPS)) == 1.0


@pytest.mark.parametrize("reached", [each for each in STEPS if each is not K.UP])
def test_every_step_has_a_limit_and_a_cause(reached: EventKind) -> None:
    seen = boot(*STEPS[: STEPS.index(reached) + 1])
    limit = due_at(seen)
    early, late = verdict(seen, now=limit - 0.1), verdict(seen, now=limit + 0.1)
    assert early.outcome is Outcome.BOOTING
    assert late.outcome is Outcome.STALLED
    assert late.reached is reached
    assert late.cause
    assert late.hint
    assert late.missing is not None
    assert STEPS.index(late.missing) > STEPS.index(reached)


def test_patience_stretches_the_limit() -> None:
    seen = boot(K.DISCOVERED)
    assert verdict(seen, now=20, patience=1).outcome is Outcome.STALLED
    assert verdict(seen, now=20, patience=2).outcome is Outcome.BOOTING


def test_a_loader_in_rom_is_awaited_at_its_script_not_at_tftp() -> None:
    seen = boot(event(K.DISCOVERED, stage="loader"), K.OFFERED, K.ACKED)
    assert verdict(seen, now=1e6).missing is K.SCRIPT_SENT


def test_a_loader_in_rom_that_is_sent_another_is_awaited_at_tftp() -> None:
    offered = event(K.OFFERED, boot_file="pxelinux/lpxelinux.0")
    assert verdict(boot(event(K.DISCOVERED, stage="loader"), offered, K.ACKED), now=1e6).missing is K.LOADER_SENT


@pytest.mark.parametrize(
    ("file", "missing", "word"),
    [
        ("ipxe/snponly.efi", K.SCRIPT_OFFERED, "--loader grub"),
        ("/ipxe/snponly.efi", K.SCRIPT_OFFERED, "--loader grub"),
        ("pxelinux/ldlinux.c32", K.SCRIPT_SENT, "--loader auto"),
        ("grub/grubx64.efi", K.SCRIPT_SENT, "next-server"),
    ],
)
def test_what_is_due_after_a_loader_is_what_that_loader_does_next(file: str, missing: EventKind, word: str) -> None:
    seen = boot(event(K.DISCOVERED, stage="firmware"), K.OFFERED, K.ACKED, event(K.LOADER_SENT, file=file))
    found = verdict(seen, now=1e6)
    assert found.missing is missing
    assert word in found.hint


@pytest.mark.parametrize(
    ("seen", "missing"),
    [
        ((), K.LOADER_SENT),
        ((event(K.LOADER_SENT, 3, file="bootcode.bin"),), K.SCRIPT_SENT),
        ((event(K.SCRIPT_SENT, 3), event(K.LOADER_SENT, 4, file="deadbeef/start4.elf")), K.KERNEL_SENT),
        ((event(K.LOADER_LOOPS, 5, file="bootcode.bin", times=5),), K.SCRIPT_SENT),
    ],
)
def test_a_raspberry_pi_is_told_of_its_own_files_and_of_no_loader(seen: tuple[Event, ...], missing: EventKind) -> None:
    asked = event(K.DISCOVERED, 0, stage="firmware", firmware=Firmware.RASPBERRY_PI)
    found = verdict(boot(asked, event(K.OFFERED, 1, boot_file="bootcode.bin"), event(K.ACKED, 2), *seen), now=1e6)
    assert found.missing is missing
    assert "pi_firmware" in found.hint
    assert "--loader" not in found.hint


@pytest.mark.parametrize(
    ("failure", "outcome", "cause"),
    [
        (event(K.DENIED, 5, reason="client lab-01 has no image", hint="assign one"), Outcome.DENIED, "has no image"),
        (event(K.ROOT_FAILED, 5, message="connection refused", log="a\nb"), Outcome.FAILED, "connection refused"),
        (event(K.LOADER_FAILED, 5, file="kernel", message="2e008081"), Outcome.FAILED, "could not start kernel: 2e0"),
    ],
)
def test_a_failure_that_was_told_is_the_verdict(failure: Event, outcome: Outcome, cause: str) -> None:
    found = verdict(boot(K.DISCOVERED, K.OFFERED, failure), now=6)
    assert found.outcome is outcome
    assert cause in found.cause
    assert found.hint


def test_a_failure_that_was_overcome_is_forgotten() -> None:
    seen = boot(K.DISCOVERED, event(K.ROOT_FAILED, 1, message="refused"), event(K.ROOT_MOUNTED, 2))
    assert verdict(seen, now=3).outcome is Outcome.BOOTING


def test_the_log_of_a_failed_root_is_kept() -> None:
    assert verdict(boot(K.INITRAMFS_STARTED, event(K.ROOT_FAILED, 1, log="tail")), now=2).log == "tail"


FIRMWARE = event(K.DISCOVERED, 100.0, stage="firmware")
LOADER = event(K.DISCOVERED, 100.0, stage="loader")


@pytest.mark.parametrize(
    ("current", "following", "begins"),
    [
        ((), FIRMWARE, True),
        ((event(K.DISCOVERED, 95),), FIRMWARE, False),
        ((event(K.DISCOVERED, 95), event(K.ACKED, 96)), FIRMWARE, False),
        ((event(K.DISCOVERED, 95), event(K.LOADER_SENT, 98)), FIRMWARE, True),
        ((event(K.DISCOVERED, 95), event(K.LOADER_SENT, 98)), LOADER, False),
        ((event(K.DISCOVERED, 95), event(K.SCRIPT_OFFERED, 99)), LOADER, False),
        ((event(K.DISCOVERED, 95), event(K.SCRIPT_SENT, 99)), LOADER, True),
        ((event(K.DISCOVERED, 95), event(K.UP, 99)), LOADER, True),
        ((event(K.DISCOVERED, 1),), FIRMWARE, True),
        # PXELINUX, sent to an iPXE ROM, which was then reset.
        ((event(K.DISCOVERED, 95, stage="loader"), event(K.LOADER_SENT, 98)), LOADER, True),
        ((event(K.DISCOVERED, 95, stage="loader"), event(K.SCRIPT_OFFERED, 98)), LOADER, False),
        ((event(K.DISCOVERED, 95, stage="firmware"), event(K.LOADER_SENT, 98)), LOADER, False),
        ((event(K.DISCOVERED, 95), event(K.UP, 99)), event(K.ACKED, 100), False),
    ],
)
def test_what_begins_a_boot(current: tuple[Event, ...], following: Event, begins: bool) -> None:
    assert begins_boot(current, following) is begins


def test_the_table_of_waits_covers_every_step_but_the_last() -> None:
    assert set(WAITS) == set(STEPS) - {K.UP}


URI = "iscsi:10.9.0.2::::iqn.2010-04.org.example:till-2"
SAN_SCRIPT = event(K.SCRIPT_SENT, 10, san=URI)
TO_DISK = (event(K.DISCOVERED, 0, stage="loader"), event(K.OFFERED, 1), event(K.ACKED, 2), SAN_SCRIPT)
ATTACHED = event(K.DISK_ATTACHED, 12)


def test_a_boot_from_a_disk_with_its_own_loader_is_handed_over_and_never_stalls() -> None:
    seen = boot(*TO_DISK, ATTACHED)
    found = verdict(seen, now=1e9)
    assert (found.outcome, found.reached, found.missing, found.cause) == (
        Outcome.HANDED_OVER,
        K.DISK_ATTACHED,
        None,
        "",
    )
    assert found.outcome.is_good
    assert fraction(seen) == 1.0
    assert is_step(K.DISK_ATTACHED)


def test_a_disk_that_ipxe_does_not_say_it_has_is_waited_for_and_then_missed() -> None:
    seen = boot(*TO_DISK)
    assert verdict(seen, now=due_at(seen) - 0.1).outcome is Outcome.BOOTING
    late = verdict(seen, now=due_at(seen) + 0.1)
    assert (late.outcome, late.reached, late.missing) == (Outcome.STALLED, K.SCRIPT_SENT, K.DISK_ATTACHED)
    assert "iSCSI" in late.cause
    assert "3260" in late.hint


def test_a_disk_that_cannot_be_had_is_told_and_the_next_try_is_waited_for() -> None:
    failed = boot(*TO_DISK, event(K.LOADER_FAILED, 15, file="san", message="0x3c222003"))
    found = verdict(failed, now=16)
    assert (found.outcome, found.reached, found.missing) == (Outcome.FAILED, K.SCRIPT_SENT, K.DISK_ATTACHED)
    assert "iPXE could not attach the disk" in found.cause
    assert "0x3c222003" in found.cause
    assert "netboot client explain" in found.hint
    assert "fsck" not in found.hint
    again = boot(*failed.events, event(K.SCRIPT_SENT, 26, san=URI))
    assert verdict(again, now=27).outcome is Outcome.BOOTING
    assert verdict(boot(*again.events, event(K.DISK_ATTACHED, 28)), now=1e9).outcome is Outcome.HANDED_OVER


@pytest.mark.parametrize(
    ("message", "cause", "hint"),
    [
        ("0x2c0d603b", "has no such disk for the client", "has to admit that initiator"),
        ("0x4c0a6035", "does not answer (error 0x4c0a6035)", "port"),
        ("", "could not attach the disk that the client boots from", "explain"),
    ],
)
def test_why_a_disk_cannot_be_had_is_told_by_ipxes_error(message: str, cause: str, hint: str) -> None:
    found = verdict(boot(*TO_DISK, event(K.LOADER_FAILED, 15, file="san", message=message)), now=16)
    assert cause in found.cause
    assert hint in found.hint


def test_a_disk_without_a_loader_is_told_though_ipxe_had_it() -> None:
    failed = boot(*TO_DISK, ATTACHED, event(K.LOADER_FAILED, 15, file="san-loader", message="2e8b2003"))
    found = verdict(failed, now=1e9)
    assert (found.outcome, found.reached, found.missing) == (Outcome.FAILED, K.DISK_ATTACHED, None)
    assert "what is on it did not start" in found.cause
    assert "EFI/BOOT/BOOTX64.EFI" in found.hint
    # It begins anew: what it had is no longer true.
    again = boot(*failed.events, event(K.SCRIPT_SENT, 26, san=URI))
    assert (verdict(again, now=27).outcome, verdict(again, now=27).missing) == (Outcome.BOOTING, K.DISK_ATTACHED)


def test_a_machine_that_was_handed_over_begins_anew_when_it_is_switched_on() -> None:
    assert begins_boot((*TO_DISK, ATTACHED), FIRMWARE)
    assert begins_boot((*TO_DISK, ATTACHED), LOADER)
