"""The whole product on a server with a distribution's kernel: a client boots from the kernel's own NFS server, from a
tree and then from a file.

One test, since both machines take the better part of a minute to boot in emulation: the story of one server and one
client, told in steps.  Everything is asserted from what the client's shell and the server's kernel say.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest

from netboot.lab.client import QemuClient
from netboot.model.root import RootFormat, RootMode
from tests.appliance.conftest import Site
from tests.appliance.disk import DATA, HOME
from tests.appliance.machine import Appliance
from tests.boot.layered import assert_overlay_over_read_only

pytestmark = [pytest.mark.walls, pytest.mark.timeout(900)]

NETBOOT = f"{HOME}/.venv/bin/netboot --data-dir {DATA}"
EXPORT = f"{DATA}/exports/debian-minimal/1"
FOREIGN = f"{HOME}/foreign  127.0.0.1"
# The daemon starts in 8 to 16 s on an idle machine, most of it imports.
START_S = 180.0
CLIENT_UP_S = 300.0

MOUNTS = re.compile(
    rf"^10\.9\.0\.1:{EXPORT} (?P<lower>\S+) nfs4 ro,(?P<nfs>\S+) 0 0\n"
    r"(?:.*\n)*?overlay / overlay (?P<overlay>\S+) 0 0$",
    re.MULTILINE,
)

# Reads a program from the server again and again, and keeps what became of it.  No job of the shell's, which would
# tell of its end on the console, between the answers.
READER = (
    "(while sleep 0.5; do echo 3 > /proc/sys/vm/drop_caches; sha256sum /usr/bin/nano || echo failed; done)"
    " > /run/reads 2>&1 & echo $! > /run/reader.pid; disown"
)


def test_a_client_lives_on_the_kernels_own_nfs_server(site: Site) -> None:
    server, client = site.server, site.client

    assert server.run("cat /proc/fs/nfsd/threads 2> /dev/null || echo none") == "none\n"
    server.run("systemctl start netboot", timeout_s=START_S)
    assert int(server.run("cat /proc/fs/nfsd/threads")) > 0
    assert_exports_are_read_only_to_our_network(server)

    client.start()
    client.login(timeout_s=CLIENT_UP_S)
    assert_client_runs_from_the_export(client)
    assert_client_cannot_write(client)
    assert_server_knows_that_it_is_up(server)

    client.command(READER)
    before = state_of_exports(server)
    kill_daemon(server)
    assert state_of_exports(server) == before
    server.run(r"""sed -i 's/backend = "kernel"/backend = "auto"/' /etc/netboot.toml""")
    server.run("systemctl restart netboot", timeout_s=START_S)
    assert state_of_exports(server) == before
    assert_every_read_was_right(server, client)

    client.stop()
    server.run(f"{NETBOOT} client set lab-02 --root nfs-file --verify", timeout_s=START_S)
    client.start()
    client.login(timeout_s=CLIENT_UP_S)
    assert_overlay_over_read_only(client, RootMode.NFS_FILE, RootFormat.EXT4, verified=True)
    assert client.command("findmnt --noheadings --output FSTYPE /run/netboot/export") == "nfs4\n"

    client.stop()
    server.run("exportfs -ra")
    assert EXPORT not in server.run("exportfs -s")
    wait_until(lambda: EXPORT in server.run("exportfs -s"), "exported again what exportfs -ra had dropped")
    wait_until(lambda: not lessees(server), "forgotten the client that was switched off")

    assert "images by kernel" in server.run("journalctl --unit netboot --no-pager --lines 20")
    server.run("systemctl stop netboot")
    exports = server.run("exportfs -s")
    assert DATA.as_posix() not in exports
    assert FOREIGN in exports
    assert DATA.as_posix() not in server.run("cat /proc/self/mountinfo")
    assert int(server.run("cat /proc/fs/nfsd/threads")) > 0


def assert_exports_are_read_only_to_our_network(server: Appliance) -> None:
    listing = server.run("exportfs -s")
    assert FOREIGN in listing
    ours = [line for line in listing.splitlines() if line.startswith(f"{DATA}/")]
    assert len(ours) == 1, listing
    path, network, options = re.split(r"\s+|\(", ours[0].rstrip(")"), maxsplit=2)
    assert (path, network) == (EXPORT, "10.9.0.0/24")
    assert "ro" in options.split(",")


def assert_client_runs_from_the_export(client: QemuClient) -> None:
    mounts = client.command("cat /proc/mounts")
    found = MOUNTS.search(mounts)
    assert found, mounts
    assert "vers=4.2" in found["nfs"].split(",")
    assert f"lowerdir={found['lower']}" in found["overlay"].split(",")
    assert client.command("hostname") == "lab-02\n"


def assert_client_cannot_write(client: QemuClient) -> None:
    """Not even when it mounts the export anew, as writable, as root."""
    client.command(f"mount -t nfs -o rw,nosharecache,vers=4.2 10.9.0.1:{EXPORT} /mnt")
    refused = client.command("touch /mnt/witness 2>&1 || umount /mnt")
    assert "Read-only file system" in refused


def assert_server_knows_that_it_is_up(server: Appliance) -> None:
    told = server.run(f"{NETBOOT} boot show lab-02 --json", timeout_s=START_S)
    boot = json.loads(told)
    assert boot["verdict"]["outcome"] == "up", told


def kill_daemon(server: Appliance) -> None:
    """kill -9; the unit of docs/service.md has it started again."""
    killed = int(server.run("systemctl show --property MainPID --value netboot"))
    server.run("systemctl kill --signal KILL --kill-who main netboot")
    wait_until(
        lambda: (
            server.run("systemctl show --property ActiveState --value netboot") == "active\n"
            and int(server.run("systemctl show --property MainPID --value netboot")) != killed
        ),
        "started the killed daemon again",
    )


def state_of_exports(server: Appliance) -> str:
    """The table of exports, when it was last written, and the mount: all differ if anything was done anew."""
    written = server.run("stat --format '%i %y' /var/lib/nfs/etab && exportfs -s")
    return written + server.run(f"grep {EXPORT} /proc/self/mountinfo")


def assert_every_read_was_right(server: Appliance, client: QemuClient) -> None:
    client.command("kill $(cat /run/reader.pid)")
    reads = client.command("sort /run/reads | uniq -c").splitlines()
    digest, _ = server.run(f"sha256sum {EXPORT}/usr/bin/nano").split()
    assert len(reads) == 1, reads
    times, read, _ = reads[0].split()
    assert read == digest
    assert int(times) > 10


def lessees(server: Appliance) -> list[int]:
    """How long ago each client that the server still counts as running was heard of."""
    infos = server.run("cat /proc/fs/nfsd/clients/*/info 2> /dev/null || true")
    lease_s = int(server.run("cat /proc/fs/nfsd/nfsv4leasetime"))
    seconds = [int(each) for each in re.findall(r"^seconds from last renew: (\d+)$", infos, re.MULTILINE)]
    return [each for each in seconds if each <= lease_s]


def wait_until(fact: Callable[[], bool], what: str, *, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not fact():
        assert time.monotonic() < deadline, f"the server has not {what} within {limit_s:g} s"
        time.sleep(1)
