"""What no version may hold: private keys, passwords, tokens.  Whoever boots an image can read all of it.

The rules are a table, `images/lint.toml`: they look at a file's path, at its content, or at both.  Accounts' passwords
have rules of their own here.  Each rule has a name, by which a finding is allowed (`RULE:PATH`), and says why it is
one.  A finding never holds the secret itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from netboot.errors import InvalidInput
from netboot.images.patterns import Pattern, any_matches, parse_patterns

# Accounts and their passwords, and the copies of these files that tools leave.
ACCOUNTS = ("etc/shadow", "etc/gshadow", "etc/passwd", "etc/shadow-", "etc/gshadow-", "etc/passwd-")

_OF_ACCOUNTS: Mapping[str, str] = {
    "password-hash": "an account has a password, whose hash whoever has the image can try to guess",
    "default-password": "an account has a password that is on everybody's list",
    "no-password": "an account has an empty password: anybody can log in",
}
# DES hashes have 13 characters; x, NP, LK and the like are no hashes.
_SHORTEST_HASH = 13

# What follows a key's header: its text in base64, after ends of line (escaped in JSON) and fields (Proc-Type).
_BODY = rb"(?:\s|\\[rn]|[A-Za-z-]+: [^\n]*\n)*[A-Za-z0-9+/=]{32}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that should not be there.  `path` is of the tree; for an account it is `FILE:ACCOUNT`."""

    rule: str
    path: str
    why: str

    @property
    def allowance(self) -> str:
        """What allows it."""
        return f"{self.rule}:{self.path}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """An exception that somebody takes responsibility for: this rule at these paths."""

    rule: str
    path: Pattern

    @classmethod
    def parse(cls, text: str) -> Self:
        rule, colon, path = text.partition(":")
        if not colon:
            raise InvalidInput(f"{text!r} allows nothing", hint="write RULE:PATH, as private-key:etc/app/test.key")
        return cls(rule, Pattern.parse(path.removeprefix("/")))

    def covers(self, finding: Finding) -> bool:
        """A file of accounts is allowed for one of them, or for all by its own name."""
        file, colon, _ = finding.path.partition(":")
        paths = (finding.path, file) if colon and file in ACCOUNTS else (finding.path,)
        return finding.rule == self.rule and any(self.path.matches(path) for path in paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class LintRule:
    """One row: a file at one of `paths`, if there are any, that has one of `contains` and `sign`, if there are any."""

    name: str
    why: str
    paths: tuple[Pattern, ...] = ()
    contains: tuple[bytes, ...] = ()
    sign: re.Pattern[bytes] | None = None

    def finds(self, content: bytes) -> bool:
        if self.contains and not any(word in content for word in self.contains):
            return False
        return bool(content) if self.sign is None else self.sign.search(content) is not None


class LintRules:
    """The table: which files to read whole, and what to say of them."""

    def __init__(self, rules: Iterable[LintRule]) -> None:
        each = tuple(rules)
        self._placed = tuple(rule for rule in each if rule.paths)
        self._anywhere = tuple(rule for rule in each if not rule.paths)
        self.names = (*(rule.name for rule in each), *_OF_ACCOUNTS)

    def placed(self, path: str) -> bool:
        """Whether the path alone makes a file worth reading, whatever kind of file it is."""
        return path in ACCOUNTS or any(any_matches(rule.paths, path) for rule in self._placed)

    def judge(self, path: str, content: bytes) -> Finding | None:
        """What is wrong with a file of this path and content, None if nothing is."""
        rules = (rule for rule in self._placed if any_matches(rule.paths, path))
        found = next((rule for rule in (*rules, *self._anywhere) if rule.finds(content)), None)
        return Finding(rule=found.name, path=path, why=found.why) if found else None

    def check(self, allowances: Iterable[Allowance]) -> None:
        """Raise `InvalidInput` for one that names no rule."""
        for each in allowances:
            if each.rule not in self.names:
                near = difflib.get_close_matches(each.rule, self.names, n=1) or self.names
                raise InvalidInput(
                    f"{each.rule!r} is no rule that could be allowed", hint=f"there is {', '.join(near)}"
                )


def judge_accounts(path: str, content: bytes, is_default: Callable[[str, str], bool]) -> Iterator[Finding]:
    """The accounts with passwords in a file as shadow(5) or passwd(5).

    `is_default` tells whether an account's hash is that of a password that everybody tries.
    """
    for line in content.decode(errors="replace").split("\n"):
        account, *fields = line.split(":")
        if not fields or account.startswith("#"):
            continue
        # A lock is a mark before the hash, which is still there for who reads it.
        secret = fields[0].lstrip("!*")
        if len(secret) >= _SHORTEST_HASH:
            rule = "default-password" if is_default(account, secret) else "password-hash"
        elif not fields[0] and "gshadow" not in path:  # a group without a password lets nobody in
            rule = "no-password"
        else:
            continue
        yield Finding(rule=rule, path=f"{path}:{account}", why=_OF_ACCOUNTS[rule])


def refused(findings: Iterable[Finding], allowed: Iterable[Allowance]) -> tuple[Finding, ...]:
    """The findings that nobody allowed, by path."""
    exceptions = tuple(allowed)
    left = (finding for finding in findings if not any(each.covers(finding) for each in exceptions))
    return tuple(sorted(left, key=lambda each: each.path))


_LISTS = ("paths", "signs", "contains")


def parse_rules(document: Mapping[str, Any]) -> LintRules:
    """The rules from their TOML; `InvalidInput` names what is wrong."""
    return LintRules(_parse_rule(name, value) for name, value in document.items())


def _parse_rule(name: str, value: Any) -> LintRule:
    if (
        not isinstance(value, Mapping)
        or not isinstance(value.get("why"), str)
        or value.keys() - {"why", "body", *_LISTS}
    ):
        raise InvalidInput(f"{name} is no rule", hint="a rule has why, and any of paths, signs, contains and body")
    paths, signs, contains = ([str(each) for each in value.get(key, ())] for key in _LISTS)
    return LintRule(
        name=name,
        why=value["why"],
        paths=parse_patterns(paths),
        contains=tuple(word.encode() for word in contains),
        sign=_sign(name, signs, _BODY if value.get("body") is True else b""),
    )


def _sign(name: str, texts: Iterable[str], body: bytes) -> re.Pattern[bytes] | None:
    signs = [text.encode() for text in texts]
    if not signs:
        return None
    # A flag inside an expression has to be at the start of the whole.
    ignored = re.IGNORECASE if any(sign.startswith(b"(?i)") for sign in signs) else 0
    whole = b"|".join(b"(?:" + sign.removeprefix(b"(?i)") + b")" + body for sign in signs)
    try:
        return re.compile(whole, re.MULTILINE | ignored)
    except re.error as error:
        raise InvalidInput(f"{name}.signs hold no regular expression: {error}") from error
