from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.boot.cmdline import kernel_line
from netboot.errors import InvalidInput
from netboot.model.image import Digest
from netboot.model.root import Persistence, RootFormat, RootMode, RootPlace
from tests.kit import make_target

SERVER = IPv4Address("10.9.0.1")


def line(*kernel_args: str, path: str = "/data/exports/debian/1") -> str:
    target = replace(make_target(), kernel_args=kernel_args)
    return " ".join(kernel_line(target, server=SERVER, http_port=8080, root=RootPlace(path)))


def test_the_whole_line() -> None:
    assert line("console=ttyS0") == (
        "boot=netboot BOOTIF=01-52-54-00-00-00-01 ip=dhcp netboot.root=nfs:10.9.0.1:/data/exports/debian/1 "
        "netboot.report=http://10.9.0.1:8080/boot/52-54-00-00-00-01/report netboot.upper=50% netboot.shell=0 "
        "systemd.hostname=a systemd.machine_id=00000000000000000000000000000000 console=ttyS0"
    )


def test_a_client_that_mounts_a_file_itself_is_told_what_it_is() -> None:
    target = replace(make_target(), root=RootMode.NFS_FILE, root_format=RootFormat.EROFS, verify=True)
    root = RootPlace("/data/exports/debian/1.erofs/root.erofs", "root.erofs.verity", Digest("a" * 64))
    words = kernel_line(target, server=SERVER, http_port=8080, root=root)
    assert words[3:7] == (
        "netboot.root=nfs-file:10.9.0.1:/data/exports/debian/1.erofs/root.erofs",
        "netboot.fs=erofs",
        f"netboot.verity={'a' * 64}",
        "netboot.tree=root.erofs.verity",
    )


def test_who_has_something_of_its_own_is_told_where() -> None:
    target = replace(make_target(), timezone="UTC")
    words = kernel_line(target, server=SERVER, http_port=8080, root=RootPlace("/x"))
    assert "netboot.data=http://10.9.0.1:8080/boot/52-54-00-00-00-01/data" in words


def test_what_shall_be_verified_and_cannot_be_is_not_booted() -> None:
    target = replace(make_target(), root=RootMode.NFS_FILE, verify=True)
    with pytest.raises(InvalidInput, match="no dm-verity tree"):
        kernel_line(target, server=SERVER, http_port=8080, root=RootPlace("/x/root.ext4"))


def test_two_clients_have_two_initiator_names() -> None:
    target = replace(make_target(), root=RootMode.ISCSI)
    names = set()
    for hostname in ("lab-01", "lab-02"):
        words = kernel_line(
            replace(target, hostname=hostname),
            server=SERVER,
            http_port=8080,
            root=RootPlace(":3260:0:iqn.2018-05.arpa.home.netboot:debian.1.ext4"),
        )
        assert "netboot.root=iscsi:10.9.0.1::3260:0:iqn.2018-05.arpa.home.netboot:debian.1.ext4" in words
        names |= {word for word in words if word.startswith("netboot.initiator=")}
    assert len(names) == 2


def test_who_writes_to_its_own_disk_has_no_layer_over_it() -> None:
    target = replace(make_target(), root=RootMode.ISCSI, persistent=Persistence.RESET)
    words = kernel_line(target, server=SERVER, http_port=8080, root=RootPlace(":3260:1:iqn.2018-05.arpa.home:x"))
    assert "netboot.writable=1" in words
    assert not [each for each in words if each.startswith("netboot.upper=")]


@pytest.mark.parametrize("bad", ["a b", "a\nb", 'a"b', "a'b", "", "ä"])
def test_no_word_can_smuggle_in_another(bad: str) -> None:
    with pytest.raises(InvalidInput):
        line(bad)
    with pytest.raises(InvalidInput):
        line(path=f"/data/{bad} init=/bin/sh")
