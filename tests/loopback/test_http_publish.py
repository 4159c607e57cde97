"""Versions are published and tags moved while fifty clients fetch: nobody fails, nobody gets parts of two versions."""

from __future__ import annotations

import http.client
import re
import threading
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from netboot.boot.choose import BootPolicy, choose
from netboot.images.measure import measure_whole
from netboot.images.store import ImageStore
from netboot.images.tags import Tags
from netboot.model.client import Client
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import BootRequest
from netboot.model.target import BootTarget
from tests.images_kit import block, manifest_for, write_root
from tests.kit import make_target
from tests.loopback.http_kit import Site, serving

CLIENTS = 50
VERSIONS = 8
SIZES = {"vmlinuz": 300_000, "initrd.img": 900_000}


def content(name: str, number: int) -> bytes:
    """A file of a version, of which every few bytes say whose it is."""
    word = f"{name} of {number}; ".encode()
    return (word * (SIZES[name] // len(word) + 1))[: SIZES[name]]


def publish(store: ImageStore) -> Version:
    with store.stage("debian") as staging:
        for name in SIZES:
            (staging.version / name).write_bytes(content(name, staging.number))
        write_root(staging.version / "root.ext4", {0: block(str(staging.number))})
        files = measure_whole(staging.version, "debian", staging.number)
        return store.publish(staging, manifest_for(staging, files))


@dataclass
class Known:
    """Every machine is a client that is assigned to the image without more."""

    def find(self, mac: MacAddress) -> Client | None:
        return Client(mac=mac, name="lab-01", image=VersionRef("debian"))


@dataclass
class Store(Site):
    """Answers from a real store by the one resolver."""

    policy: BootPolicy | None = None

    def _choose(self, request: BootRequest) -> BootTarget:
        assert self.policy is not None
        return choose(request, self.policy)


@dataclass
class Fetches:
    """What the clients got: how often each version, whole; and what went wrong."""

    whole: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    going_on: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


def boot_over_and_over(port: int, mac: MacAddress, fetches: Fetches) -> None:
    while not fetches.going_on.is_set():
        try:
            number = boot_once(port, mac)
            with fetches.lock:
                fetches.whole[number] = fetches.whole.get(number, 0) + 1
        except (AssertionError, OSError, http.client.HTTPException) as error:
            fetches.wrong.append(repr(error))
            return


def boot_once(port: int, mac: MacAddress) -> int:
    """Script, kernel and initrd; the number of the version that all of them are of."""
    script = get(port, mac, f"/boot/{mac.dashed}/ipxe").decode()
    kernel, initrd = (re.search(rf"/boot/{mac.dashed}/debian/([0-9]+)/{name}", script) for name in SIZES)
    root = re.search(r"netboot.root=nfs:[0-9.]+:/srv/exports/debian/([0-9]+)", script)
    assert kernel and initrd and root, script
    numbers = {int(match.group(1)) for match in (kernel, initrd, root)}
    assert len(numbers) == 1, f"a script of {numbers}"
    (number,) = numbers
    for name, match in zip(SIZES, (kernel, initrd), strict=True):
        assert get(port, mac, match.group(0)) == content(name, number), f"{name} is not that of {number}"
    return number


def get(port: int, mac: MacAddress, path: str) -> bytes:
    """A fetch from an address of the client's own, since of one address only so many connections are let be idle."""
    own = f"127.0.1.{mac.octets[-1] + 1}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(own, 0))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, f"{answer.status} for {path}: {body[:200]!r}"
        return body
    finally:
        connection.close()


def test_publishing_and_moving_tags_while_fifty_clients_fetch(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    publish(store)
    policy = BootPolicy(clients=Known(), versions=store)
    site = Store(make_target(), tmp_path, find_version=store.find, policy=policy)
    fetches, macs = Fetches(), [MacAddress(bytes([2, 0, 0, 0, 0, number])) for number in range(CLIENTS)]
    # Another store than the one that serves, as the command line's is.
    admin = ImageStore(tmp_path / "images")
    with serving(site):
        clients = [
            threading.Thread(target=boot_over_and_over, args=(site.port, mac, fetches), daemon=True) for mac in macs
        ]
        for client in clients:
            client.start()
        for number in range(2, VERSIONS + 1):
            wait_for_boots(fetches, CLIENTS)
            if number % 2:
                admin.change_tags("debian", partial(Tags.set, tag="stable", number=number - 1, at=0.0))
            publish(admin)
        wait_for_boots(fetches, CLIENTS)
        admin.change_tags("debian", lambda tags: tags.roll_back("stable", at=0.0))
        wait_for_boots(fetches, CLIENTS)
        fetches.going_on.set()
        for client in clients:
            client.join(60)
    assert fetches.wrong == []
    assert sum(fetches.whole.values()) > CLIENTS * VERSIONS
    assert {1, 2, 4, 6} <= fetches.whole.keys(), fetches.whole


def wait_for_boots(fetches: Fetches, more: int) -> None:
    """Until so many boots more were made."""
    wanted = sum(fetches.whole.values()) + more
    pause = threading.Event()
    for _ in range(6000):
        if sum(fetches.whole.values()) >= wanted or fetches.wrong:
            return
        pause.wait(0.01)
    raise AssertionError(f"only {fetches.whole} were booted")


def test_a_version_of_another_image_is_not_to_be_had(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    publish(store)
    site = Store(make_target(), tmp_path, find_version=store.find, policy=BootPolicy(clients=Known(), versions=store))
    with serving(site):
        connection = http.client.HTTPConnection(str(IPv4Address("127.0.0.1")), site.port, timeout=10)
        for path, status in (("debian/1", 200), ("debian/2", 404), ("secret/1", 404)):
            connection.request("GET", f"/boot/02-00-00-00-00-01/{path}/vmlinuz")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status, path
        connection.close()
