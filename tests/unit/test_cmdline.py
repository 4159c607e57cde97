from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.boot.cmdline import kernel_line
from netboot.errors import InvalidInput
from tests.kit import make_target

SERVER = IPv4Address("10.9.0.1")


def line(*kernel_args: str, path: str = "/data/exports/debian/1") -> str:
    target = replace(make_target(), kernel_args=kernel_args)
    return " ".join(kernel_line(target, server=SERVER, http_port=8080, export_path=path))


def test_the_whole_line() -> None:
    assert line("console=ttyS0") == (
        "boot=netboot BOOTIF=01-52-54-00-00-00-01 ip=dhcp netboot.root=nfs:10.9.0.1:/data/exports/debian/1 "
        "netboot.report=http://10.9.0.1:8080/boot/52-54-00-00-00-01/report netboot.upper=50% netboot.shell=0 "
        "systemd.hostname=a systemd.machine_id=00000000000000000000000000000000 console=ttyS0"
    )


@pytest.mark.parametrize("bad", ["a b", "a\nb", 'a"b', "a'b", "", "ä"])
def test_no_word_can_smuggle_in_another(bad: str) -> None:
    with pytest.raises(InvalidInput):
        line(bad)
    with pytest.raises(InvalidInput):
        line(path=f"/data/{bad} init=/bin/sh")
