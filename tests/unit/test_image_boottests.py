"""Boot tests of versions are noted, and tell whether a version may be promoted."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.errors import Conflict, InvalidInput, NetbootError
from netboot.images.boottests import FILE_NAME, BootTest, add_test, parse_tests, read_tests, require_tested
from tests.kit import make_version

VERSION = make_version()


def outcome(*, is_up: bool, firmware: str = "bios", digest: str = str(VERSION.digest)) -> BootTest:
    return BootTest(number=1, digest=digest, at=1.5, who="me", firmware=firmware, is_up=is_up, seconds=70.0)


def test_what_was_noted_is_read_in_order(tmp_path: Path) -> None:
    assert read_tests(tmp_path) == ()
    tests = [outcome(is_up=False), outcome(is_up=True), outcome(is_up=True, firmware="uefi")]
    for each in tests:
        add_test(tmp_path, each)
    assert read_tests(tmp_path) == tuple(tests)
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    ("tests", "refusal"),
    [
        ([], "has not been seen"),
        ([outcome(is_up=True, digest="sha256:of another")], "has not been seen"),
        ([outcome(is_up=True), outcome(is_up=False)], "did not boot when it was last tested, with bios"),
        ([outcome(is_up=True), outcome(is_up=False, firmware="uefi")], "with uefi"),
        ([outcome(is_up=False), outcome(is_up=True)], None),
    ],
)
def test_the_last_test_of_each_firmware_counts(tests: list[BootTest], refusal: str | None) -> None:
    if refusal is None:
        require_tested(VERSION, tuple(tests))
        return
    with pytest.raises(Conflict, match=refusal) as caught:
        require_tested(VERSION, tuple(tests))
    assert caught.value.hint and VERSION.label in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2, "tests": []}', '{"format": 1, "tests": [{"number": 1}]}'])
def test_nonsense_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_tests(text)
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(NetbootError, match="cannot be read"):
        read_tests(tmp_path)
