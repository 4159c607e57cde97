"""The probe's guest is real: these boot it."""

from __future__ import annotations

import pytest

from netboot.lab import kvm
from netboot.lab.kvm import LIMIT_S, Accelerator, better, proof_s


def test_the_probe_boots_its_guest_under_emulation() -> None:
    assert proof_s(Accelerator.TCG, LIMIT_S)


def test_a_guest_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = bytes.fromhex("f4 eb fd").ljust(510, b"\0") + b"\x55\xaa"
    monkeypatch.setattr(kvm, "BOOT_SECTOR", hang)
    assert proof_s(Accelerator.TCG, 2.0) is None


def test_a_guest_that_never_boots_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm, "BOOT_SECTOR", bytes(512))
    assert proof_s(Accelerator.TCG, 2.0) is None


@pytest.mark.parametrize(
    ("emulated_s", "virtualized_s", "chosen"),
    [
        (0.08, 0.12, Accelerator.KVM),
        (0.08, 1.5, Accelerator.TCG),  # seen where /dev/kvm is emulated itself: no Linux starts there
        (0.8, 1.2, Accelerator.KVM),  # a busy machine
        (0.08, None, Accelerator.TCG),
        (None, None, Accelerator.TCG),
    ],
)
def test_kvm_must_keep_up_with_emulation(
    emulated_s: float | None, virtualized_s: float | None, chosen: Accelerator
) -> None:
    assert better(emulated_s=emulated_s, virtualized_s=virtualized_s) is chosen
