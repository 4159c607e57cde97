from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from netboot.errors import Conflict, InvalidInput, NetbootError, NotFound
from netboot.images.tagfile import change_tags, parse_tags, read_tags, to_json
from netboot.images.tags import Move, MoveKind, Tags


def stable(*numbers: int) -> Tags:
    tags = Tags()
    for at, number in enumerate(numbers):
        tags = tags.set("stable", number, at=float(at))
    return tags


@pytest.mark.parametrize(
    ("tags", "selector", "number"),
    [
        (Tags(), None, 3),
        (Tags(), "latest", 3),
        (Tags(), "stable", None),
        (Tags(), 2, 2),
        (Tags(), 4, None),
        (stable(1), None, 1),
        (stable(1), "latest", 3),
        (stable(1), "stable", 1),
        (stable(1).set("test", 3, at=1.0), "test", 3),
        (stable(9), None, None),
    ],
)
def test_what_a_reference_means(tags: Tags, selector: int | str | None, number: int | None) -> None:
    assert tags.resolve(selector, [1, 2, 3]) == number


def test_of_nothing_there_is_no_newest() -> None:
    assert Tags().resolve(None, []) is None


def test_rollbacks_go_back_one_move_each() -> None:
    tags = stable(1, 2, 3)
    tags = tags.roll_back("stable", at=9.0)
    assert tags.current == {"stable": 2}
    tags = tags.roll_back("stable", at=9.0)
    assert tags.current == {"stable": 1}
    with pytest.raises(Conflict, match="has named no version before 1"):
        tags.roll_back("stable", at=9.0)
    assert [(move.kind, move.before, move.number) for move in tags.moves[3:]] == [
        (MoveKind.ROLLED_BACK, 3, 2),
        (MoveKind.ROLLED_BACK, 2, 1),
    ]


def test_what_is_set_after_a_rollback_goes_on_top_of_it() -> None:
    tags = stable(1, 2, 3).roll_back("stable", at=9.0).set("stable", 4, at=10.0)
    assert (tags.current, tags.previous("stable")) == ({"stable": 4}, 2)
    assert tags.roll_back("stable", at=11.0).previous("stable") == 1


def test_a_tag_that_was_removed_and_set_again_goes_back_to_where_it_was() -> None:
    tags = stable(1).remove("stable", at=2.0)
    assert tags.current == {}
    again = tags.set("stable", 2, at=3.0)
    assert again.moves[-1].before is None
    assert again.roll_back("stable", at=4.0).current == {"stable": 1}


def test_tags_do_not_move_each_other() -> None:
    tags = stable(1, 2).set("test", 3, at=2.0).roll_back("stable", at=3.0)
    assert tags.current == {"stable": 1, "test": 3}


def test_setting_what_is_so_already_is_no_move() -> None:
    assert stable(1).set("stable", 1, at=5.0) == stable(1)


@pytest.mark.parametrize("tag", ["latest", "3", "Stable", "", "a/b", "a b"])
def test_what_cannot_be_a_tag(tag: str) -> None:
    with pytest.raises(InvalidInput):
        Tags().set(tag, 1, at=0.0)


def test_what_is_not_there_is_told_with_what_there_is() -> None:
    for change in (stable(1).roll_back, stable(1).remove):
        with pytest.raises(NotFound) as caught:
            change("test", at=1.0)
        assert caught.value.hint == "the image's tags: stable"


def test_what_is_written_is_read_again() -> None:
    tags = stable(1, 2).roll_back("stable", at=3.5, who="erika", note="füße").remove("stable", at=4.0)
    assert parse_tags(to_json(tags)) == tags


def moves(**fields: object) -> str:
    move = {**json.loads(to_json(stable(1)))["moves"][0], **fields}
    return json.dumps({"format": 1, "moves": [move]})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"format": 2, "moves": []}', "not an object of format 1"),
        ('{"format": 1, "moves": [{}]}', "a move is wrong: it lacks"),
        (moves(number="1"), "number cannot be '1'"),
        (moves(number=True), "number cannot be True"),
        (moves(kind="flown"), "is no kind of move"),
        (moves(number=None), "a move of kind set to None"),
        (moves(tag="../x"), "cannot be a tag"),
        (moves(at=float("nan")), "NaN is no number"),
    ],
)
def test_a_file_that_is_wrong_says_how(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_tags(text)
    assert complaint in caught.value.message


def test_without_a_file_there_are_no_tags(tmp_path: Path) -> None:
    assert read_tags(tmp_path) == Tags()


def test_a_file_that_cannot_be_read_is_an_error_and_not_an_absence(tmp_path: Path) -> None:
    (tmp_path / "tags.json").write_bytes(b"\xff")
    with pytest.raises(NetbootError, match=r"tags\.json cannot be read"):
        read_tags(tmp_path)


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    change_tags(tmp_path, lambda tags: tags.set("stable", 1, at=0.0))
    before = (tmp_path / "tags.json").read_bytes()
    with pytest.raises(Conflict):
        change_tags(tmp_path, lambda tags: tags.roll_back("stable", at=1.0))
    assert (tmp_path / "tags.json").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["tags.json"]


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    def move(number: int) -> None:
        change_tags(tmp_path, lambda tags: tags.set(f"t{number}", number, at=0.0))

    threads = [threading.Thread(target=move, args=(number,)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_tags(tmp_path).current == {f"t{number}": number for number in range(1, 21)}


def test_a_move_is_a_value() -> None:
    assert Move(tag="a", kind=MoveKind.SET, number=1, before=None, at=0.0) == stable(1).set("a", 1, at=0.0).moves[1]
