"""What a draft says of itself is read strictly: on the wrong version it would be garbage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netboot.errors import InvalidInput
from netboot.images.draft import parse_note

NOTE: dict[str, Any] = {
    "format": 1,
    "name": "one",
    "image": "debian",
    "number": 2,
    "digest": "sha256:0",
    "created_at": 1.5,
    "who": "me",
    "note": "",
}


def test_a_note_tells_of_which_version_it_is_a_draft() -> None:
    note = parse_note(json.dumps(NOTE), name="one")
    assert (note.parent, note.digest, note.who) == ("debian:2", "sha256:0", "me")


@pytest.mark.parametrize(
    "wrong",
    [{"format": 2}, {"name": "two"}, {"number": "2"}, {"number": True}, {"created_at": None}, {"more": 1}],
    ids=str,
)
def test_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_note(json.dumps({**NOTE, **wrong}), name="one")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", json.dumps({key: NOTE[key] for key in NOTE if key != "who"})])
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_note(text, name="one")
