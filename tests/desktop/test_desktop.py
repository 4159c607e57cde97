"""The desktop that ships, on a machine without a disk: drawn, by the programs that should draw it.

Not part of `make test`, since its image takes long to build and longer to start in emulation: `make desktop` builds
it, and `pytest tests/desktop` runs this.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.config.paths import DataDir
from netboot.images.store import ImageStore
from netboot.lab.desktop import wait_for_desktop
from netboot.model.names import VersionRef
from tests.boot.conftest import MakeLab
from tests.boot.stories import boot
from tests.kit import cannot_run

IMAGE = VersionRef("debian-desktop")
# In emulation the desktop takes some ten times as long as on a real machine.
_DRAWN_S = 1200.0

pytestmark = [pytest.mark.walls, pytest.mark.timeout(2400)]


def test_the_desktop_is_drawn_until_its_session_ends(make_lab: MakeLab, tmp_path: Path) -> None:
    if ImageStore(DataDir.find(None, None).images).find(IMAGE) is None:
        cannot_run(f"no image {IMAGE}; build it: netboot image build {IMAGE}")
    picture = tmp_path / "desktop.png"
    lab = make_lab(image=IMAGE, memory_mib=2048, screenshot=picture)
    lab.start_daemon()
    _, client = boot(lab)
    screen = wait_for_desktop(client, picture, timeout_s=_DRAWN_S)
    assert (screen.width, screen.height) == (1024, 768)
    assert picture.read_bytes() == screen.png()
    running = set(client.command("ps -u user -o comm=").split())
    assert {"xfce4-session", "xfwm4", "xfce4-panel", "xfdesktop"} <= running
    # Whoever sits there is nobody who could change the machine.
    assert "denied" in client.command("su user -c 'sudo -n true; cat /etc/shadow' 2>&1 || true").lower()
    # The same screen without a session is no desktop: what is judged is what is drawn.
    client.command("systemctl stop lightdm", timeout_s=120)
    assert not client.screen().has_desktop()
