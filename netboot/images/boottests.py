"""Which versions were seen to boot: `NAME/boot-tests.json`, replaced as a whole.

What a test found is no part of the version, which never changes; the version's digest ties the two together.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netboot.errors import Conflict, InvalidInput
from netboot.images.documents import Fields, check_fields, parse_object
from netboot.images.files import replace_text, unreadable, unwritten
from netboot.images.tagfile import tags_locked
from netboot.model.image import Version

FILE_NAME = "boot-tests.json"
FORMAT = 1

# The last tests of an image are kept, more than anybody looks at.
_KEPT = 200

_FIELDS: Fields = {
    "number": (int,),
    "digest": (str,),
    "at": (int, float),
    "who": (str,),
    "firmware": (str,),
    "is_up": (bool,),
    "seconds": (int, float),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BootTest:
    """One boot of a version in the lab: `at` in Unix seconds, `seconds` from the start of the lab to its end."""

    number: int
    digest: str
    at: float
    who: str
    firmware: str
    is_up: bool
    seconds: float


def require_tested(version: Version, tests: tuple[BootTest, ...]) -> None:
    """Raise `Conflict` unless the version was tested and is up with each firmware that it was last tested with."""
    last = {each.firmware: each for each in tests if each.digest == str(version.digest)}
    hint = f"boot it without touching clients: netboot image boot-test {version.label}"
    if not last:
        raise Conflict(f"{version.label} has not been seen to boot", hint=hint)
    if failed := [each.firmware for each in last.values() if not each.is_up]:
        raise Conflict(f"{version.label} did not boot when it was last tested, with {', '.join(failed)}", hint=hint)


def read_tests(folder: Path) -> tuple[BootTest, ...]:
    """The tests of the versions of the image in `folder`, oldest first; none where there is no file."""
    file = folder / FILE_NAME
    try:
        return parse_tests(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except UnicodeDecodeError as error:
        raise unreadable(file, InvalidInput("it is not UTF-8")) from error
    except (OSError, InvalidInput) as error:
        raise unreadable(file, error) from error


def add_test(folder: Path, test: BootTest) -> None:
    """Note one more test, one process at a time."""
    try:
        with tags_locked(folder):
            tests = [asdict(each) for each in (*read_tests(folder), test)][-_KEPT:]
            text = json.dumps({"format": FORMAT, "tests": tests}, indent=2, ensure_ascii=False) + "\n"
            replace_text(folder / FILE_NAME, text)
    except OSError as error:
        raise unwritten(folder, error) from error


def parse_tests(text: str) -> tuple[BootTest, ...]:
    """Raises `InvalidInput` naming what is wrong."""
    match parse_object(text):
        case {"format": 1, "tests": list(tests)} as value if len(value) == 2:
            return tuple(_parse(each) for each in tests)
        case _:
            raise InvalidInput(f"it is not an object of format {FORMAT} with tests", hint="use a newer netboot")


def _parse(value: Any) -> BootTest:
    if not isinstance(value, dict):
        raise InvalidInput("a test is no object")
    check_fields(value, _FIELDS)
    return BootTest(**value)
