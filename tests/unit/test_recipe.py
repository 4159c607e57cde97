from __future__ import annotations

from pathlib import Path

import pytest

from netboot.config.paths import recipes_dir
from netboot.errors import InvalidInput, NotFound
from netboot.images.recipe import load_recipe, parse_recipe

GOOD = 'suite = "bookworm"\nsize = "2G"\npackages = ["systemd"]\n'


def parse(text: str) -> object:
    return parse_recipe(text, name="x", folder=Path("/recipes/x"))


def test_the_shipped_recipe_is_good() -> None:
    recipe = load_recipe(recipes_dir(), "debian-minimal")
    assert recipe.size_bytes == 1500 << 20
    assert "linux-image-amd64" in recipe.packages
    assert "ssh.service" in recipe.disable
    assert recipe.files is not None


def test_defaults_fill_what_is_not_said() -> None:
    recipe = parse_recipe(GOOD, name="x", folder=Path("/recipes/x"))
    assert (recipe.arch, recipe.components, recipe.size_bytes) == ("amd64", ("main",), 2 << 30)


@pytest.mark.parametrize(
    ("text", "complaint", "hint"),
    [
        (GOOD + "pakages = []", "pakages is not a setting", "did you mean packages?"),
        (GOOD + "zzz = 1", "zzz is not a setting", "the keys are description"),
        ('suite = "bookworm"', "size is missing", ""),
        (GOOD.replace('"2G"', '"2 GB"'), "size is '2 GB'", "as 1500M"),
        (GOOD.replace('["systemd"]', '"systemd"'), "packages is 'systemd', not a list", "write packages"),
        (GOOD.replace("systemd", "a; rm -rf"), "not a plain name", ""),
        (GOOD.replace("systemd", "--option"), "not a plain name", ""),
        (GOOD + 'kernel_args = ["a b"]', "one safe word", ""),
        (GOOD + "suite = 1", "", ""),
        ("suite = ", "", ""),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert complaint in caught.value.message
    assert hint in (caught.value.hint or "")


def test_an_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/recipe.toml").write_text("sweet = 1")
    with pytest.raises(InvalidInput, match=r"mine/recipe\.toml: sweet is not"):
        load_recipe(tmp_path, "mine")


def test_a_missing_recipe_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        load_recipe(recipes_dir(), "debian-minimul")
    assert caught.value.hint == "there is debian-minimal"
