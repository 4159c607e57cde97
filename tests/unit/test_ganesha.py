from __future__ import annotations

import os
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from netboot.exports.nfs_ganesha import assign_ids, read_grants, read_ids, render_config
from netboot.exports.plan import Export, Grant, export_of, grants
from netboot.exports.process import listening_ports
from netboot.model.root import RootForm, RootMode
from tests.kit import make_version

ROOT = Path("/srv/netboot/exports")
GOLDEN = Path(__file__).parent.parent / "golden/exports/ganesha.conf"
EXPORTS = [
    export_of(make_version(image=image), RootForm(RootMode.NFS), root=ROOT, networks=networks)
    for image, networks in (
        ("debian", (IPv4Network("10.9.0.0/24"), IPv4Network("192.168.7.0/24"))),
        ("almalinux", (IPv4Network("10.9.0.0/24"),)),
    )
]


def render(exports: list[Export]) -> str:
    ids = assign_ids(exports, known={})
    return render_config(exports, ids=ids, run=Path("/srv/netboot/run"), plugins=Path("/usr/lib/ganesha"))


def test_the_configuration_is_this_text() -> None:
    text = render(EXPORTS)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_the_order_of_asking_does_not_matter() -> None:
    assert render(EXPORTS) == render(EXPORTS[::-1])


def test_what_is_written_is_read_again() -> None:
    text = render(EXPORTS)
    assert sorted(read_grants(text)) == sorted(grants(EXPORTS))
    assert read_ids(text) == assign_ids(EXPORTS, known={})


def test_what_is_writable_is_so_for_one_client_alone_and_read_again() -> None:
    own = Export(
        label="client", path=ROOT / ".clients/a", networks=(IPv4Network("10.9.0.7/32"),), fsid="1", writable=True
    )
    text = render([*EXPORTS, own])
    assert text.count("Access_Type = RW;") == 1
    assert Grant(own.path, IPv4Network("10.9.0.7/32"), writable=True) in read_grants(text)
    assert sorted(read_grants(text)) == sorted(grants([*EXPORTS, own]))


def test_without_a_configuration_nothing_is_exported() -> None:
    assert (read_grants(""), read_ids("")) == ((), {})


def test_a_running_clients_export_keeps_its_id() -> None:
    known = {EXPORTS[0].path: 4711, Path("/gone"): 7}
    assert assign_ids(EXPORTS, known=known)[EXPORTS[0].path] == 4711


def test_a_new_export_takes_no_id_that_is_taken() -> None:
    (usual,) = assign_ids(EXPORTS[:1], known={}).values()
    (other,) = assign_ids(EXPORTS[:1], known={Path("/running"): usual}).values()
    assert other == usual % 0xFFFF + 1


def test_ids_fit_16_bits_and_differ() -> None:
    many = [export_of(make_version(number=n), RootForm(RootMode.NFS), root=ROOT, networks=()) for n in range(1, 1500)]
    ids = list(assign_ids(many, known={}).values())
    assert len(set(ids)) == len(ids)
    assert min(ids) >= 1 and max(ids) <= 0xFFFF


def test_listening_ports_are_those_of_listening_sockets() -> None:
    # /proc/net/tcp: slot, local address, remote address, state (0A listens, 01 is established).
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue\n"
        "   0: 00000000:0801 00000000:0000 0A 00000000:00000000\n"
        "   1: 0100007F:1F90 0100007F:0801 01 00000000:00000000\n"
    )
    assert listening_ports(table) == {2049}
    assert listening_ports("") == set()


@pytest.mark.parametrize("config", ["", "EXPORT {\n}\n", "EXPORT {\n    Export_Id = 7;\n", "\ufffd\ufffd"])
def test_a_damaged_configuration_counts_as_none(config: str) -> None:
    assert read_ids(config) == {}
    assert read_grants(config) == ()
