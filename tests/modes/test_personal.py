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

pytestmark = [pytest.mark.walls, pytest.mark.timeout(2400)]

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


def assert_settings_hold(client: QemuClient) -> None:
    """In the files that say them, for systemd, for a service, for who logs in, and as time is told."""
    assert client.command("cat /etc/default/locale /etc/timezone") == "LANG=C.UTF-8\nEurope/Berlin\n"
    assert "LANG=C.UTF-8" in client.command("systemctl show-environment").split()
    assert client.command("tr '\\0' '\\n' </proc/$(pidof systemd-journald)/environ | grep ^LANG=; echo $LANG") == (
        "LANG=C.UTF-8\nC.UTF-8\n"
    )
    said = client.command("localectl status --no-pager")
    assert "VC Keymap: de-nodeadkeys" in said
    assert "X11 Variant: nodeadkeys" in said
    assert client.command("readlink /etc/localtime") == "/usr/share/zoneinfo/Europe/Berlin\n"
    assert client.command("date +%Z -d @1700000000") == "CET\n"


def identity(client: QemuClient) -> str:
    """Its names, its machine id, and its ssh host keys."""
    return client.command("hostname; cat /etc/machine-id; systemd-id128 machine-id") + host_keys(client)


def assert_cannot_mount(client: QemuClient, place: str) -> None:
    """As root; the server answers, and gives nothing."""
    said = client.command(f"mkdir -p /tmp/m; timeout 60 mount -t nfs -o retry=0,nfsvers=4.2 {place} /tmp/m 2>&1; true")
    assert "denied" in said or "No such file" in said, said
    assert client.command("ls -A /tmp/m") == ""


def test_a_client_has_its_own_again_and_another_has_not(lab: Lab) -> None:
    one_seat, one = boot(lab)
    assert_settings_hold(one)
    assert one.command("cat /etc/only-here") == "secret of lab-01\n"
    assert one.command("cat /etc/site").startswith(f"{one_seat.name} has 10.9.0.")
    whose = identity(one)
    assert whose.startswith(f"{one_seat.name}\n")
    assert whose.count("_key 600 0\n") == 3

    # It keeps what it writes where it shall, and no more of it than it may.
    one.command(
        "umask 077; echo precious >/var/lib/keep/precious; echo gone >/root/file; mkdir -m 0750 /home/kim; sync"
    )
    assert "No space left" in one.command("dd if=/dev/zero of=/home/large bs=1M count=32 2>&1; rm /home/large")

    # Its root is mounted: nothing on it can fetch the secrets again.
    assert "403" in one.command(fetch(lab, one_seat))

    # Another, from its root shell: by its own files, by HTTP, and by NFS.
    _, two = boot(lab, 1)
    assert two.command("test -e /etc/only-here || echo none") == "none\n"
    assert two.command("ls -A /var/lib/keep /home") == "/home:\n\n/var/lib/keep:\n"
    assert not set(identity(two).split()) & {each for each in whose.split() if len(each) >= 32}
    place = one.command("findmnt -n -o SOURCE --target /run/netboot/persist").strip()
    assert one_seat.mac.dashed in place
    assert "403" in two.command(fetch(lab, one_seat))
    assert_cannot_mount(two, place)

    # The daemon is killed and comes back: what runs goes on.
    lab.kill_daemon(signal.SIGKILL)
    lab.start_daemon()
    assert one.command("echo more >>/var/lib/keep/precious; cat /var/lib/keep/precious; sync") == "precious\nmore\n"

    # The same machine, another boot.
    one.reset()
    one.console.expect("login:", timeout_s=2 * UP_S)
    one.login(timeout_s=60)
    assert one.command("cat /var/lib/keep/precious; stat -c '%a %u' /var/lib/keep/precious /home/kim") == (
        "precious\nmore\n600 0\n750 0\n"
    )
    assert one.command("test -e /root/file || echo gone") == "gone\n"
    assert identity(one) == whose
    assert_settings_hold(one)
    assert refusals(lab).count(one_seat.mac) >= 2
