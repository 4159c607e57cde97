from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot.script import Renderer, ScriptContext
from netboot.model.event import EventKind
from netboot.model.image import Artefact
from netboot.model.mac import MacAddress
from netboot.model.request import ANY_ARCH, BootRequest
from netboot.model.target import BootTarget, DeniedTarget
from netboot.tftp.content import BootFile, Meaning, Missing
from netboot.tftp.names import BootNames, Collaborators
from netboot.tftp.static import StaticFiles
from tests.kit import MAC, make_target

PEER = IPv4Address("10.9.0.50")
TEMPLATES = Path(__file__).parents[2] / "templates"


class Home:
    """A BootNames with a clock, a target and a lease to be set."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.target: BootTarget = make_target()
        self.asked: list[BootRequest] = []
        self.owners: dict[IPv4Address, MacAddress] = {}
        (folder / "loader").write_bytes(b"loader")
        (folder / "own").write_bytes(b"own")
        renderer = Renderer(TEMPLATES)
        ask = Collaborators(
            choose=self._choose,
            render=renderer.render,
            context=lambda peer: ScriptContext(
                server=IPv4Address("10.9.0.1"), http_port=8080, export_path=lambda version: f"/srv/{version.image}"
            ),
            find_loader={"ipxe/undionly.kpxe": folder / "loader"}.get,
            owner_of=self.owners.get,
        )
        self.names = BootNames(ask, roots=(StaticFiles(folder),), clock=lambda: self.now)

    def _choose(self, request: BootRequest) -> BootTarget:
        self.asked.append(request)
        return self.target

    def text(self, name: bytes, peer: IPv4Address = PEER) -> str:
        found = self.names.open(name, peer)
        assert isinstance(found, BootFile), found
        if isinstance(found.content, int):
            with os.fdopen(found.content) as file:
                return file.read()
        assert len(found.content) == found.size
        return found.content.decode()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        b"pxelinux.cfg/01-52-54-00-00-00-01",
        b"pxelinux/pxelinux.cfg/01-52-54-00-00-00-01",
        b"/pxelinux/pxelinux.cfg/01-52-54-00-00-00-01",
    ],
)
def test_pxelinux_gets_its_configuration(home: Home, name: bytes) -> None:
    assert "KERNEL http://10.9.0.1:8080/boot/52-54-00-00-00-01/debian/1/vmlinuz" in home.text(name)
    (asked,) = home.asked
    assert (asked.mac, asked.arch, asked.address) == (MAC, ANY_ARCH, PEER)


@pytest.mark.parametrize("name", [b"grub/grub.cfg-01-52-54-00-00-00-01", b"/grub/grub.cfg-01-52-54-00-00-00-01"])
def test_grub_gets_its_configuration(home: Home, name: bytes) -> None:
    assert "linux (tftp,10.9.0.1)/boot/52-54-00-00-00-01/debian/1/vmlinuz" in home.text(name)


@pytest.mark.parametrize("name", [b"/grub/grub.cfg", b"pxelinux/pxelinux.cfg/default"])
def test_a_name_without_an_address_means_whose_lease_it_is(home: Home, name: bytes) -> None:
    assert isinstance(home.names.open(name, PEER), Missing)
    home.owners[PEER] = MAC
    assert "52-54-00-00-00-01" in home.text(name)


@pytest.mark.parametrize(
    "name",
    [
        b"pxelinux.cfg/01-ff-ff-ff-ff-ff-ff",
        b"pxelinux.cfg/0A090032",
        b"pxelinux.cfg/564d0000-0000-0000-0000-000000000001",
        b"grub/x86_64-efi/command.lst",
        b"revocations.efi",
        b"\xff",
        b"..",
    ],
)
def test_what_loaders_try_besides_is_missing(home: Home, name: bytes) -> None:
    assert isinstance(home.names.open(name, PEER), Missing)
    assert home.asked == []


def test_a_text_stays_the_same_for_half_a_minute(home: Home) -> None:
    """Rule 4.33: the size that was promised is the size that is read."""
    name = b"pxelinux.cfg/01-52-54-00-00-00-01"
    first = home.text(name)
    home.target = DeniedTarget(mac=MAC, reason="taken away", hint="ask", known=True)
    home.now = 29.0
    assert home.text(name) == first
    assert "taken away" in home.text(name, IPv4Address("10.9.0.51"))
    home.now = 31.0
    assert "taken away" in home.text(name)


def test_what_a_transfer_will_mean(home: Home) -> None:
    name = b"pxelinux.cfg/01-52-54-00-00-00-01"
    script = home.names.open(name, PEER)
    home.target = DeniedTarget(mac=MAC, reason="no image", hint="assign one", known=True)
    refusal = home.names.open(b"grub/grub.cfg-01-52-54-00-00-00-01", PEER)
    assert isinstance(script, BootFile)
    assert script.meaning is not None
    assert (script.meaning.kind, script.meaning.mac) == (EventKind.SCRIPT_SENT, MAC)
    assert isinstance(refusal, BootFile)
    assert refusal.meaning is not None
    assert refusal.meaning.kind is EventKind.DENIED
    assert refusal.meaning.details == {"reason": "no image", "hint": "assign one"}


@pytest.mark.parametrize(("file", "kind"), [("vmlinuz", EventKind.KERNEL_SENT), ("initrd.img", EventKind.INITRD_SENT)])
def test_grub_gets_kernel_and_initrd_by_tftp(home: Home, tmp_path: Path, file: str, kind: EventKind) -> None:
    image = make_target()
    content = tmp_path / file
    content.write_text(f"the {file}")
    kept = Artefact(path=content, size_bytes=content.stat().st_size, digest=image.version.digest)
    home.target = replace(image, version=replace(image.version, kernel=kept, initrd=kept))
    name = f"/boot/{MAC.dashed}/debian/1/{file}".encode()
    assert home.text(name) == f"the {file}"
    found = home.names.open(name, PEER)
    assert isinstance(found, BootFile)
    assert isinstance(found.content, int)
    os.close(found.content)
    assert found.meaning == Meaning(kind=kind, mac=MAC, details={"file": file, "version": "debian:1"})


@pytest.mark.parametrize(
    "name",
    [
        b"boot/52-54-00-00-00-01/debian/2/vmlinuz",
        b"boot/52-54-00-00-00-01/other/1/vmlinuz",
        b"boot/52-54-00-00-00-01/debian/1/root.ext4",
        b"boot/52-54-00-00-00-01/debian/01/vmlinuz",
        b"boot/debian/1/vmlinuz",
    ],
)
def test_a_version_that_the_client_does_not_boot_is_not_to_be_had(home: Home, name: bytes) -> None:
    assert isinstance(home.names.open(name, PEER), Missing)


def test_loaders_and_own_files(home: Home) -> None:
    assert home.text(b"ipxe/undionly.kpxe") == "loader"
    assert home.text(b"/ipxe/undionly.kpxe\xff") == "loader"
    assert home.text(b"own") == "own"
