from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from netboot.boot.choose import BootPolicy, choose, machine_id
from netboot.boot.layers import CONFIGURATION, Layer
from netboot.config import UnknownClients
from netboot.errors import NetbootError
from netboot.images.tags import Tags
from netboot.model.client import Client
from netboot.model.image import Version
from netboot.model.loader import Loader, LoaderChoice, LoaderFile
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import ANY_ARCH, Arch, BootRequest, Firmware, Stage
from netboot.model.root import Persistence, RootFormat, RootMode
from netboot.model.san import SanUri
from netboot.model.target import DeniedTarget, ImageTarget, MenuTarget, SanTarget
from netboot.model.wishes import Wishes
from tests.kit import MAC, OTHER_MAC, make_version


@dataclass(frozen=True)
class Book:
    """Clients and versions in memory."""

    clients: tuple[Client, ...] = ()
    versions: tuple[Version, ...] = ()

    def list(self) -> Sequence[Version]:
        return self.versions


class Known(Book):
    def find(self, mac: MacAddress) -> Client | None:
        return next((each for each in self.clients if each.mac == mac), None)


class Published(Book):
    def find(self, ref: VersionRef) -> Version | None:
        found = {each.number: each for each in self.versions if each.image == ref.image}
        number = Tags().resolve(ref.selector, found)
        return None if number is None else found[number]


TWO = (make_version(), make_version(number=2))


def policy(*clients: Client, versions: tuple[Version, ...] = TWO, unknown: str = "nothing") -> BootPolicy:
    return BootPolicy(
        clients=Known(clients),
        versions=Published((), versions),
        unknown=UnknownClients.parse(unknown),
        general=Layer(source=CONFIGURATION, kernel_args=("console=ttyS0",)),
        machine_id_seed=b"seed",
    )


def request(mac: MacAddress = MAC, arch: int = Arch.BIOS) -> BootRequest:
    return BootRequest(mac=mac, stage=Stage.FIRMWARE, firmware=Firmware.BIOS, arch=arch)


LAB = Client(mac=MAC, name="lab-01", image=VersionRef("debian"), kernel_args=("verbose",))


def test_a_known_client_boots_what_it_is_assigned() -> None:
    target = choose(request(), policy(LAB))
    assert isinstance(target, ImageTarget)
    assert target.version.number == 2
    assert target.hostname == "lab-01"
    assert target.kernel_args == ("quiet", "console=ttyS0", "verbose")
    assert target.reason == "client lab-01 is assigned debian"


def test_a_number_pins_the_version() -> None:
    target = choose(request(), policy(replace(LAB, image=VersionRef("debian", 1))))
    assert isinstance(target, ImageTarget)
    assert target.version.number == 1


@pytest.mark.parametrize(
    ("client", "unknown", "reason", "hint"),
    [
        (replace(LAB, image=None), "nothing", "client lab-01 has no image", "netboot client set lab-01 --image"),
        (replace(LAB, image=VersionRef("gone")), "nothing", "image gone does not exist", "netboot image list"),
        (None, "nothing", f"client {MAC} is unknown", f"netboot client add {MAC}"),
        (None, "image:gone", "image gone does not exist", "netboot image list"),
    ],
)
def test_denials_say_why_and_what_to_do(client: Client | None, unknown: str, reason: str, hint: str) -> None:
    target = choose(request(), policy(*([client] if client else []), unknown=unknown))
    assert isinstance(target, DeniedTarget)
    assert target.reason == reason
    assert hint in target.hint
    assert target.known is (client is not None)


def test_unknown_clients_may_get_an_image_with_a_name_of_their_own() -> None:
    target = choose(request(), policy(unknown="image:debian:1"))
    assert isinstance(target, ImageTarget)
    assert (target.hostname, target.version.number) == ("client-525400000001", 1)


def test_unknown_clients_may_get_a_menu_of_the_newest_versions() -> None:
    versions = (make_version(), make_version(number=2), make_version(image="alpine"))
    target = choose(request(), policy(versions=versions, unknown="menu"))
    assert isinstance(target, MenuTarget)
    assert [each.version.label for each in target.entries] == ["alpine:1", "debian:2"]


def test_a_menu_of_nothing_is_a_denial() -> None:
    target = choose(request(), policy(versions=(), unknown="menu"))
    assert isinstance(target, DeniedTarget)
    assert "netboot image build" in target.hint


@pytest.mark.parametrize("arch", [Arch.ARM64_UEFI, Arch.ARM64_HTTP, Arch.RASPBERRY_PI])
def test_a_kernel_for_another_architecture_is_refused_before_it_is_fetched(arch: Arch) -> None:
    target = choose(request(arch=arch), policy(LAB))
    assert isinstance(target, DeniedTarget)
    assert target.reason == "debian:2 is for amd64, this client is arm64"


@pytest.mark.parametrize("arch", [Arch.BIOS, Arch.X64_UEFI, Arch.EBC, 4711])
def test_firmware_that_sends_odd_numbers_is_let_through(arch: int) -> None:
    assert isinstance(choose(request(arch=arch), policy(LAB)), ImageTarget)


OWN_DISK = Wishes(root=RootMode.ISCSI, persistent=Persistence.KEEP)


@pytest.mark.parametrize(
    ("wishes", "reason", "hint"),
    [
        (replace(OWN_DISK, root=None), "which it cannot over nfs", "root = iscsi"),
        (replace(OWN_DISK, root=RootMode.NFS_FILE), "which it cannot over nfs-file", "root = iscsi"),
        (replace(OWN_DISK, root_format=RootFormat.EROFS), "erofs cannot be written to", "root_format = ext4"),
        (replace(OWN_DISK, verify=True), "what is written has no root hash", "verify = false"),
    ],
)
def test_a_disk_of_its_own_is_refused_where_it_cannot_be(wishes: Wishes, reason: str, hint: str) -> None:
    target = choose(request(), policy(replace(LAB, wishes=wishes)))
    assert isinstance(target, DeniedTarget)
    assert target.reason.startswith("lab-01 shall have a disk of its own (persistent = keep)")
    assert target.reason.endswith(reason)
    assert hint in target.hint
    assert isinstance(choose(request(), policy(replace(LAB, wishes=replace(wishes, persistent=None)))), ImageTarget)


def test_who_nobody_added_has_no_disk_of_its_own() -> None:
    ours = replace(policy(LAB, unknown="image:debian"), general=Layer(source=CONFIGURATION, wishes=OWN_DISK))
    known, unknown = (choose(request(mac), ours) for mac in (MAC, OTHER_MAC))
    assert isinstance(known, ImageTarget)
    assert isinstance(unknown, ImageTarget)
    assert (known.persistent, unknown.persistent) == (Persistence.KEEP, Persistence.OFF)


class Damaged(Published):
    def find(self, ref: VersionRef) -> Version | None:
        raise NetbootError("debian/2/manifest.json cannot be read", hint="build the image again")


def test_a_damaged_version_is_told_from_one_that_is_not_there() -> None:
    target = choose(request(), replace(policy(LAB), versions=Damaged()))
    assert isinstance(target, DeniedTarget)
    assert (target.reason, target.hint) == ("debian/2/manifest.json cannot be read", "build the image again")


def test_machine_ids_are_stable_differ_and_depend_on_the_installation() -> None:
    first = machine_id(MAC, b"seed")
    assert first == machine_id(MAC, b"seed")
    assert len({first, machine_id(OTHER_MAC, b"seed"), machine_id(MAC, b"other")}) == 3
    assert len(bytes.fromhex(first)) == 16


@pytest.mark.parametrize(
    ("loader", "arch", "missing"),
    [
        (LoaderChoice.GRUB, Arch.BIOS, "there is no grub for this client's architecture, BIOS (0)"),
        (LoaderChoice.PXELINUX, Arch.X64_UEFI, "there is no pxelinux for this client's architecture, X64_UEFI (7)"),
        (LoaderChoice.PXELINUX, 4711, "there is no pxelinux for this client's architecture, 4711"),
    ],
)
def test_a_loader_that_the_machine_cannot_start_is_not_replaced_by_another(
    loader: LoaderChoice, arch: int, missing: str
) -> None:
    target = choose(request(arch=arch), policy(replace(LAB, loader=loader)))
    assert isinstance(target, DeniedTarget)
    assert (target.reason, target.hint) == (
        missing,
        "let its firmware decide: netboot client set lab-01 --loader auto",
    )


@pytest.mark.parametrize(
    ("loader", "arch"),
    [(LoaderChoice.GRUB, Arch.X64_UEFI), (LoaderChoice.PXELINUX, Arch.BIOS), (LoaderChoice.GRUB, ANY_ARCH)],
)
def test_a_loader_that_fits_is_kept(loader: LoaderChoice, arch: int) -> None:
    target = choose(request(arch=arch), policy(replace(LAB, loader=loader)))
    assert isinstance(target, ImageTarget)
    assert target.loader is loader


class OnlyUndionly:
    def has(self, name: str) -> bool:
        return name == "ipxe/undionly.kpxe"

    def remedy(self, name: str) -> str:
        return f"put {name} there"


def test_a_loader_that_is_not_there_is_told_before_the_client_looks_for_it() -> None:
    bare = replace(policy(LAB), loaders=OnlyUndionly())
    target = choose(request(arch=Arch.X64_UEFI), bare)
    assert isinstance(target, DeniedTarget)
    assert target.reason == "the loader ipxe/snponly.efi is not on this server"
    assert target.hint == "put ipxe/snponly.efi there"
    assert isinstance(choose(request(arch=Arch.BIOS), bare), ImageTarget)
    # Who has iPXE in its network card needs none, and whoever asks by URL has been sent one.
    in_rom = BootRequest(mac=MAC, stage=Stage.LOADER, firmware=Firmware.IPXE, arch=Arch.X64_UEFI)
    assert isinstance(choose(in_rom, bare), ImageTarget)
    assert isinstance(choose(request(arch=ANY_ARCH), bare), ImageTarget)


def test_a_board_without_menus_is_not_offered_one() -> None:
    target = choose(request(arch=Arch.RASPBERRY_PI), policy(versions=(make_version(arch="arm64"),), unknown="menu"))
    assert isinstance(target, DeniedTarget)
    assert (target.reason, target.known) == ("a Raspberry Pi cannot show a menu", False)


SAN = replace(LAB, image=None, san=SanUri(server="10.9.0.2", target="iqn.2010-04.org.example:till-2"))


@pytest.mark.parametrize("arch", [Arch.BIOS, Arch.X64_UEFI, Arch.ARM64_UEFI, Arch.X64_HTTP, ANY_ARCH])
@pytest.mark.parametrize("loader", [LoaderChoice.AUTO, LoaderChoice.IPXE, LoaderFile("ipxe/mine.efi")])
def test_a_disk_with_its_own_loader_is_booted_by_ipxe(arch: int, loader: Loader) -> None:
    target = choose(request(arch=arch), policy(replace(SAN, loader=loader), versions=()))
    assert isinstance(target, SanTarget)
    assert (target.mac, target.hostname, target.san, target.loader) == (MAC, "lab-01", SAN.san, loader)
    assert target.reason == "client lab-01 boots from a disk with a loader of its own"
    assert target.initiator == "iqn.2018-05.arpa.home.netboot:client.lab-01"


def test_such_a_disk_goes_before_the_image_and_its_settings() -> None:
    both = replace(SAN, image=VersionRef("debian"), wishes=Wishes(root=RootMode.NFS, verify=True))
    target = choose(request(), policy(both))
    assert isinstance(target, SanTarget)
    assert target.reason.endswith("which goes before its image debian")
    assert isinstance(choose(request(), policy(replace(both, san=None, wishes=Wishes()))), ImageTarget)


@pytest.mark.parametrize("loader", [LoaderChoice.GRUB, LoaderChoice.PXELINUX, LoaderFile("memtest.efi")])
def test_such_a_disk_is_not_left_to_a_loader_that_cannot_boot_it(loader: Loader) -> None:
    for arch in (Arch.BIOS, Arch.X64_UEFI, ANY_ARCH):
        target = choose(request(arch=arch), policy(replace(SAN, loader=loader)))
        assert isinstance(target, DeniedTarget)
        assert target.reason == f"lab-01 boots from a disk over iSCSI, which iPXE alone can, and its loader is {loader}"
        assert target.hint == "let its firmware decide: netboot client set lab-01 --loader auto"
    ours = replace(policy(SAN), general=Layer(source=CONFIGURATION, loader=loader))
    target = choose(request(), ours)
    assert isinstance(target, DeniedTarget)
    assert target.hint == "name ipxe in the configuration"


@pytest.mark.parametrize(
    ("arch", "named"),
    [
        (Arch.ARM64_UBOOT, "ARM64_UBOOT (22)"),
        (Arch.RASPBERRY_PI, "RASPBERRY_PI (41)"),
        (Arch.PPC_OPAL, "PPC_OPAL (14)"),
        (4711, "4711"),
    ],
)
def test_a_machine_that_has_no_ipxe_cannot_boot_such_a_disk(arch: int, named: str) -> None:
    target = choose(request(arch=arch), policy(SAN))
    assert isinstance(target, DeniedTarget)
    assert target.reason.endswith(f"there is none for this client's architecture, {named}")
    assert "--san none --image IMAGE" in target.hint


def test_an_ipxe_in_rom_boots_such_a_disk_whatever_the_server_has() -> None:
    bare = replace(policy(SAN), loaders=OnlyUndionly())
    target = choose(request(arch=Arch.X64_UEFI), bare)
    assert isinstance(target, DeniedTarget)
    assert target.reason == "the loader ipxe/snponly.efi is not on this server"
    in_rom = BootRequest(mac=MAC, stage=Stage.LOADER, firmware=Firmware.IPXE, arch=4711)
    assert isinstance(choose(in_rom, bare), SanTarget)
