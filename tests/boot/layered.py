"""What the root of a client has to be made of, whatever the way to it."""

from __future__ import annotations

import re
import time

from netboot.lab.client import QemuClient
from netboot.lab.lab import Lab
from netboot.lab.watch import LOOK_S
from netboot.model.root import RootFormat, RootMode
from tests.boot.stories import UP_S, address_of

# What lies under a root that is verified, and one that is not.
_VERIFIED = re.compile(r"/dev/(?:dm-\d+|mapper/\S+)")
_PLAIN = re.compile(r"/dev/(?:loop\d+|sd[a-z]+)")
# From the command to the machine's firmware asking again, or to its being off.  Real machines do it within 20 s; an
# emulated one on a busy computer takes longer.
STOP_S = 60.0


def assert_overlay_over_read_only(client: QemuClient, mode: RootMode, format: RootFormat, *, verified: bool) -> None:
    """The root is an overlay whose lower layer is the version, read-only and of the kind that was asked for."""
    assert _mount(client, "/")[1] == "overlay"
    source, kind, options = _mount(client, "/run/netboot/lower")
    assert "ro" in options.split(",")
    if mode is RootMode.NFS:
        assert kind.startswith("nfs")
        return
    assert kind == format
    assert (_VERIFIED if verified else _PLAIN).fullmatch(source)
    client.command("! touch /run/netboot/lower/witness 2>/dev/null")


def assert_changes_end_with_a_reboot(lab: Lab, client: QemuClient) -> None:
    """What is written is gone after a clean restart, which does not hang on the root; the address stays."""
    address = address_of(client)
    client.command("echo written > /etc/witness && sync && cat /etc/witness")
    print(f"restart: the firmware asked again {restart(lab, client):.1f} s after the command")
    client.login(timeout_s=UP_S)
    assert client.command("test -e /etc/witness || echo gone") == "gone\n"
    assert address_of(client) == address


def restart(lab: Lab, client: QemuClient) -> float:
    """Restart a client from its own shell; seconds from the command to the DISCOVER of its next boot, by the events."""
    with lab.watch() as watch:
        before = watch.boot(client.spec.seat)
        assert before is not None
        told_at = time.time()
        client.console.send("systemctl reboot")
        while (boot := watch.boot(client.spec.seat)) is None or boot.id == before.id:
            assert time.time() - told_at < STOP_S, (
                f"{client.name} did not start again:\n{client.console.last_lines(20)}"
            )
            time.sleep(LOOK_S)
    client.console.expect("reboot: Restarting system", timeout_s=1)
    return boot.events[0].at - told_at


def assert_it_switches_itself_off(client: QemuClient) -> None:
    """The machine is off, by its own power switch, soon after the command."""
    told_at = time.monotonic()
    client.console.send("systemctl poweroff")
    while client.running:
        assert time.monotonic() - told_at < STOP_S, f"{client.name} is not off:\n{client.console.last_lines(20)}"
        time.sleep(LOOK_S)
    assert "reboot: Power down" in client.console.text
    print(f"poweroff: off {time.monotonic() - told_at:.1f} s after the command")


def _mount(client: QemuClient, place: str) -> tuple[str, str, str]:
    """Source, type and options of what is mounted at a place of the client."""
    source, kind, options = client.command(f"findmnt --noheadings --output SOURCE,FSTYPE,OPTIONS {place}").split()
    return source, kind, options
