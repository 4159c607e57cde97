"""The probe's guest is real: these boot it."""

from __future__ import annotations

import pytest

from netboot.lab import kvm
from netboot.lab.kvm import Accelerator, runs_guests


def test_the_probe_boots_its_guest_under_emulation() -> None:
    assert runs_guests(Accelerator.TCG)


def test_a_guest_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = bytes.fromhex("f4 eb fd").ljust(510, b"\0") + b"\x55\xaa"
    monkeypatch.setattr(kvm, "BOOT_SECTOR", hang)
    assert not runs_guests(Accelerator.TCG)


def test_a_guest_that_never_boots_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm, "BOOT_SECTOR", bytes(512))
    assert not runs_guests(Accelerator.TCG)
