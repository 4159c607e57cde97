"""What is a client's own, from its own root shell: it has it again after each boot, and no other client has it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from netboot.lab.client import QemuClient
from netboot.lab.lab import Lab
from netboot.lab.network import Seat
from netboot.model.event import EventKind
from netboot.model.mac import MacAddress
from netboot.model.wishes import Wishes
from netboot.store import EventRepository, open_database
from netboot.store.events import EventFilter
from tests.boot.conftest import MakeLab
from tests.boot.stories import UP_S, boot
from tests.personal_kit import write

pytestmark = [pytest.mark.walls, pytest.mark.timeout(1500)]

WISHES = Wishes(
    locale="C.UTF-8",
    keyboard="de-nodeadkeys",
    timezone="Europe/Berlin",
    persist=("/var/lib/keep", "/home"),
    persist_size="16m",
)


@pytest.fixture
def lab(make_lab: MakeLab, tmp_path: Path) -> Lab:
    """Two clients that keep something, and files for them."""
    lab = make_lab(count=2, wishes=WISHES)
    files = write(
        tmp_path / "files",
        {
            "all/root/etc/site.j2": "{{ hostname }} has {{ address }}\n",
            "clients/lab-01/root/etc/only-here": "secret of lab-01\n",
        },
    )
    with lab.config_file.open("a", encoding="utf-8") as config:
        config.write(f'files = "{files}"\n')
    lab.start_daemon()
    return lab


def fetch(lab: Lab, seat: Seat) -> str:
    """The command that asks for what is this client's own, and goes on whatever comes of it."""
    url = f"http://{lab.plan.server.ip}:8080/boot/{seat.mac.dashed}/data"
    assert url in lab.netboot("client", "explain", seat.name)
    return f"busybox wget -q -O - {url} 2>&1; true"


def host_keys(client: QemuClient) -> str:
    return client.command("sha256sum /etc/ssh/ssh_host_*_key; stat -c '%n %a %u' /etc/ssh/ssh_host_*_key")


def refusals(lab: Lab) -> list[MacAddress | None]:
    engine = open_database(lab.state)
    events = EventRepository(engine).newest(50, only=EventFilter(kinds=frozenset({EventKind.DATA_REFUSED})))
    engine.dispose()
    return [each.mac for each in events]


def test_a_client_has_its_own_again_and_another_has_not(lab: Lab) -> None:
    one_seat, one = boot(lab)
    assert one.command("cat /etc/default/locale /etc/timezone /etc/only-here") == (
        "LANG=C.UTF-8\nEurope/Berlin\nsecret of lab-01\n"
    )
    assert one.command("readlink /etc/localtime") == "/usr/share/zoneinfo/Europe/Berlin\n"
    assert "XKBVARIANT=nodeadkeys" in one.command("cat /etc/default/keyboard")
    assert one.command("tr '\\0' '\\n' < /proc/1/environ | grep ^LANG=") == "LANG=C.UTF-8\n"
    assert one.command("cat /etc/site").startswith(f"{one_seat.name} has 10.9.0.")
    keys = host_keys(one)
    assert keys.count("_key 600 0\n") == 3

    # It keeps what it writes where it shall, and no more of it than it may.
    one.command("umask 077; echo precious > /var/lib/keep/file; echo gone > /root/file; mkdir -m 0750 /home/kim; sync")
    assert "No space left" in one.command("dd if=/dev/zero of=/home/large bs=1M count=32 2>&1; rm /home/large")

    # Its root is mounted: nothing on it can fetch the secrets again.
    assert "403" in one.command(fetch(lab, one_seat))

    # Another, from its root shell: by the server's own paths, by HTTP, and by NFS.
    _, two = boot(lab, 1)
    assert two.command("test -e /etc/only-here || echo none") == "none\n"
    assert two.command("ls -A /var/lib/keep /home") == "/home:\n\n/var/lib/keep:\n"
    assert host_keys(two) != keys
    place = one.command("findmnt -n -o SOURCE --target /run/netboot/persist").strip()
    assert one_seat.mac.dashed in place
    assert "403" in two.command(fetch(lab, one_seat))
    refused = two.command(f"mkdir -p /tmp/m; timeout 60 mount -t nfs -o retry=0 {place} /tmp/m 2>&1; ls -A /tmp/m")
    assert "denied" in refused or "No such file" in refused, refused
    assert "file" not in two.command("ls -A /tmp/m")

    # The daemon is killed and comes back: what runs goes on.
    lab.kill_daemon(signal.SIGKILL)
    lab.start_daemon()
    assert one.command("echo more >> /var/lib/keep/file; cat /var/lib/keep/file") == "precious\nmore\n"
    one.command("sync")

    # The same machine, another boot.
    one.reset()
    one.console.expect("login:", timeout_s=UP_S)
    one.login(timeout_s=60)
    assert one.command("cat /var/lib/keep/file; stat -c '%a %u' /var/lib/keep/file /home/kim") == (
        "precious\nmore\n600 0\n750 0\n"
    )
    assert one.command("test -e /root/file || echo gone") == "gone\n"
    assert host_keys(one) == keys
    assert refusals(lab).count(one_seat.mac) >= 2
