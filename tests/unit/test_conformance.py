"""docs/conformance.md is true: every rule stands there once and in order, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/conformance.md"

# How many rules each section has.
RULES = {0: 15, 1: 63, 2: 51, 4: 33, 5: 9, 6: 27}
_ROW = re.compile(r"\| (\d+)\.(\d+) \| (?P<asked>[^|]+) \| (?P<shown>[^|]+) \|")
_TEST = re.compile(r"(?P<file>[\w/]+\.py)::(?P<name>\w+)")


def rows() -> list[tuple[int, int, str]]:
    found = (_ROW.fullmatch(line) for line in PAGE.read_text().splitlines())
    return [(int(row[1]), int(row[2]), row["shown"]) for row in found if row]


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_rule_stands_there_once_and_in_order() -> None:
    expected = [(section, number) for section, count in RULES.items() for number in range(1, count + 1)]
    assert [(section, number) for section, number, _ in rows()] == expected


@pytest.mark.parametrize(("section", "number", "shown"), rows())
def test_a_rule_names_its_tests_or_says_why_not(section: int, number: int, shown: str) -> None:
    named = list(_TEST.finditer(shown))
    for test in named:
        assert test["name"].startswith("test_")
        assert test["name"] in names_in(test["file"]), f"rule {section}.{number} names a test that is not there"
    said = re.fullmatch(r"(n/a|open): .{10,}", shown)
    assert said or ", ".join(test[0] for test in named) == shown
