"""A file above 4 GiB over HTTP (rule 5.9): lengths and ranges that need more than 32 bits.

The file has holes, so it takes no room.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.loopback.http_kit import Site, boot_site

SIZE = 5 * 2**30 + 7
BEYOND = 2**32  # the first offset that 32 bits cannot count
PATH = "/loader/ipxe/snponly.efi"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with boot_site(tmp_path) as running:
        with (tmp_path / "loader.efi").open("r+b") as file:
            os.truncate(file.fileno(), 0)
            for offset, text in ((0, b"start"), (BEYOND - 4, b"one|other"), (SIZE - 7, b"the end")):
                file.seek(offset)
                file.write(text)
        yield running


def ask(site: Site, method: str, span: str | None = None, *, count: int = 64) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and the first `count` bytes of the body."""
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)) as connection:
        connection.request(method, PATH, headers={"Range": span} if span else {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read(count)


@pytest.mark.parametrize(("method", "body"), [("HEAD", b""), ("GET", b"start")])
def test_the_length_is_the_whole_files(site: Site, method: str, body: bytes) -> None:
    status, headers, got = ask(site, method)
    assert (status, headers["Content-Length"]) == (200, str(SIZE))
    assert got[:5] == body


@pytest.mark.parametrize(
    ("span", "sent", "body"),
    [
        (f"bytes={BEYOND - 4}-{BEYOND + 4}", f"{BEYOND - 4}-{BEYOND + 4}", b"one|other"),
        (f"bytes={BEYOND}-{BEYOND + 4}", f"{BEYOND}-{BEYOND + 4}", b"other"),
        (f"bytes={SIZE - 7}-", f"{SIZE - 7}-{SIZE - 1}", b"the end"),
        ("bytes=-7", f"{SIZE - 7}-{SIZE - 1}", b"the end"),
        (f"bytes={SIZE - 7}-{2**40}", f"{SIZE - 7}-{SIZE - 1}", b"the end"),
    ],
)
def test_ranges_beyond_4_gib(site: Site, span: str, sent: str, body: bytes) -> None:
    status, headers, got = ask(site, "GET", span)
    assert (status, got) == (206, body)
    assert headers["Content-Range"] == f"bytes {sent}/{SIZE}"
    assert headers["Content-Length"] == str(len(body))


def test_a_resumed_download_of_more_than_4_gib_is_offered_whole(site: Site) -> None:
    status, headers, _ = ask(site, "GET", "bytes=1-")
    assert (status, headers["Content-Length"]) == (206, str(SIZE - 1))
    assert headers["Content-Range"] == f"bytes 1-{SIZE - 1}/{SIZE}"


def test_a_range_behind_the_end_is_refused(site: Site) -> None:
    status, headers, _ = ask(site, "GET", f"bytes={SIZE}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{SIZE}")
