"""What tgtd tells of its targets, as values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from netboot.exports.targets import Lun

# What tgt writes for every address: it computes the mask of /0 wrongly.
EVERYBODY = "ALL"

_TARGET = re.compile(r"^Target (\d+): (\S+)$", re.MULTILINE)
_LUN = re.compile(
    r"^        LUN: (\d+)\n(?: {12}.*\n)*?"
    r" {12}Readonly: (Yes|No)\n(?: {12}.*\n)*?"
    r" {12}Backing store path: (.*)\n",
    re.MULTILINE,
)
_USER = re.compile(r"^            Initiator: (\S+) alias: ", re.MULTILINE)
_ACCOUNTS = re.compile(r"^    Account information:\n((?: {8}.*\n)*)", re.MULTILINE)
_SECTION = re.compile(r"^    (\S.*) information:\n((?: {8}.*\n?)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TgtTarget:
    """A target of tgtd's: its number, its disks, its accounts in their order, whom it admits, who is logged in."""

    number: int
    name: str
    luns: tuple[Lun, ...]
    accounts: tuple[str, ...]
    networks: tuple[IPv4Network, ...]
    initiators: tuple[str, ...]
    users: frozenset[str]


def parse_targets(listing: str, *, only: Collection[str] | None = None) -> dict[str, TgtTarget]:
    """The targets, by name, of what tgtadm --mode target --op show prints; all, or those of these names."""
    return {
        name: _parse_target(number, name, text)
        for name, (number, text) in _split(listing).items()
        if only is None or name in only
    }


def parse_accounts(listing: str) -> dict[str, tuple[int, list[str]]]:
    """Of all targets, by name, their numbers, and their accounts in order: what one may be in others' way for."""
    found = {}
    for name, (number, text) in _split(listing).items():
        accounts = _ACCOUNTS.search(text)
        found[name] = (number, _words(accounts.group(1)) if accounts else [])
    return found


def _split(listing: str) -> dict[str, tuple[int, str]]:
    """The number and the text of each target, by name."""
    heads = list(_TARGET.finditer(listing))
    starts = [*(head.start() for head in heads), len(listing)]
    return {
        head.group(2): (int(head.group(1)), listing[head.end() : end])
        for head, end in zip(heads, starts[1:], strict=True)
    }


def word_of(network: IPv4Network) -> str:
    """A network as tgt takes it: it finds nothing in /32, and everything but what is meant in /0."""
    match network.prefixlen:
        case 0:
            return EVERYBODY
        case 32:
            return str(network.network_address)
        case _:
            return str(network)


def _parse_target(number: int, name: str, text: str) -> TgtTarget:
    sections = {match.group(1): match.group(2) for match in _SECTION.finditer(text)}
    admitted = _words(sections.get("ACL", ""))
    return TgtTarget(
        number=number,
        name=name,
        luns=tuple(_parse_luns(sections.get("LUN", ""))),
        accounts=tuple(_words(sections.get("Account", ""))),
        networks=tuple(_network(each) for each in admitted if _is_address(each)),
        initiators=tuple(each for each in admitted if not _is_address(each)),
        users=frozenset(_USER.findall(sections.get("I_T nexus", ""))),
    )


def _parse_luns(text: str) -> Iterable[Lun]:
    for number, read_only, path in _LUN.findall(text):
        # LUN 0 is tgtd's own controller, which has none.
        if path != "None":
            yield Lun(number=int(number), path=Path(path), writable=read_only == "No")


def _words(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _is_address(word: str) -> bool:
    return word == EVERYBODY or word[0].isdigit()


def _network(word: str) -> IPv4Network:
    return IPv4Network("0.0.0.0/0" if word == EVERYBODY else word)
