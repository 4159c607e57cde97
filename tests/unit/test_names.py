from __future__ import annotations

import pytest

from netboot.errors import InvalidInput
from netboot.model.names import VersionRef, parse_client_name, parse_image_name


@pytest.mark.parametrize(
    ("text", "image", "selector"),
    [
        ("debian", "debian", None),
        ("debian:latest", "debian", "latest"),
        ("debian:3", "debian", 3),
        ("debian-12.1:stable", "debian-12.1", "stable"),
    ],
)
def test_reads_references(text: str, image: str, selector: int | str | None) -> None:
    assert VersionRef.parse(text) == VersionRef(image, selector)
    assert str(VersionRef.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", ":1", "debian:", "debian:0", "debian:-1", "Debian", "a/b", "..", "a..b", "debian:a b"]
)
def test_refuses_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidInput):
        VersionRef.parse(text)


@pytest.mark.parametrize("name", ["lab-07", "a", "x" * 63])
def test_accepts_hostnames(name: str) -> None:
    assert parse_client_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "x" * 64, "a b", "a\nb", "a;b"])
def test_refuses_what_is_no_hostname(name: str) -> None:
    with pytest.raises(InvalidInput):
        parse_client_name(name)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".a", "a.", "x" * 65, "a b"])
def test_refuses_image_names_that_would_leave_their_folder(name: str) -> None:
    with pytest.raises(InvalidInput):
        parse_image_name(name)
