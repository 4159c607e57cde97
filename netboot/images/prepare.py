"""What makes a system stateless, as a table: which paths go or change, how, and why.

What must not be the same on two clients, or came from the machine that the system was made on, is a rule of a table in
TOML: `images/prepare.toml`, which a site and a recipe may extend or exempt from.  From the table and a listing of the
tree follows a plan.  The plan of a prepared tree is empty.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, assert_never

from netboot.errors import InvalidInput
from netboot.images.patterns import Pattern, any_matches, lineage, parse_patterns
from netboot.system.tree import Entry, Kind

# Lines are dropped from text that people write; a file of more bytes is none.
LARGEST_TEXT = 1 << 20
K = TypeVar("K", bound=StrEnum)

_UNITS = ("usr/lib/systemd/system/", "lib/systemd/system/")
_OWN_UNITS = "etc/systemd/system/"
_NOWHERE = "/dev/null"
_GROUP = re.compile(r"[a-z][a-z0-9-]*")


class Doing(StrEnum):
    """What a rule does with the paths that it names."""

    REMOVE = "remove"
    EMPTY = "empty"  # a file without content, made where there is none
    TRUNCATE = "truncate"  # a file that is there loses its content
    PLACEHOLDER = "placeholder"  # the file has the text
    DROP_LINES = "drop-lines"  # lines that match go
    RELINK = "relink"  # a symbolic link to the target
    MASK = "mask"  # the unit that is found there is masked, unless the image has one of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row.  It holds where one of `when` is found; without any, a rule that writes holds where its path is."""

    group: str
    action: Doing
    paths: tuple[Pattern, ...]
    why: str
    when: tuple[Pattern, ...] = ()
    only: Kind | None = None
    text: str = ""
    target: str = ""
    lines: tuple[re.Pattern[str], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rules, of which the first that matches counts, and paths on which none does."""

    rules: tuple[Rule, ...] = ()
    exempt: tuple[Pattern, ...] = ()

    def with_first(self, other: Table) -> Table:
        """This table below another, whose rules win."""
        return Table((*other.rules, *self.rules), (*other.exempt, *self.exempt))

    def reaches(self, folder: str) -> bool:
        """Whether a listing for `plan` needs what is in `folder`."""
        wanted = [*self.exempt, *(each for rule in self.rules for each in (*rule.paths, *rule.when))]
        if _OWN_UNITS.startswith(f"{folder}/") or any(pattern.reaches(folder) for pattern in wanted):
            return True
        removing = [pattern for rule in self.rules if rule.action is Doing.REMOVE for pattern in rule.paths]
        return any(any_matches(removing, each) for each in lineage(folder))

    def reads(self, path: str) -> bool:
        """Whether `plan` needs the content of the file at `path`."""
        reading = (Doing.PLACEHOLDER, Doing.DROP_LINES)
        return any(rule.action in reading and any_matches(rule.paths, path) for rule in self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do to a tree.  `size_bytes` is what goes; `content` is what a file has afterwards, or a link."""

    path: str
    action: Doing
    group: str
    why: str
    size_bytes: int = 0
    content: str = ""


def plan(listing: Iterable[Entry], table: Table, contents: Mapping[str, bytes]) -> tuple[Action, ...]:
    """What to do to a tree, by path; `contents` has the files that `table.reads`, as far as `LARGEST_TEXT`."""
    entries = {entry.path: entry for entry in sorted(listing, key=lambda each: each.path.split("/"))}
    exempt = {path for path in entries if any(any_matches(table.exempt, each) for each in lineage(path))}
    removed = _removed(entries, table, exempt)
    actions = [*_removals(entries, removed)]
    left = {path: entry for path, entry in entries.items() if not any(each in removed for each in lineage(path))}
    taken: set[str] = set()
    for rule in table.rules:
        if rule.action is Doing.REMOVE or not _holds(rule, left):
            continue
        for path in _paths(rule, left):
            if path not in taken and not any_matches(table.exempt, path):
                taken.add(path)
                actions += _change(rule, path, left, contents)
    return tuple(sorted(actions, key=lambda each: each.path.split("/")))


def _removed(entries: Mapping[str, Entry], table: Table, exempt: set[str]) -> dict[str, Rule]:
    """Which paths go whole, and by which rule; folders that hold something exempt go but for that."""
    holding = {above for path in exempt for above in lineage(path)}
    emptied: dict[str, Rule] = {}
    removed: dict[str, Rule] = {}
    for path, entry in entries.items():
        above = path.rpartition("/")[0]
        # What is below something removed goes with it.
        rule = removed.get(above) or emptied.get(above) or _rule_for(entry, table.rules)
        if rule and rule.action is Doing.REMOVE and path not in exempt:
            (emptied if path in holding else removed)[path] = rule
    return removed | _links_to(entries, removed, exempt)


def _rule_for(entry: Entry, rules: Iterable[Rule]) -> Rule | None:
    fitting = (rule for rule in rules if rule.action is not Doing.MASK)
    return next(
        (rule for rule in fitting if rule.only in (None, entry.kind) and any_matches(rule.paths, entry.path)), None
    )


def _links_to(entries: Mapping[str, Entry], removed: Mapping[str, Rule], exempt: set[str]) -> dict[str, Rule]:
    """Links beside a removed file that name it, as those by hash beside a certificate: they go with it."""
    named = {
        path: "/".join(filter(None, (path.rpartition("/")[0], entry.target)))
        for path, entry in entries.items()
        if entry.kind is Kind.LINK and "/" not in entry.target and path not in exempt
    }
    return {path: removed[target] for path, target in named.items() if target in removed}


def _removals(entries: Mapping[str, Entry], removed: Mapping[str, Rule]) -> Iterator[Action]:
    sizes = dict.fromkeys(removed, 0)
    for path in removed:
        for above in lineage(path):
            if above in sizes:
                sizes[above] += entries[path].size_bytes
    for path, rule in removed.items():
        if path.rpartition("/")[0] not in removed:
            yield Action(path=path, action=Doing.REMOVE, group=rule.group, why=rule.why, size_bytes=sizes[path])


def _holds(rule: Rule, entries: Iterable[str]) -> bool:
    return not rule.when or any(any_matches(rule.when, path) for path in entries)


def _paths(rule: Rule, entries: Mapping[str, Entry]) -> list[str]:
    """Where the rule does something: what it names that is there, and what it makes."""
    found = [
        path
        for path, entry in entries.items()
        if entry.kind is not Kind.FOLDER and rule.only in (None, entry.kind) and any_matches(rule.paths, path)
    ]
    if rule.action is Doing.MASK:
        return [_OWN_UNITS + path.rpartition("/")[2] for path in found if path.startswith(_UNITS)]
    makes = rule.action is Doing.EMPTY or (rule.when and rule.action in (Doing.PLACEHOLDER, Doing.RELINK))
    made = [pattern.text for pattern in rule.paths if makes and pattern.literal and pattern.text not in entries]
    return [*found, *made]


def _change(rule: Rule, path: str, entries: Mapping[str, Entry], contents: Mapping[str, bytes]) -> Iterator[Action]:
    """What the rule does at `path`, nothing where it is done."""
    entry = entries.get(path)
    size = entry.size_bytes if entry else 0
    # A path that is text for a file's content; an undecodable byte of it comes through.
    old = contents.get(path, b"").decode(errors="surrogateescape")
    content = ""
    match rule.action:
        case Doing.EMPTY:
            done = entry is not None and entry.kind is Kind.FILE and size == 0
        case Doing.TRUNCATE:
            done = entry is None or entry.kind is not Kind.FILE or size == 0
        case Doing.PLACEHOLDER:
            done = entry is not None and entry.kind is Kind.FILE and old == rule.text
            content = rule.text
        case Doing.DROP_LINES:
            content = _without(old, rule.lines) if size <= LARGEST_TEXT else ""
            done = entry is None or entry.kind is not Kind.FILE or (content == old and size <= LARGEST_TEXT)
            size = max(0, size - len(content.encode(errors="surrogateescape")))
        case Doing.RELINK:
            done, content = entry is not None and entry.target == rule.target, rule.target
        case Doing.MASK:
            done, content = entry is not None, _NOWHERE
        case Doing.REMOVE:
            return
        case _:
            assert_never(rule.action)
    if not done:
        yield Action(path=path, action=rule.action, group=rule.group, why=rule.why, size_bytes=size, content=content)


def _without(text: str, lines: Sequence[re.Pattern[str]]) -> str:
    # Not splitlines(), which takes a form feed for an end.
    kept = (line for line in re.findall(r"[^\n]*\n|[^\n]+", text) if not any(each.search(line) for each in lines))
    return "".join(kept)


# -- reading tables


def parse_table(document: Mapping[str, Any]) -> Table:
    """A table from its TOML: `exempt`, and for each group a list of rules; `InvalidInput` names what is wrong."""
    exempt: tuple[Pattern, ...] = ()
    rules: list[Rule] = []
    for key, value in document.items():
        if key == "exempt":
            exempt = parse_patterns(_texts(key, value))
            continue
        if not _GROUP.fullmatch(key) or not isinstance(value, list):
            raise InvalidInput(f"{key} is no list of rules", hint=f"write [[{key}]] and paths, action and why below it")
        rules += [_parse_rule(key, f"{key}[{number}]", each) for number, each in enumerate(value, 1)]
    return Table(tuple(rules), exempt)


# Which keys a rule may have besides paths, action, why, when and only; those it must have.
_EXTRA = {Doing.PLACEHOLDER: "text", Doing.RELINK: "target", Doing.DROP_LINES: "lines"}
_KEYS = ("paths", "action", "why", "when", "only", *_EXTRA.values())


def _parse_rule(group: str, where: str, value: Any) -> Rule:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{where} is no table")
    for key in value:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            raise InvalidInput(f"{where}: {key} is no part of a rule", hint=f"the keys are {', '.join(near or _KEYS)}")
    for key in ("paths", "action", "why"):
        if key not in value:
            raise InvalidInput(f"{where}: {key} is missing")
    action = _choice(Doing, f"{where}.action", value["action"])
    extra = _EXTRA.get(action)
    for key in _EXTRA.values():
        if (key in value) != (key == extra):
            raise InvalidInput(f"{where}: {key} belongs to a rule that says {_owner(key)}, and only to it")
    return Rule(
        group=group,
        action=action,
        paths=parse_patterns(_texts(f"{where}.paths", value["paths"])),
        why=_text(f"{where}.why", value["why"]),
        when=parse_patterns(_texts(f"{where}.when", value.get("when", []))),
        only=_choice(Kind, f"{where}.only", value["only"]) if "only" in value else None,
        text=_text(f"{where}.text", value.get("text", "")),
        target=_text(f"{where}.target", value.get("target", "")),
        lines=tuple(_expression(f"{where}.lines", each) for each in _texts(f"{where}.lines", value.get("lines", []))),
    )


def _owner(key: str) -> str:
    return next(action.value for action, extra in _EXTRA.items() if extra == key)


def _choice(kind: type[K], where: str, value: Any) -> K:
    try:
        return kind(value)
    except ValueError:
        raise InvalidInput(f"{where} is {value!r}", hint=f"one of {', '.join(kind)}") from None


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{where} is {value!r}, not text")
    return value


def _texts(where: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise InvalidInput(f"{where} is {value!r}, not a list")
    return [_text(where, each) for each in value]


def _expression(where: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidInput(f"{where}: {text!r} is no regular expression: {error}") from error
