from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from netboot.images.objects import Objects


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "images")


def name_of(text: str) -> str:
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()}"


def file_of(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_file_becomes_an_object_and_the_next_like_it_a_link(objects: Objects, tmp_path: Path) -> None:
    one, two = file_of(tmp_path, "one", "x"), file_of(tmp_path, "two", "x")
    with objects.locked():
        objects.adopt(one, name_of("x"))
        objects.adopt(two, name_of("x"))
        objects.adopt(two, name_of("x"))
    place = objects.path(name_of("x"))
    assert place.samefile(one) and place.samefile(two)
    assert place.stat().st_nlink == 3
    assert list(objects.names()) == [name_of("x")]
    assert list(objects.strays()) == []


def test_an_object_that_is_not_what_its_name_says_is_replaced(objects: Objects, tmp_path: Path) -> None:
    good = file_of(tmp_path, "good", "x")
    with objects.locked():
        objects.adopt(file_of(tmp_path, "bad", "damaged"), name_of("x"))
        objects.adopt(good, name_of("x"))
    assert objects.path(name_of("x")).read_text() == "x" == good.read_text()


def test_a_lost_file_comes_back_from_its_object(objects: Objects, tmp_path: Path) -> None:
    file = file_of(tmp_path, "file", "x")
    with objects.locked():
        objects.adopt(file, name_of("x"))
        file.unlink()
        objects.restore(name_of("x"), file)
    assert file.samefile(objects.path(name_of("x")))


def test_what_is_no_object_is_told_apart(objects: Objects, tmp_path: Path) -> None:
    with objects.locked():
        objects.adopt(file_of(tmp_path, "file", "x"), name_of("x"))
    folder = objects.path(name_of("x")).parent
    strays = [folder / "sha256-half", folder / f".{name_of('x')}.new", folder.parent / "notes"]
    for stray in strays:
        stray.touch()
    assert sorted(objects.strays()) == sorted(strays)
    assert list(objects.names()) == [name_of("x")]


@pytest.mark.parametrize("name", ["", "sha256-", "../../etc/passwd", "md5-" + "0" * 64, "sha256-" + "0" * 63 + "/"])
def test_only_names_of_objects_are_paths(objects: Objects, name: str) -> None:
    with pytest.raises(ValueError, match="is no object's name"):
        objects.path(name)


def test_removing_waits_for_those_who_give_names(objects: Objects) -> None:
    order: list[str] = []
    with objects.locked(), objects.locked():
        alone = threading.Thread(target=lambda: _alone(objects, order))
        alone.start()
        alone.join(0.1)
        order.append("shared")
    alone.join()
    assert order == ["shared", "alone"]


def _alone(objects: Objects, order: list[str]) -> None:
    with objects.locked(alone=True):
        order.append("alone")


def test_what_cannot_have_one_more_name_keeps_its_own_copy(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ext4 gives a file at most 65000 names."""
    one, two = file_of(tmp_path, "one", "x"), file_of(tmp_path, "two", "x")
    with objects.locked():
        objects.adopt(one, name_of("x"))
        real = os.link

        def full(source: Path, target: Path) -> None:
            real(source, target) if "objects" in str(target) else _raise_too_many()

        monkeypatch.setattr(os, "link", full)
        objects.adopt(two, name_of("x"))
    assert two.read_text() == "x" and not two.samefile(one)


def _raise_too_many() -> None:
    import errno

    raise OSError(errno.EMLINK, "Too many links")
