"""Patterns of paths in a system's tree, as tables of people's rules hold them.

A pattern is a path from the root without its slash: `*` and `?` stand for what one name has, a leading dot too, `**`
for folders of any depth, `{a,b}` for one or the other.  A path matches as text: no link is followed, nothing is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from netboot.errors import InvalidInput

# Enough for any list of names; a table cannot make itself grow beyond reason.
_MOST_ALTERNATIVES = 64
_WILD = re.compile(r"[*?[{]")
_ANY_DEPTH = "**"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern: what it matches, and which folders have to be looked into for it."""

    text: str
    whole: re.Pattern[str]
    above: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `InvalidInput` for what is no path beneath the root."""
        alternatives = [_parts(each) for each in _alternatives(text)]
        whole = "|".join(_whole(parts) for parts in alternatives)
        above = "|".join(_above(parts) for parts in alternatives)
        return cls(text, _compiled(text, whole), _compiled(text, above))

    @property
    def literal(self) -> bool:
        """Whether it names exactly one path."""
        return not _WILD.search(self.text)

    def matches(self, path: str) -> bool:
        return self.whole.fullmatch(path) is not None

    def reaches(self, folder: str) -> bool:
        """Whether something below `folder` may match."""
        return self.above.fullmatch(f"/{folder}") is not None


def parse_patterns(texts: Iterable[str]) -> tuple[Pattern, ...]:
    return tuple(Pattern.parse(text) for text in texts)


def any_matches(patterns: Iterable[Pattern], path: str) -> bool:
    return any(pattern.matches(path) for pattern in patterns)


def lineage(path: str) -> Iterator[str]:
    """The path and the folders above it, nearest first, without the root."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _alternatives(text: str) -> list[str]:
    """The pattern with its first `{a,b}` written out, and so on."""
    found = re.search(r"\{([^{}]*)\}", text)
    if not found:
        return [text]
    before, after = text[: found.start()], text[found.end() :]
    written = [each for choice in found.group(1).split(",") for each in _alternatives(before + choice + after)]
    if len(written) > _MOST_ALTERNATIVES:
        raise InvalidInput(f"{text!r} stands for more than {_MOST_ALTERNATIVES} patterns", hint="write several")
    return written


def _compiled(text: str, expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise InvalidInput(f"{text!r} is no pattern: {error}", hint="write a range as [a-z]") from error


def _parts(text: str) -> list[str]:
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in text:
        raise InvalidInput(
            f"{text!r} is no path in an image", hint="write it from the root, without the first slash, as etc/hostname"
        )
    if any("**" in part and part != _ANY_DEPTH for part in parts):
        raise InvalidInput(f"{text!r} has ** as a part of a name", hint="write ** between slashes, as var/log/**/*.gz")
    return parts


def _whole(parts: list[str]) -> str:
    *folders, last = parts
    start = "".join(r"(?:[^/]+/)*" if each == _ANY_DEPTH else f"{_name(each)}/" for each in folders)
    return start + (".+" if last == _ANY_DEPTH else _name(last))


def _above(parts: list[str]) -> str:
    """Matches "/" and a folder that has to be looked into; a `**` makes that every folder from there on."""
    first, *rest = parts
    if first == _ANY_DEPTH:
        return "(?:/.*)?"
    return f"(?:/{_name(first)}{_above(rest)})?" if rest else ""


def _name(part: str) -> str:
    """One name's pattern; unlike a shell's, `*` takes a leading dot."""
    text, at = "", 0
    for found in re.finditer(r"\*|\?|\[!?[^]]+\]", part):
        text += re.escape(part[at : found.start()])
        text += {"*": "[^/]*", "?": "[^/]"}.get(found.group()) or _choice(found.group())
        at = found.end()
    return text + re.escape(part[at:])


def _choice(text: str) -> str:
    inner = text[1:-1]
    inverted, inner = inner.startswith("!"), inner.removeprefix("!")
    kept = "".join(each if each == "-" or each.isalnum() else re.escape(each) for each in inner)
    return f"[^/{kept}]" if inverted else f"[{kept}]"
