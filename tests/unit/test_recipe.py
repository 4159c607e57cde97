from __future__ import annotations

from pathlib import Path

import pytest

from netboot.config.paths import recipes_dir
from netboot.errors import InvalidInput, NotFound
from netboot.images.recipe import Recipe, load_recipe, parse_recipe, recipe_names
from netboot.images.recipefile import READERS, stamp_seconds

GOOD = 'suite = "bookworm"\nsize = "2G"\npackages = ["systemd"]\n'


def parse(text: str) -> object:
    return parse_recipe(text, name="x", folder=Path("/recipes/x"))


def test_the_shipped_recipe_is_good() -> None:
    recipe = load_recipe(recipes_dir(), "debian-minimal")
    assert recipe.size_bytes == 1500 << 20
    assert "linux-image-amd64" in recipe.packages
    assert "ssh.service" in recipe.disable
    assert recipe.files == (recipes_dir() / "debian-minimal/files",)


def test_defaults_fill_what_is_not_said() -> None:
    recipe = parse_recipe(GOOD, name="x", folder=Path("/recipes/x"))
    assert (recipe.arch, recipe.components, recipe.size_bytes) == ("amd64", ("main",), 2 << 30)


@pytest.mark.parametrize(
    ("text", "complaint", "hint"),
    [
        (GOOD + "pakages = []", "pakages is not a setting", "did you mean packages?"),
        (GOOD + "zzz = 1", "zzz is not a setting", "the keys are base"),
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
        load_recipe(recipes_dir(), "compute-nude")
    assert caught.value.hint == "there is compute-node"


# -- a recipe on another's shoulders

BASE = parse_recipe(
    """
suite = "bookworm"
size = "1G"
packages = ["nano", "systemd"]
mask = ["a.timer", "b.timer"]
kernel_args = ["quiet"]
allow = ["keytab:x"]
[prepare]
exempt = ["etc/hosts"]
""",
    name="base",
    folder=Path("/recipes/base"),
)


def on_base(text: str) -> Recipe:
    return parse_recipe(text, name="mine", folder=Path("/recipes/mine"), base=BASE)


def test_a_recipe_says_only_what_is_other_than_in_its_base() -> None:
    recipe = on_base(
        'size = "2G"\npackages = ["-nano", "vim", "systemd"]\nmask = ["-b.timer"]\nallow = ["pgpass:y"]\n'
        '[prepare]\nexempt = ["etc/mine"]\n'
    )
    assert (recipe.name, recipe.suite, recipe.size_bytes) == ("mine", "bookworm", 2 << 30)
    assert recipe.packages == ("systemd", "vim")
    assert (recipe.mask, recipe.kernel_args) == (("a.timer",), ("quiet",))
    assert [each.rule for each in recipe.allow] == ["keytab", "pgpass"]
    assert [each.text for each in recipe.prepare.exempt] == ["etc/mine", "etc/hosts"]
    assert recipe.folders == (Path("/recipes/base"), Path("/recipes/mine"))


def test_what_no_base_has_cannot_be_taken_out() -> None:
    with pytest.raises(InvalidInput, match="packages takes out emacs") as caught:
        on_base('packages = ["-emacs"]')
    assert caught.value.hint == "the base has nano, systemd"
    with pytest.raises(InvalidInput, match="packages takes out nano, which no base has"):
        parse(GOOD.replace("systemd", "-nano"))


def test_a_base_may_be_the_programs_own_and_brings_its_files_and_scripts_first(tmp_path: Path) -> None:
    (tmp_path / "mine/files").mkdir(parents=True)
    (tmp_path / "mine/scripts").mkdir()
    (tmp_path / "mine/scripts/10-x").touch()
    (tmp_path / "mine/recipe.toml").write_text('base = "debian-minimal"\npackages = ["-nano", "jq"]\n')
    (tmp_path / "yours").mkdir()
    (tmp_path / "yours/recipe.toml").write_text('base = "mine"\ndescription = "yours"\n')
    recipe = load_recipe(tmp_path, "yours")
    assert recipe.files == (recipes_dir() / "debian-minimal/files", tmp_path / "mine/files")
    assert recipe.scripts == (tmp_path / "mine/scripts/10-x",)
    assert "jq" in recipe.packages and "nano" not in recipe.packages and "systemd" in recipe.packages
    # Only as a base: what is built is what is in the folder that was named.
    with pytest.raises(NotFound):
        load_recipe(tmp_path, "debian-minimal")


def test_recipes_that_are_each_others_base_are_refused_by_file(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "a"), ("c", "c"), ("d", "missing")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.toml").write_text(f'base = "{base}"\n')
    with pytest.raises(InvalidInput, match=r"b/recipe\.toml: base leads back to a"):
        load_recipe(tmp_path, "a")
    with pytest.raises(InvalidInput, match="leads back to c"):
        load_recipe(tmp_path, "c")
    with pytest.raises(NotFound, match="no recipe missing"):
        load_recipe(tmp_path, "d")


@pytest.mark.parametrize("name", recipe_names(recipes_dir()))
def test_every_recipe_that_ships_can_be_read(name: str) -> None:
    recipe = load_recipe(recipes_dir(), name)
    assert recipe.description and recipe.packages and recipe.size_bytes


def test_times_are_read_as_archives_of_snapshots_write_them() -> None:
    recipe = parse_recipe(GOOD + 'snapshot = "20261101T000000Z"\n', name="x", folder=Path("/x"))
    assert recipe.snapshot == "20261101T000000Z"
    assert stamp_seconds("20261101T000000Z") == 1793491200
    with pytest.raises(InvalidInput, match="date is '2026-11-01'"):
        parse(GOOD + 'date = "2026-11-01"')


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/images.md").read_text()
    assert [key for key in READERS if f"`{key}`" not in page] == []
