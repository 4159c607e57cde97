"""Settings in layers: configuration, profiles, the client's record; which one holds, and by whose word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from netboot.boot.choose import BootPolicy, choose, layers_of
from netboot.boot.layers import settle
from netboot.config import parse_config
from netboot.errors import InvalidInput
from netboot.model.client import Client
from netboot.model.loader import parse_loader
from netboot.model.names import VersionRef
from netboot.model.request import ANY_ARCH, Arch, BootRequest, Firmware, Stage
from netboot.model.root import RootFormat, RootMode
from netboot.model.target import DeniedTarget, ImageTarget
from netboot.model.wishes import Wishes
from tests.kit import MAC, OTHER_MAC
from tests.unit.test_choose import TWO, Known, OnlyUndionly, Published

CONFIG = """
[loaders]
x64-uefi = "site/x64.efi"
4711 = "site/odd.efi"
other = "site/other.efi"

[boot]
kernel_args = ["general"]

[profile.room]
kernel_args = ["room"]
upper = "1g"
shell = true

[profile.secure]
inherits = "room"
loader = "grub"
kernel_args = ["secure"]
upper = "2g"

[profile.secure.loaders]
bios = "site/undi.kpxe"

[profile.quiet]
shell = false
"""

CLIENT = Client(mac=MAC, name="lab-01", image=VersionRef("debian"), kernel_args=("own",))


def policy(client: Client, config: str = CONFIG) -> BootPolicy:
    return BootPolicy.of(
        parse_config(config), clients=Known((client,)), versions=Published((), TWO), loaders=Every(), secret=b""
    )


class Every(OnlyUndionly):
    def has(self, name: str) -> bool:
        return True


def target_of(client: Client, arch: int = Arch.X64_UEFI, config: str = CONFIG) -> ImageTarget | DeniedTarget:
    request = BootRequest(mac=MAC, stage=Stage.FIRMWARE, firmware=Firmware.UEFI, arch=arch)
    target = choose(request, policy(client, config))
    assert isinstance(target, ImageTarget | DeniedTarget)
    return target


@pytest.mark.parametrize(
    ("profiles", "own", "arch", "loader", "said_by"),
    [
        ((), "auto", Arch.X64_UEFI, "site/x64.efi", "configuration"),
        ((), "auto", Arch.BIOS, "auto", "default"),
        ((), "auto", 4711, "site/odd.efi", "configuration"),
        ((), "auto", 4712, "site/other.efi", "configuration"),
        ((), "auto", ANY_ARCH, "auto", "default"),
        (("room",), "auto", Arch.X64_UEFI, "site/x64.efi", "configuration"),
        # A profile's word for all architectures wins over the configuration's for this one, its word for one over that.
        (("secure",), "auto", Arch.X64_UEFI, "grub", "profile secure"),
        (("secure",), "auto", Arch.BIOS, "site/undi.kpxe", "profile secure"),
        (("secure",), "ipxe/own.efi", Arch.X64_UEFI, "ipxe/own.efi", "client record"),
        (("secure",), "ipxe", Arch.BIOS, "ipxe", "client record"),
    ],
)
def test_the_nearest_word_on_the_loader_holds(
    profiles: tuple[str, ...], own: str, arch: int, loader: str, said_by: str
) -> None:
    client = replace(CLIENT, profiles=profiles, loader=parse_loader(own))
    settled = settle(layers_of(client, policy(client)), arch)
    assert (str(settled.loader), settled.sources["loader"]) == (loader, said_by)
    target = target_of(client, arch)
    assert isinstance(target, ImageTarget)
    assert target.loader == settled.loader


@pytest.mark.parametrize(
    ("profiles", "words", "upper", "shell"),
    [
        ((), "general own", "50%", False),
        (("room",), "general room own", "1g", True),
        (("secure",), "general room secure own", "2g", True),
        (("secure", "quiet"), "general room secure own", "2g", False),
        (("quiet", "room"), "general room own", "1g", True),
    ],
)
def test_a_later_profile_wins_and_words_add_up(profiles: tuple[str, ...], words: str, upper: str, shell: bool) -> None:
    target = target_of(replace(CLIENT, profiles=profiles))
    assert isinstance(target, ImageTarget)
    assert target.kernel_args == ("quiet", *words.split())
    assert (target.upper, target.shell) == (upper, shell)


def test_wishes_hold_one_by_one_and_the_client_has_the_last_word() -> None:
    config = (
        CONFIG
        + """
[profile.disk]
root = "iscsi"
root_format = "erofs"
verify = true
"""
    )
    client = replace(CLIENT, profiles=("room", "disk"), wishes=Wishes(root=RootMode.NFS_FILE))
    settled = settle(layers_of(client, policy(client, config)), ANY_ARCH)
    assert (settled.root, settled.root_format, settled.verify, settled.upper) == ("nfs-file", "erofs", True, "1g")
    assert [settled.sources[name] for name in ("root", "root_format", "verify", "upper")] == [
        "client record",
        "profile disk",
        "profile disk",
        "profile room",
    ]
    target = target_of(client, config=config)
    assert isinstance(target, ImageTarget)
    assert target.form == (RootMode.NFS_FILE, RootFormat.EROFS)


def test_what_makes_a_client_itself_comes_in_layers_and_folders_of_files_add_up() -> None:
    config = """
[boot]
timezone = "UTC"
locale = "C.UTF-8"
files = "/etc/netboot/files"
[profile.berlin]
timezone = "Europe/Berlin"
files = "/etc/netboot/berlin"
[profile.plain]
host_keys = false
"""
    client = replace(CLIENT, profiles=("berlin",), wishes=Wishes(keyboard="de"))
    target = target_of(client, config=config)
    assert isinstance(target, ImageTarget)
    assert (target.timezone, target.locale, target.keyboard, target.host_keys) == (
        "Europe/Berlin",
        "C.UTF-8",
        "de",
        True,
    )
    assert target.files == (Path("/etc/netboot/files"), Path("/etc/netboot/berlin"))
    assert target.has_own
    bare = target_of(replace(CLIENT, profiles=("plain",)), config="[profile.plain]\nhost_keys = false")
    assert isinstance(bare, ImageTarget)
    assert not bare.has_own


def test_paths_that_are_kept_add_up_and_their_size_is_the_nearest_word() -> None:
    config = """
[boot]
persist = ["/etc/ssh"]
[profile.app]
persist = ["/var/lib/app", "/etc/ssh"]
persist_size = "2g"
"""
    client = replace(CLIENT, profiles=("app",), wishes=Wishes(persist=("/home",), persist_size="3g"))
    settled = settle(layers_of(client, policy(client, config)), ANY_ARCH)
    assert settled.persist == ("/etc/ssh", "/var/lib/app", "/home")
    assert settled.sources["persist"] == "configuration, profile app, client record"
    assert (settled.persist_size, settled.sources["persist_size"]) == ("3g", "client record")
    assert settle((), ANY_ARCH).persist == ()
    request = BootRequest(mac=OTHER_MAC, stage=Stage.LOADER, firmware=Firmware.IPXE, arch=ANY_ARCH)
    stranger = choose(request, policy(client, config + '[clients]\nunknown = "image:debian"'))
    assert isinstance(stranger, ImageTarget)
    assert stranger.persist == ()


def test_a_client_that_nobody_added_has_settings_and_no_secrets() -> None:
    config = '[clients]\nunknown = "image:debian"\n[boot]\ntimezone = "UTC"\n'
    request = BootRequest(mac=OTHER_MAC, stage=Stage.LOADER, firmware=Firmware.IPXE, arch=ANY_ARCH)
    target = choose(request, policy(CLIENT, config))
    assert isinstance(target, ImageTarget)
    assert (target.known, target.host_keys, target.timezone, target.has_own) == (False, False, "UTC", True)


def test_a_tree_cannot_be_verified_and_is_not_booted_as_if_it_were() -> None:
    target = target_of(replace(CLIENT, wishes=Wishes(verify=True)))
    assert isinstance(target, DeniedTarget)
    assert "verify its root" in target.reason
    assert "nfs-file" in target.hint


def test_a_profile_that_is_gone_is_told_to_who_has_it() -> None:
    target = target_of(replace(CLIENT, profiles=("room", "gone")))
    assert isinstance(target, DeniedTarget)
    assert target.reason == "client lab-01 has the profile gone, which the configuration does not have"
    assert target.hint == "write [profile.gone] there, or take it away: netboot client set lab-01 --profile none"


def test_a_family_that_has_nothing_is_mended_where_it_was_named() -> None:
    config = '[profile.x]\nloader = "pxelinux"'
    target = target_of(replace(CLIENT, profiles=("x",)), config=config)
    assert isinstance(target, DeniedTarget)
    assert target.hint == "name another for that architecture in the profile x"


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ('[profile.a]\ninherits = "b"', "profile.a.inherits names b, which is no profile", "write [profile.b]"),
        (
            '[profile.a]\ninherits = "b"\n[profile.b]\ninherits = "c"\n[profile.c]\ninherits = "b"',
            "profile b inherits from itself: b from c from b",
            "take the setting inherits out of [profile.c]",
        ),
        ('[profile.a]\ninherits = "a"', "profile a inherits from itself: a from a", "[profile.a]"),
        ("[profile.a]\nlader = 'grub'", "profile.a.lader is no setting", "did you mean profile.a.loader?"),
        ("[profile.A_b]", "'A_b' cannot be a profile's name", "lower-case"),
        ("profile = 1", "profile: must be a table", "[profile.NAME]"),
        ("[profile]\na = 1", "profile.a: must be a table", "[profile.a]"),
        ("[loaders]\nx64-efi = 'grub'", "loaders has no architecture x64-efi", "did you mean x64-uefi?"),
        ("[loaders]\n65536 = 'grub'", "loaders has no architecture 65536", "known are bios, pc98"),
        ("[loaders]\nbios = 'lilo'", "loaders has at bios what is none: 'lilo' is no loader", "name a family"),
        ("[loaders]\nbios = '../x'", "'../x' cannot be the name of a loader", "as it lies in the folder"),
        ("[loaders]\nbios = 7", "loaders has at bios what is none: must be a text", ""),
        ("loaders = 'grub'", "loaders must be a table from architectures to loaders", ""),
    ],
)
def test_errors_of_profiles_and_loaders_name_the_fix(source: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_config(source, name="site.toml")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_number_that_has_a_name_is_that_architecture() -> None:
    assert dict(parse_config("[loaders]\n7 = 'x.efi'").loaders) == {"x64-uefi": parse_loader("x.efi")}
