"""Looking through a tree for what no version may hold, in a few seconds.

Read are: every file at a path that a rule names; and of all others, those that could hold a key as text.  Left out
are programs and libraries (their first bytes say so: they hold headers of keys, not keys), compressed files, and what
is larger than any key's file.  A file below /usr that is bit for bit what its package brought is public, so the keys in
it (of test suites, examples) are nobody's secret.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from netboot.config.paths import recipes_dir
from netboot.errors import InvalidInput, NetbootError
from netboot.images.lint import ACCOUNTS, Allowance, Finding, LintRules, judge_accounts, parse_rules, refused
from netboot.system.crypt import is_hash_of
from netboot.system.tree import Entry, Kind, Tree

FILE_NAME = "lint.toml"

# A file of keys is a few kilobytes; a JSON file or a script with one in it is not much larger.
LARGEST_READ = 1 << 20
_SMALLEST_KEY = 60
_FIRST = 4096

# How files begin that only the machine runs, unpacks or draws.
_MACHINE_MADE = (
    b"\x7fELF",
    b"!<arch>",
    b"\x1f\x8b",  # gzip
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"BZh",
    b"PK\x03\x04",
    b"\x89PNG",
    b"\xff\xd8",  # JPEG
    b"\x00\x01\x00\x00",  # TrueType
    b"OTTO",
    b"wOF",
    b"\xa7\x0d\x0d\x0a",  # Python 3.11
    b"\xde\x12\x04\x95",  # gettext
    b"\x1a\x01",  # terminfo
    b"\x1e\x02",
)
# Folders of nothing but such files.
_LEFT_OUT = ("usr/lib/modules", "usr/lib/firmware", "lib/modules", "lib/firmware", "boot", "proc", "sys", "dev")

_DPKG = "var/lib/dpkg/info"
_LARGEST_LIST = 16 << 20

# On everybody's list, and in images that people download; an account's own name is tried too.
_DEFAULTS = (
    *("", "root", "toor", "admin", "password", "changeme", "secret", "1234", "123456", "12345678"),
    *("debian", "ubuntu", "raspberry", "centos", "live", "user", "test", "guest", "vagrant", "packer", "netboot"),
)
# Each try takes the time that the hash is made to take; a tree of many accounts must not take hours.
_MOST_TRIED = 4


def load_rules() -> LintRules:
    """The program's own rules."""
    file = recipes_dir() / FILE_NAME
    try:
        return parse_rules(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidInput) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error


def lint_tree(root: Path, allowed: Sequence[Allowance] = ()) -> tuple[Finding, ...]:
    """What must not be published in the tree at `root`, by path, but for what is allowed."""
    rules = load_rules()
    rules.check(allowed)
    with Tree(root) as tree:
        return refused(_findings(tree, rules), allowed)


def refuse_secrets(root: Path, allowed: Sequence[Allowance] = ()) -> None:
    """Raise a `NetbootError` that lists the findings, if there are any."""
    findings = lint_tree(root, allowed)
    if findings:
        rows = "\n".join(f"  {each.allowance}: {each.why}" for each in findings)
        raise NetbootError(
            f"the image holds what must not be published:\n{rows}",
            hint=f"remove it, or allow it by name: --allow {findings[0].allowance}, or allow in the recipe",
        )


def _findings(tree: Tree, rules: LintRules) -> Iterator[Finding]:
    shipped = _Shipped(tree)
    tried: set[str] = set()

    def is_default(account: str, secret: str) -> bool:
        if secret not in tried and len(tried) >= _MOST_TRIED:
            return False
        tried.add(secret)
        return _is_default(account, secret)

    for entry in tree.walk(lambda folder: folder not in _LEFT_OUT):
        if entry.kind is not Kind.FILE or entry.size_bytes == 0:
            continue
        content = _content(tree, entry, worth=rules.placed(entry.path))
        if content is None:
            continue
        if entry.path in ACCOUNTS:
            yield from judge_accounts(entry.path, content, is_default)
        elif (finding := rules.judge(entry.path, content)) and not shipped.holds(entry.path, content):
            yield finding


def _content(tree: Tree, entry: Entry, *, worth: bool) -> bytes | None:
    """As much of a file as the rules look at, None for one that no rule could find anything in."""
    if worth:
        return tree.read(entry.path, LARGEST_READ)
    if not _SMALLEST_KEY <= entry.size_bytes <= LARGEST_READ:
        return None
    first = tree.read(entry.path, _FIRST)
    if first is None or first.startswith(_MACHINE_MADE):
        return None
    return first if entry.size_bytes <= _FIRST else tree.read(entry.path, LARGEST_READ)


class _Shipped:
    """What Debian's packages brought, by their own lists of checksums; read when first asked for."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._sums: dict[str, str] | None = None

    def holds(self, path: str, content: bytes) -> bool:
        """Whether the file below /usr is as its package brought it."""
        if not path.startswith("usr/") or path.startswith("usr/local/"):
            return False
        if self._sums is None:
            self._sums = dict(self._read())
        return self._sums.get(path) == hashlib.md5(content, usedforsecurity=False).hexdigest()

    def _read(self) -> Iterator[tuple[str, str]]:
        for entry in self._tree.walk(lambda folder: False, below=_DPKG):
            if entry.kind is Kind.FILE and entry.path.endswith(".md5sums"):
                listed = self._tree.read(entry.path, _LARGEST_LIST) or b""
                for line in listed.decode(errors="surrogateescape").splitlines():
                    digest, _, path = line.partition("  ")
                    yield path, digest


@cache
def _is_default(account: str, secret: str) -> bool:
    return any(is_hash_of(word, secret) for word in (account, *_DEFAULTS))
