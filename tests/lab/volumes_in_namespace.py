"""Clients' volumes, exported by the real NFS-Ganesha and used by a client in user space; prints what it saw as JSON.

`tests/lab/test_volumes.py` starts this in namespaces of its own.  All addresses are on its loopback interface, and
`become` chooses which of them is asked from.  Usage: volumes_in_namespace.py FOLDER SCENARIO
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from netboot.errors import NetbootError
from netboot.exports import nfs_ganesha
from netboot.exports.nfs_exporter import NfsExporter
from netboot.exports.nfs_ganesha import Ganesha
from netboot.exports.plan import make_plan
from netboot.model.mac import MacAddress
from netboot.personal.volumes import VOLUME, Volumes
from netboot.system.loop import find_loop
from netboot.system.mounts import mounted
from tests.kit import MAC, OTHER_MAC
from tests.lab.exporter_in_namespace import TREE, as_it_is, make_version
from tests.lab.nfs4_calls import OK, walk, write

SERVER = "10.9.0.1"
ONE, TWO, THREE = (IPv4Address(f"10.9.0.{number}") for number in (7, 8, 9))
SIZE = 32 << 20
_PIECE = bytes(range(256)) * 2048

# The client of libnfs speaks 4.0 alone, which is not served else.
nfs_ganesha._HEAD = nfs_ganesha._HEAD.replace("Minor_Versions = 1, 2", "Minor_Versions = 0, 1, 2")


def arrange() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (SERVER, ONE, TWO, THREE):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)


def become(address: IPv4Address) -> None:
    """From now on programs reach the server from this address."""
    # fmt: off
    subprocess.run(["ip", "route", "replace", "table", "local", "local", SERVER, "dev", "lo", "src", str(address)],
                   check=True)
    # fmt: on


class Server:
    """One daemon's exporter and volumes."""

    def __init__(self, folder: Path) -> None:
        (folder / "run").mkdir(exist_ok=True)
        (folder / "clients").mkdir(exist_ok=True)
        self.folder = folder
        self.backend = Ganesha(folder / "run")
        networks = (IPv4Network("10.9.0.0/24"),)
        self.exporter = NfsExporter(self.backend, root=folder / "exports", networks=networks, files_of=as_it_is)
        self.volumes = Volumes(folder / "clients", folder / "exports", self.exporter.share)

    def file(self, mac: MacAddress = MAC) -> Path:
        return self.folder / "clients" / mac.dashed / VOLUME

    def place(self, mac: MacAddress = MAC) -> Path:
        return self.folder / "exports/.clients" / mac.dashed


def put(server: Server, name: str, content: bytes, *, mac: MacAddress = MAC) -> str:
    """Write a file as a client does; "" or what went wrong."""
    source = server.folder / "to-send"
    source.write_bytes(content)
    return _nfs("nfs-cp", str(source), _url(server, mac, name))


def get(server: Server, name: str, *, mac: MacAddress = MAC) -> str:
    """The content of a file as a client reads it, or what went wrong."""
    target = server.folder / "received"
    target.unlink(missing_ok=True)
    return _nfs("nfs-cp", _url(server, mac, name), str(target)) or target.read_text()


def _url(server: Server, mac: MacAddress, name: str) -> str:
    return f"nfs://{SERVER}{server.place(mac)}/{name}?version=4"


def _nfs(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    return "" if done.returncode == 0 else f"refused: {done.stderr.strip().splitlines()[-1:]}"


def own_address(folder: Path) -> Any:
    """Two clients, each with its own volume, and a third address that has none; then one client's address changes."""
    server = Server(folder)
    server.exporter.start([])
    for mac, address in ((MAC, ONE), (OTHER_MAC, TWO)):
        server.volumes.ensure(mac, address, SIZE)
    seen: dict[str, Any] = {}
    become(ONE)
    seen["written"] = put(server, "secret", b"of one")
    seen["read"] = get(server, "secret")
    become(TWO)
    seen["others_own"] = put(server, "file", b"of two", mac=OTHER_MAC)
    seen["other_reads"] = get(server, "secret")[:7]
    seen["other_writes"] = put(server, "planted", b"x")[:7]
    become(THREE)
    seen["third_reads"] = get(server, "secret")[:7]
    seen["modes"] = [oct((server.place().parent).stat().st_mode & 0o777), oct(server.file().stat().st_mode & 0o777)]
    options = mounted(server.place())
    seen["options"] = sorted({"rw", "nosuid", "nodev"} & set(options.options if options else ()))
    # The client comes back with another address; whoever has its old one has nothing of it.
    server.volumes.ensure(MAC, THREE, SIZE)
    seen["moved_reads"] = get(server, "secret")
    become(ONE)
    seen["old_address_reads"] = get(server, "secret")[:7]
    # Then that address is lent to another.
    server.volumes.review({(MAC, THREE)})
    become(THREE)
    seen["lost_reads"] = get(server, "secret")[:7]
    seen["lost_is_mounted"] = mounted(server.place()) is not None
    become(TWO)
    seen["other_goes_on"] = get(server, "file", mac=OTHER_MAC)
    seen["plan"] = bool(make_plan(server.exporter._own, server.backend.observe()))
    server.exporter.stop()
    return seen


def guessed_handles(folder: Path) -> Any:
    """A client that takes another's file handles, and all that it can splice of those and its own."""
    server = Server(folder)
    server.exporter.ensure(make_version(folder, 1), TREE)
    for mac, address in ((MAC, ONE), (OTHER_MAC, TWO)):
        server.volumes.ensure(mac, address, SIZE)
    become(ONE)
    put(server, "secret", b"of one")
    theirs = walk(SERVER, server.place().parts[1:], source=str(ONE))
    secret = walk(SERVER, ["secret"], source=str(ONE), start=theirs.handle)
    mine = walk(SERVER, server.place(OTHER_MAC).parts[1:], source=str(TWO))
    image = walk(SERVER, (folder / "exports/tiny/1").parts[1:], source=str(TWO))
    guesses = {theirs.handle}
    for one, other in itertools.permutations((theirs.handle, mine.handle, image.handle), 2):
        for start, end in itertools.combinations(range(0, len(one) + 1, 2), 2):
            guesses.add(one[:start] + other[start:end] + one[end:])
    opened = [each.hex() for each in guesses if walk(SERVER, ["secret"], source=str(TWO), start=each).status == 0]
    direct = walk(SERVER, [], source=str(TWO), start=secret.handle).status
    still = walk(SERVER, ["secret"], source=str(ONE), start=theirs.handle).status
    server.exporter.stop()
    return {
        "found": [each.status for each in (theirs, secret, mine, image)],
        "many": len(guesses) > 200,
        "opened": opened,
        "secret_itself": direct != 0,
        "owner_goes_on": still,
    }


def fill(server: Server, name: str, size: int) -> int:
    """Write so many bytes to a file; the status of the last write, which may be the first that failed."""
    put(server, name, b"")
    file = walk(SERVER, [*server.place().parts[1:], name], source=str(ONE)).handle
    for offset in range(0, size, len(_PIECE)):
        if status := write(SERVER, file, offset, _PIECE, source=str(ONE)):
            return status
    return OK


def quota(folder: Path) -> Any:
    """A client fills its volume; what is there stays; then its setting grows, between two boots and two daemons."""
    server = Server(folder)
    server.exporter.start([])
    server.volumes.ensure(MAC, ONE, SIZE)
    become(ONE)
    put(server, "small", b"kept")
    sparse = server.file().stat().st_blocks * 512
    seen: dict[str, Any] = {"sparse": sparse < SIZE // 4, "fits": fill(server, "fits", SIZE // 2)}
    seen["too_much"] = fill(server, "large", SIZE)
    seen["taken_at_most"] = server.file().stat().st_blocks * 512 <= SIZE
    server.volumes.ensure(MAC, ONE, 3 * SIZE)
    seen["fits_now"] = fill(server, "larger", SIZE)
    server.volumes.ensure(MAC, ONE, SIZE)
    seen["never_smaller"] = server.file().stat().st_size // SIZE
    seen["still_there"] = get(server, "small")
    server.exporter.stop()
    server = Server(folder)
    server.exporter.start([])
    server.volumes.ensure(MAC, ONE, 4 * SIZE)
    statistics = os.statvfs(server.place())
    seen["grown_at_rest"] = statistics.f_blocks * statistics.f_frsize > 3.5 * SIZE
    server.exporter.stop()
    return seen


def restart(folder: Path) -> Any:
    """The daemon is killed and comes back; then the machine does; then the address is another's by then."""
    child = os.fork()
    if child == 0:
        server = Server(folder)
        server.exporter.start([])
        server.volumes.ensure(MAC, ONE, SIZE)
        become(ONE)
        put(server, "file", b"kept")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    become(ONE)
    server = Server(folder)
    before = (folder / "run/ganesha.pid").read_text(), (folder / "run/ganesha.conf").read_text()
    seen: dict[str, Any] = {"alone": get(server, "file")}
    server.exporter.start([], server.volumes.restore(lambda mac, address: True))
    seen["same_server"] = before == (
        (folder / "run/ganesha.pid").read_text(),
        (folder / "run/ganesha.conf").read_text(),
    )
    seen["taken_over"] = get(server, "file")
    server.exporter.stop()
    seen["after_stop"] = [mounted(server.place()) is not None, find_loop(server.file()) is not None]
    server = Server(folder)
    own = server.volumes.restore(lambda mac, address: True)
    server.exporter.start([], own)
    seen["started_again"] = get(server, "file")
    server.exporter.stop()
    server = Server(folder)
    seen["not_its_address"] = server.volumes.restore(lambda mac, address: False)
    seen["forgotten"] = server.volumes.restore(lambda mac, address: True)
    return seen


def damage(folder: Path) -> Any:
    """Volumes that were not unmounted in order, that are damaged, removed, and moved to another card while exported."""
    server = Server(folder)
    server.exporter.start([])
    server.volumes.ensure(MAC, ONE, SIZE)
    become(ONE)
    put(server, "file", b"kept")
    os.sync()
    unclean = server.file().read_bytes()
    server.exporter.stop()
    # As after a power failure: the journal was never played back.
    server.file().write_bytes(unclean)
    server = Server(folder)
    server.exporter.start([])
    server.volumes.ensure(MAC, ONE, SIZE)
    seen: dict[str, Any] = {"unclean": get(server, "file")}

    # Its network card is changed.
    server.file().parent.rename(server.file(OTHER_MAC).parent)
    server.volumes.review(())
    seen["moved"] = [mounted(server.place()) is not None]
    server.volumes.ensure(OTHER_MAC, ONE, SIZE)
    seen["moved"].append(get(server, "file", mac=OTHER_MAC))

    # It is removed while it is exported.
    server.file(OTHER_MAC).unlink()
    server.volumes.review(())
    seen["removed"] = [mounted(server.place(OTHER_MAC)) is not None, get(server, "file", mac=OTHER_MAC)[:7]]
    server.volumes.ensure(OTHER_MAC, ONE, SIZE)
    seen["anew"] = sorted(each.name for each in server.place(OTHER_MAC).iterdir())

    server.exporter.stop()
    with server.file(OTHER_MAC).open("r+b") as file:
        file.write(bytes(SIZE))
    server = Server(folder)
    server.exporter.start([])
    try:
        server.volumes.ensure(OTHER_MAC, ONE, SIZE)
    except NetbootError as error:
        seen["damaged"] = [type(error).__name__, "is damaged" in error.message, "e2fsck -f" in (error.hint or "")]
    server.exporter.stop()
    return seen


SCENARIOS = {
    "own-address": own_address,
    "guessed-handles": guessed_handles,
    "quota": quota,
    "restart": restart,
    "damage": damage,
}

if __name__ == "__main__":
    arrange()
    sys.stdout.write(json.dumps(SCENARIOS[sys.argv[2]](Path(sys.argv[1]))))
