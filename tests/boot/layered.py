"""What the root of a client has to be made of, whatever the way to it."""

from __future__ import annotations

import re
import time

from netboot.lab.client import QemuClient
from netboot.model.root import RootFormat, RootMode
from tests.boot.stories import UP_S, address_of

# What lies under a root that is verified, and one that is not.
_VERIFIED = re.compile(r"/dev/(?:dm-\d+|mapper/\S+)")
_PLAIN = re.compile(r"/dev/(?:loop\d+|sd[a-z]+)")
# From the command to the machine's restart, on real ones; an emulated machine on a busy computer takes longer.
RESTART_S = 60.0


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


def assert_changes_end_with_a_reboot(client: QemuClient) -> None:
    """What is written is gone after a clean restart, which does not hang on the root; the address stays."""
    address = address_of(client)
    client.command("echo written > /etc/witness && sync && cat /etc/witness")
    started = time.monotonic()
    client.console.send("reboot")
    client.console.expect("reboot: Restarting system", timeout_s=RESTART_S)
    taken_s = time.monotonic() - started
    client.login(timeout_s=UP_S)
    assert client.command("test -e /etc/witness || echo gone") == "gone\n"
    assert address_of(client) == address
    print(f"restart after {taken_s:.1f} s")


def _mount(client: QemuClient, place: str) -> tuple[str, str, str]:
    """Source, type and options of what is mounted at a place of the client."""
    source, kind, options = client.command(f"findmnt --noheadings --output SOURCE,FSTYPE,OPTIONS {place}").split()
    return source, kind, options
