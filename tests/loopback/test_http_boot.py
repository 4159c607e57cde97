"""The boot listener on the wire: curl, http.client and raw sockets, which show what firmware would see."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.errors import Unavailable
from netboot.model.event import EventKind
from netboot.model.request import ANY_ARCH, Firmware, Stage
from netboot.model.san import EXAMPLE, SanUri
from netboot.model.target import DeniedTarget, MenuTarget, SanTarget
from netboot.web.app import BootApp
from netboot.web.listener import BootListener
from tests.kit import MAC, OTHER_MAC
from tests.loopback.http_kit import LOCALHOST, Site, boot_site, exchange, image_target


@pytest.fixture
def site(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    with boot_site(tmp_path) as running:
        yield running
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def curl(*argv: str) -> bytes:
    done = subprocess.run(["curl", "-sS", "--max-time", "30", *argv], capture_output=True, timeout=40)
    assert done.returncode == 0, done.stderr
    return done.stdout


def raw(site: Site, method: str, path: str, *headers: str) -> tuple[str, list[str], bytes]:
    """Status line, header lines as they were on the wire, body."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{site.port}", "Connection: close", *headers, "", ""]
    head, _, body = exchange(site.port, "\r\n".join(lines).encode()).partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return status, fields, body


def test_an_ipxe_script_names_the_address_the_client_used(site: Site) -> None:
    script = curl(site.url(f"/boot/{MAC.dashed}/ipxe")).decode()
    assert script.startswith("#!ipxe\n")
    assert f"http://127.0.0.1:{site.port}{site.boot('vmlinuz')}" in script
    assert "netboot.root=nfs:127.0.0.1:/srv/exports/debian/1" in script
    event = site.wait_for(EventKind.SCRIPT_SENT)
    assert event.mac == MAC
    assert event.details["version"] == "debian:1"
    (asked,) = site.asked
    assert (asked.mac, asked.stage, asked.firmware, asked.arch) == (MAC, Stage.LOADER, Firmware.IPXE, ANY_ARCH)
    assert asked.address == LOCALHOST


@pytest.mark.parametrize("kind", ["ipxe", "pxelinux", "grub"])
@pytest.mark.parametrize("spelling", [MAC.dashed, MAC.dashed.upper(), str(MAC), MAC.octets.hex()])
def test_every_language_and_spelling_is_answered(site: Site, kind: str, spelling: str) -> None:
    assert b"lab-01" in curl("-f", site.url(f"/boot/{spelling}/{kind}"))


def test_a_denied_client_reads_why(site: Site) -> None:
    site.target = DeniedTarget(mac=MAC, reason="client lab-01 has no image", hint="assign one", known=True)
    script = curl(site.url(f"/boot/{MAC.dashed}/ipxe")).decode()
    assert "client lab-01 has no image" in script
    assert site.wait_for(EventKind.DENIED).details == {"reason": "client lab-01 has no image", "hint": "assign one"}


def test_a_disk_of_another_server_is_told_to_ipxe_alone_and_nothing_is_sent_for_it(site: Site) -> None:
    site.target = SanTarget(mac=MAC, hostname="lab-01", san=SanUri.parse(EXAMPLE), reason="it has a loader of its own")
    assert f"sanhook --drive 0x80 {EXAMPLE} ||" in curl(site.url(f"/boot/{MAC.dashed}/ipxe")).decode()
    assert site.wait_for(EventKind.SCRIPT_SENT).details["san"] == EXAMPLE
    for kind in ("grub", "pxelinux"):
        assert b"which iPXE alone can" in curl(site.url(f"/boot/{MAC.dashed}/{kind}"))
    assert "iPXE alone" in str(site.wait_for(EventKind.DENIED).details["reason"])
    assert " 404 " in raw(site, "GET", site.boot("vmlinuz"))[0]
    # As iPXE reports, by GET.
    assert curl("-f", site.url(f"/boot/{MAC.dashed}/report?kind=disk-attached")) == b"noted\n"
    assert site.wait_for(EventKind.DISK_ATTACHED).mac == MAC


def test_an_export_that_is_not_ready_is_told_on_the_console(site: Site) -> None:
    site.export_error = Unavailable("the NFS server does not answer", hint="see systemctl status")
    assert "the NFS server does not answer" in curl(site.url(f"/boot/{MAC.dashed}/ipxe")).decode()
    assert site.wait_for(EventKind.DENIED).details["reason"] == "the NFS server does not answer"
    status, _, body = raw(site, "GET", site.boot("vmlinuz"))
    assert " 503 " in status
    assert b"the NFS server does not answer" in body


@pytest.mark.parametrize(("file", "kind"), [("vmlinuz", EventKind.KERNEL_SENT), ("initrd.img", EventKind.INITRD_SENT)])
def test_a_file_arrives_whole_and_is_told(site: Site, file: str, kind: EventKind) -> None:
    assert curl("-f", site.url(site.boot(file))) == (site.folder / file).read_bytes()
    event = site.wait_for(kind)
    assert event.mac == MAC
    assert event.details["bytes"] == (site.folder / file).stat().st_size
    assert isinstance(event.details["seconds"], float)


def test_header_names_are_in_title_case_and_complete(site: Site) -> None:
    """Trap 0.14: GRUB finds "Content-Length" only when it is spelt so."""
    for method in ("GET", "HEAD"):
        for path in (site.boot("vmlinuz"), f"/boot/{MAC.dashed}/ipxe", "/", "/nowhere", "/loader/ipxe/snponly.efi"):
            _, fields, _ = raw(site, method, path)
            names = [field.partition(":")[0] for field in fields]
            assert all(re.fullmatch(r"[A-Z][a-z]*(-[A-Z][a-z]*)*|ETag", name) for name in names), names
            assert names.count("Content-Length") == 1
            assert all(field.partition(":")[2].strip() for field in fields), fields
            assert not {"Content-Encoding", "Transfer-Encoding", "Location"} & set(names)
            assert "Server: netboot" in fields


def test_head_gives_the_length_and_counts_for_nothing(site: Site) -> None:
    status, fields, body = raw(site, "HEAD", site.boot("vmlinuz"))
    assert " 200 " in status
    assert f"Content-Length: {len(site.kernel)}" in fields
    assert body == b""
    raw(site, "HEAD", f"/boot/{MAC.dashed}/ipxe")
    assert site.events == []


@pytest.mark.parametrize("path", ["/autoexec.ipxe", "/loader/autoexec.ipxe", "/loader/ipxe/arm64/autoexec.ipxe"])
def test_an_ipxe_that_was_loaded_by_http_finds_its_script_beside_itself(site: Site, path: str) -> None:
    """Rule 2.19."""
    assert raw(site, "GET", path)[0] == "HTTP/1.1 404 Not Found"
    site.owners[LOCALHOST] = MAC
    assert curl(site.url(path)) == curl(site.url(f"/boot/{MAC.dashed}/ipxe"))
    assert site.wait_for(EventKind.SCRIPT_SENT).mac == MAC
    assert [each.firmware for each in site.asked] == [Firmware.IPXE] * 2


def test_head_then_get_on_one_connection(site: Site) -> None:
    """What EDK2 does (rule 5.1)."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    for method, body in (("HEAD", b""), ("GET", site.kernel), ("GET", site.kernel)):
        connection.request(method, site.boot("vmlinuz"), headers={"User-Agent": "UefiHttpBoot/1.0", "Accept": "*/*"})
        response = connection.getresponse()
        assert response.getheader("Content-Length") == str(len(site.kernel))
        assert response.read() == body
    connection.close()


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=100-199", 100, 200), ("bytes=-500", -500, None), ("bytes=2999000-", 2999000, None)],
)
def test_ranges(site: Site, header: str, start: int, end: int | None) -> None:
    whole = site.kernel
    status, fields, body = raw(site, "GET", site.boot("vmlinuz"), f"Range: {header}")
    assert " 206 " in status
    assert body == whole[start:end]
    first = start % len(whole)
    assert f"Content-Range: bytes {first}-{first + len(body) - 1}/{len(whole)}" in fields
    assert f"Content-Length: {len(body)}" in fields


def test_a_download_that_is_resumed_is_whole_and_told_once(site: Site) -> None:
    whole = site.kernel
    etag = next(field for field in raw(site, "HEAD", site.boot("vmlinuz"))[1] if field.startswith("ETag"))
    first = raw(site, "GET", site.boot("vmlinuz"), "Range: bytes=0-999999")[2]
    rest = raw(site, "GET", site.boot("vmlinuz"), "Range: bytes=1000000-", etag.replace("ETag", "If-Range"))[2]
    assert first + rest == whole
    site.wait_for(EventKind.KERNEL_SENT)
    assert len(site.events) == 1
    other = raw(site, "GET", site.boot("vmlinuz"), "Range: bytes=1000000-", 'If-Range: "another"')
    assert " 200 " in other[0]
    assert other[2] == whole


def test_curl_resumes_what_broke_off(site: Site, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(site.kernel[:1_234_567])
    curl("-f", "--continue-at", "-", "-o", str(part), site.url(site.boot("vmlinuz")))
    assert part.read_bytes() == site.kernel


def test_a_range_behind_the_end_is_416(site: Site) -> None:
    status, fields, _ = raw(site, "GET", site.boot("vmlinuz"), "Range: bytes=3000000-")
    assert " 416 " in status
    assert "Content-Range: bytes */3000000" in fields


def test_a_transfer_that_breaks_off_is_told(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as sock:
        sock.sendall(f"GET {site.boot('initrd.img')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert len(sock.recv(65536)) > 0
    event = site.wait_for(EventKind.TRANSFER_FAILED)
    assert event.mac == MAC
    assert event.details["file"] == "initrd.img"
    assert isinstance(event.details["bytes"], int)
    assert 0 < event.details["bytes"] < 16_000_000


def test_only_what_the_client_boots_is_given(site: Site) -> None:
    for path in (f"/boot/{MAC.dashed}/debian/2/vmlinuz", f"/boot/{MAC.dashed}/other/1/vmlinuz"):
        assert " 404 " in raw(site, "GET", path)[0]
    site.target = MenuTarget(mac=MAC, entries=(image_target(site.folder),), reason="unknown clients get a menu")
    assert " 200 " in raw(site, "GET", site.boot("vmlinuz"))[0]


def test_a_loader_for_uefi_http_boot(site: Site) -> None:
    site.owners[LOCALHOST] = MAC
    status, fields, body = raw(site, "GET", "/loader/ipxe/snponly.efi")
    assert " 200 " in status
    assert "Content-Type: application/efi" in fields
    assert body == (site.folder / "loader.efi").read_bytes()
    assert site.wait_for(EventKind.LOADER_SENT).mac == MAC


def test_doubled_slashes_are_collapsed_without_a_redirect(site: Site) -> None:
    for path in (f"//boot//{MAC.dashed}//ipxe", f"/boot/{MAC.dashed}/debian//1//vmlinuz", "//loader/ipxe/snponly.efi"):
        assert " 200 " in raw(site, "GET", path)[0], path


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/boot/nonsense/ipxe", 400),
        ("GET", "/boot/ff-ff-ff-ff-ff-ff/ipxe", 400),
        ("GET", f"/boot/{MAC.dashed}/lilo", 404),
        ("GET", f"/boot/{MAC.dashed}/debian/1/manifest.json", 404),
        ("GET", f"/boot/{MAC.dashed}/debian/../../1/vmlinuz", 404),
        ("GET", f"/boot/{MAC.dashed}/debian/0/vmlinuz", 404),
        ("GET", "/loader/../../etc/passwd", 404),
        ("GET", "/loader/%2e%2e/%2e%2e/etc/passwd", 404),
        ("DELETE", f"/boot/{MAC.dashed}/ipxe", 405),
        ("POST", f"/boot/{MAC.dashed}/ipxe", 405),
        ("GET", "/api/clients", 404),
    ],
)
def test_what_is_refused(site: Site, method: str, path: str, status: int) -> None:
    got, fields, _ = raw(site, method, path)
    assert f" {status} " in got
    assert any(field.startswith("Content-Length: ") for field in fields)


# -- reports


def report(site: Site, body: str, mac: object = MAC.dashed) -> int:
    form = ["-o", "/dev/null", "-w", "%{http_code}", "--data-binary", body]
    return int(curl(*form, site.url(f"/boot/{mac}/report")))


def test_a_report_is_recorded_clean_and_bounded(site: Site) -> None:
    text = "kind=root-failed&message=mount:%20%1b[31mno%0aroute&attempt=3&interface=eth0&log=a%07b%0ac" + "d" * 9000
    assert report(site, text) == 204
    event = site.wait_for(EventKind.ROOT_FAILED)
    assert event.mac == MAC
    assert event.details["message"] == "mount: [31mno route"
    assert event.details["attempt"] == 3
    assert event.details["interface"] == "eth0"
    log = event.details["log"]
    assert isinstance(log, str)
    assert len(log) == 8192
    assert set(log) == {"d"}


def test_busybox_reports_as_the_initramfs_does(site: Site) -> None:
    argv = ["busybox", "wget", "-q", "-O", "-", "--post-data", "kind=initramfs-started"]
    subprocess.run([*argv, site.url(f"/boot/{MAC.dashed}/report")], check=True, timeout=10)
    site.wait_for(EventKind.INITRAMFS_STARTED)


def test_a_loader_reports_by_get(site: Site) -> None:
    query = "kind=loader-failed&file=kernel&message=0x2e852001"
    began = time.monotonic()
    assert curl(site.url(f"/boot/{MAC.dashed}/report?{query}")) == b"noted\n"
    assert time.monotonic() - began < 2
    assert site.wait_for(EventKind.LOADER_FAILED).details == {"file": "kernel", "message": "0x2e852001"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("kind=acked", 400),
        ("kind=up&kind=up", 400),
        ("kind=up&attempt=many", 400),
        ("kind=up&" + "&".join(f"f{n}=1" for n in range(20)), 400),
        ("kind=up&Bad%20Name=1", 400),
        ("kind=up&log=" + "x" * 33_000, 413),
    ],
)
def test_reports_that_are_refused(site: Site, body: str, status: int) -> None:
    assert report(site, body) == status
    assert site.events == []


def test_a_report_in_another_clients_name_is_refused(site: Site) -> None:
    site.owners[IPv4Address("127.0.0.1")] = MAC
    assert report(site, "kind=up", OTHER_MAC.dashed) == 403
    assert report(site, "kind=up") == 204
    assert [event.mac for event in site.events] == [MAC]


def test_a_flood_of_reports_is_cut(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    codes = []
    for _ in range(60):
        connection.request("GET", f"/boot/{MAC.dashed}/report?kind=up")
        response = connection.getresponse()
        response.read()
        codes.append(response.status)
    connection.close()
    assert set(codes) == {200, 429}
    assert len(site.events) == codes.count(200) < 30


def test_a_port_that_is_taken_is_named_with_the_fix(site: Site) -> None:
    async def again() -> None:
        await BootListener(BootApp(site.services()).respond, LOCALHOST, site.port).start()

    with pytest.raises(Unavailable) as caught:
        asyncio.run(again())
    assert str(site.port) in caught.value.message
    assert caught.value.hint is not None
    assert "ss -tlpn" in caught.value.hint
