"""What is a client's own, asked for over HTTP by itself and by others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from netboot.model.event import EventKind
from netboot.model.target import DeniedTarget, ImageTarget
from tests.kit import MAC, OTHER_MAC
from tests.loopback.http_kit import LOCALHOST, Site, boot_site, exchange
from tests.personal_kit import write

KEY = "files/etc/ssh/ssh_host_ed25519_key"
PATH = f"/boot/{MAC.dashed}/data"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """One whose client, which is at the address that tests ask from, has a host key, a setting and a file."""
    with boot_site(tmp_path) as running:
        assert isinstance(running.target, ImageTarget)
        files = write(tmp_path / "files", {"clients/lab-01/root/etc/motd.j2": "{{ hostname }} at {{ address }}\n"})
        running.target = replace(running.target, host_keys=True, timezone="UTC", files=(files,))
        running.owners[LOCALHOST] = MAC
        yield running


def ask(site: Site, method: str = "GET") -> tuple[int, bytes]:
    request = f"{method} {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nConnection: close\r\n\r\n"
    head, _, body = exchange(site.port, request.encode()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_a_booting_client_has_its_own_and_no_longer_once_its_root_is_mounted(site: Site, tmp_path: Path) -> None:
    assert ask(site)[0] == 403
    site.windows.open(MAC)
    (tmp_path / "data").mkdir()
    fetched = subprocess.run(
        ["busybox", "wget", "-q", "-O", "-", site.url(PATH)], capture_output=True, check=True
    ).stdout
    subprocess.run(["busybox", "tar", "-x", "-C", tmp_path / "data"], input=fetched, check=True)
    assert (tmp_path / "data/files/etc/motd").read_text() == "lab-01 at 127.0.0.1\n"
    assert (tmp_path / "data/files/etc/timezone").read_text() == "UTC\n"
    public = subprocess.run(["ssh-keygen", "-y", "-f", tmp_path / "data" / KEY], capture_output=True, check=True).stdout
    assert public.split()[:2] == (tmp_path / "data" / f"{KEY}.pub").read_bytes().split()[:2]
    assert site.wait_for(EventKind.DATA_SENT).details == {"bytes": len(fetched)}

    assert ask(site) == (200, fetched)
    report = f"http://127.0.0.1:{site.port}/boot/{MAC.dashed}/report"
    subprocess.run(["curl", "-sf", "--data", "kind=root-mounted", report], check=True)
    site.windows.tell(site.wait_for(EventKind.ROOT_MOUNTED))
    status, said = ask(site)
    assert status == 403
    assert b"not booting" in said
    # Nor after its script, which any program on it could fetch.
    subprocess.run(["curl", "-sf", "-o", "/dev/null", site.url(f"/boot/{MAC.dashed}/ipxe")], check=True)
    site.windows.tell(site.wait_for(EventKind.SCRIPT_SENT))
    assert ask(site)[0] == 403


def test_another_address_is_refused_and_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.windows.open(MAC)
    site.owners[LOCALHOST] = OTHER_MAC
    for method in ("GET", "HEAD"):
        status, body = ask(site, method)
        assert status == 403
        assert b"PRIVATE" not in body
    event = site.wait_for(EventKind.DATA_REFUSED)
    assert event.mac == MAC
    assert event.details["address"] == "127.0.0.1"
    assert f"lent to {OTHER_MAC}" in str(event.details["reason"])
    assert any("may not have what is lab-01's own" in each.getMessage() for each in caplog.records)
    assert not any(each.kind is EventKind.DATA_SENT for each in site.events)


def test_an_address_that_nobody_vouches_for_is_refused(site: Site) -> None:
    site.windows.open(MAC)
    site.owners.clear()
    assert ask(site)[0] == 403


def test_a_client_without_anything_of_its_own_and_a_denied_one_find_nothing(site: Site) -> None:
    site.windows.open(MAC)
    assert isinstance(site.target, ImageTarget)
    site.target = replace(site.target, host_keys=False, timezone=None, files=())
    assert ask(site)[0] == 404
    site.target = DeniedTarget(mac=MAC, reason="no", hint="", known=True)
    assert ask(site)[0] == 404


def test_a_template_that_is_wrong_is_told_with_its_place(site: Site, tmp_path: Path) -> None:
    site.windows.open(MAC)
    write(tmp_path / "files", {"all/root/etc/bad.j2": "{{ nothing }}"})
    status, said = ask(site)
    assert status == 503
    assert b"etc/bad.j2: 'nothing' is undefined" in said


def test_who_asks_again_and_again_is_slowed_down(site: Site) -> None:
    site.windows.open(MAC)
    statuses = [ask(site, "HEAD")[0] for _ in range(22)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
