from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from netboot.config import ExportBackend
from netboot.errors import Unavailable
from netboot.exports.detect import Facts, choose_backend
from netboot.exports.nfs_kernel import check_mounts, clients_in, exportfs_argvs, parse_exports
from netboot.exports.plan import Export, Grant, export_of, make_plan
from netboot.model.root import RootForm, RootMode
from tests.kit import make_version

ROOT = Path("/srv/netboot/exports")
LAB = IPv4Network("10.9.0.0/24")
KERNEL, GANESHA, AUTO = ExportBackend.KERNEL, ExportBackend.GANESHA, ExportBackend.AUTO


def test_an_export_is_read_only_to_one_network_and_has_an_id_that_stays() -> None:
    export = export_of(make_version(), RootForm(RootMode.NFS), root=ROOT, networks=(LAB,))
    plan = make_plan([export], [Grant(ROOT / "debian/9", LAB)])
    assert exportfs_argvs(plan, {export.path: export}) == [
        ["exportfs", "-u", "10.9.0.0/24:/srv/netboot/exports/debian/9"],
        [
            "exportfs",
            "-o",
            "ro,async,no_subtree_check,no_root_squash,fsid=11111111-1111-1111-1111-111111111111",
            "10.9.0.0/24:/srv/netboot/exports/debian/1",
        ],
    ]


def test_a_clients_own_data_are_writable_and_a_writable_export_is_another_than_one_that_is_not() -> None:
    address = IPv4Network("10.9.0.7/32")
    own = Export(label="client", path=ROOT / ".clients/a", networks=(address,), fsid="1-2", writable=True)
    listing = "/srv/netboot/exports/.clients/a  10.9.0.7/32(ro,wdelay,fsid=1-2,sec=sys,secure,no_root_squash)\n"
    plan = make_plan([own], parse_exports(listing))
    assert exportfs_argvs(plan, {own.path: own}) == [
        ["exportfs", "-u", "10.9.0.7/32:/srv/netboot/exports/.clients/a"],
        [
            "exportfs",
            "-o",
            "rw,sync,no_subtree_check,no_root_squash,fsid=1-2",
            "10.9.0.7/32:/srv/netboot/exports/.clients/a",
        ],
    ]
    assert not make_plan([own], parse_exports(listing.replace("(ro,", "(rw,")))


def test_the_listing_of_exportfs_is_read() -> None:
    listing = (
        "/srv/netboot/exports/debian/1  10.9.0.0/24(ro,wdelay,fsid=1,sec=sys,secure,no_root_squash)\n"
        "/home  *.example.org(rw,sync)\n"
        "/data  10.1.2.3(rw,sync)\n"
    )
    assert parse_exports(listing) == [
        Grant(ROOT / "debian/1", LAB),
        Grant(Path("/data"), IPv4Network("10.1.2.3/32"), writable=True),
    ]


def test_exports_of_others_are_read_however_they_are_written() -> None:
    listing = (
        "/srv  10.4.4.0/255.255.255.0(sync,wdelay,hide,no_subtree_check,fsid=7,sec=sys,ro)\n"
        "/srv  10.3.4.5/24(sync,wdelay,hide,no_subtree_check,sec=sys,ro)\n"
        "/srv  fd09::/64(ro)\n"
        "/srv  <world>(ro)\n"
    )
    assert parse_exports(listing) == [Grant(Path("/srv"), IPv4Network("10.3.4.0/24"))]


def test_what_mountd_does_not_see_is_not_exported() -> None:
    export = export_of(make_version(), RootForm(RootMode.NFS), root=ROOT, networks=(LAB,))
    check_mounts([export], seen={Path("/"), export.path})
    with pytest.raises(Unavailable, match="does not see what we mounted at /srv/netboot/exports/debian/1") as caught:
        check_mounts([export], seen={Path("/"), ROOT})
    assert "ProtectHome=" in (caught.value.hint or "")


# As Linux 6.1 writes it.
CLIENT = """\
clientid: 0x8d0df3bf6b0517a2
address: "{address}:690"
status: {status}
seconds from last renew: {seconds}
name: "Linux NFSv4.2 bb4fc587188bac6dab87b01d13cad932/lab-02"
minor version: 2
"""


@pytest.mark.parametrize(
    ("info", "found"),
    [
        (CLIENT.format(address="10.9.0.113", status="confirmed", seconds=3), ["10.9.0.113"]),
        (CLIENT.format(address="10.9.0.113", status="confirmed", seconds=90), ["10.9.0.113"]),
        (CLIENT.format(address="10.9.0.113", status="courtesy", seconds=91), []),
        (CLIENT.format(address="10.1.0.113", status="confirmed", seconds=3), []),
        (CLIENT.format(address="[fd09::7]", status="confirmed", seconds=3), []),
        ('clientid: 0x1\naddress: "10.9.0.2:690"\nstatus: confirmed\n', ["10.9.0.2"]),
        ("", []),
    ],
)
def test_a_client_runs_from_us_while_its_lease_does(info: str, found: list[str]) -> None:
    assert clients_in({LAB}, [info], lease_s=90) == [IPv4Address(each) for each in found]


def facts(*there: str) -> Facts:
    return Facts(nfsd="nfsd" in there, exportfs="exportfs" in there, ganesha="ganesha" in there)


@pytest.mark.parametrize(
    ("wanted", "there", "chosen"),
    [
        (AUTO, facts("nfsd", "exportfs", "ganesha"), KERNEL),
        (AUTO, facts("nfsd", "ganesha"), GANESHA),
        (AUTO, facts("exportfs", "ganesha"), GANESHA),
        (GANESHA, facts("nfsd", "exportfs", "ganesha"), GANESHA),
        (KERNEL, facts("nfsd", "exportfs"), KERNEL),
    ],
)
def test_the_kernels_server_is_preferred_where_it_is(
    wanted: ExportBackend, there: Facts, chosen: ExportBackend
) -> None:
    assert choose_backend(wanted, there) is chosen


@pytest.mark.parametrize(
    ("wanted", "there", "message", "hint"),
    [
        (KERNEL, facts("exportfs", "ganesha"), "its kernel has no nfsd", "nfs-kernel-server"),
        (KERNEL, facts("nfsd", "ganesha"), "exportfs is not installed", "nfs-kernel-server"),
        (GANESHA, facts("nfsd", "exportfs"), "ganesha.nfsd is not installed", "apt-get install nfs-ganesha"),
        (AUTO, facts(), "no NFS server", "nfs-kernel-server"),
        (AUTO, facts(), "no NFS server", "nfs-ganesha-vfs"),
    ],
)
def test_what_is_lacking_is_told_with_the_fix(wanted: ExportBackend, there: Facts, message: str, hint: str) -> None:
    with pytest.raises(Unavailable) as caught:
        choose_backend(wanted, there)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
