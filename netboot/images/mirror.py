"""Where a build's packages come from: the mirror that this machine's own apt uses.

So a build works behind the same proxy or local mirror as the machine, and no host name is written down here.
Both spellings of apt's sources are read: one line each (`deb URI SUITE main`), and deb822 paragraphs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NoReturn

from netboot.errors import InvalidInput, Unavailable

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")

# Suites that belong to a release besides the one of its name.
_POCKETS = ("", "-updates", "-security")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One entry of apt's sources: packages of `suite` at `uri`; `signed_by` as written, empty when not."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


def host_sources(apt: Path = APT) -> tuple[Source, ...]:
    """What this machine's apt uses."""
    folder = apt / "sources.list.d"
    lines = [apt / "sources.list", *sorted(folder.glob("*.list"))]
    found = [source for file in lines if file.is_file() for source in parse_lines(file.read_text(encoding="utf-8"))]
    for file in sorted(folder.glob("*.sources")):
        found.extend(parse_deb822(file.read_text(encoding="utf-8")))
    return tuple(found)


def host_codename(os_release: Path = OS_RELEASE) -> str:
    """The codename of this machine's release, empty when it does not say."""
    text = os_release.read_text(encoding="utf-8") if os_release.is_file() else ""
    match = re.search(r'^VERSION_CODENAME="?([a-z]+)"?$', text, re.MULTILINE)
    return match.group(1) if match else ""


def choose_sources(sources: Iterable[Source], *, suite: str, codename: str, components: tuple[str, ...]) -> list[str]:
    """The lines of sources for a build of `suite`: those that the machine has for it, else its own release's renamed.

    Third parties' archives are left out: a build trusts Debian's keys alone.
    """
    trusted = [source for source in sources if _is_debian(source)]
    for release in (suite, codename):
        pockets = {release + pocket: suite + pocket for pocket in _POCKETS}
        chosen = [
            f"deb {source.uri} {pockets[source.suite]} {' '.join(components)}"
            for source in trusted
            if source.suite in pockets
        ]
        if chosen:
            return list(dict.fromkeys(chosen))
    raise Unavailable(
        f"this machine's apt knows no Debian archive from which {suite} could come",
        hint="name one: netboot image build NAME --mirror URL",
    )


# In which archive of a mirror each pocket is.
_ARCHIVES = {"": "debian", "-updates": "debian", "-security": "debian-security"}
_WITHOUT_POCKETS = ("sid", "unstable", "experimental")


def snapshot_sources(pattern: str, stamp: str, *, suite: str, components: tuple[str, ...]) -> list[str]:
    """The lines of sources for `suite` as it was at `stamp`, from an archive of snapshots.

    `pattern` is its URL, in which `{archive}` stands for debian or debian-security and `{time}` for the stamp.
    """
    if "{archive}" not in pattern or "{time}" not in pattern:
        raise InvalidInput(
            f"{pattern!r} names no archive of snapshots", hint="write {archive} and {time} where the URL has them"
        )
    pockets = [""] if suite in _WITHOUT_POCKETS else list(_ARCHIVES)
    return [
        # What is archived was valid at its time.
        f"deb [check-valid-until=no] {pattern.replace('{archive}', _ARCHIVES[pocket]).replace('{time}', stamp)}"
        f" {suite}{pocket} {' '.join(components)}"
        for pocket in pockets
    ]


def release_urls(lines: Iterable[str]) -> list[str]:
    """Where the archives of these lines of sources say what they hold."""
    return [
        f"{source.uri.rstrip('/')}/dists/{source.suite}/InRelease" for line in lines for source in parse_lines(line)
    ]


def release_time(text: str) -> int:
    """When an archive was last changed, by its Release file, in Unix seconds; `InvalidInput` when it does not say."""
    match = re.search(r"^Date: (.+)$", text, re.MULTILINE)
    try:
        return int(parsedate_to_datetime(match.group(1)).timestamp()) if match else _undated()
    except ValueError:
        return _undated()


def _undated() -> NoReturn:
    raise InvalidInput("the package archive does not say when it was changed", hint="set date in the recipe")


def parse_lines(text: str) -> Iterator[Source]:
    """The one-line form, sources.list(5): `deb [option=value ...] URI SUITE COMPONENT...`."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)", line)
        if match:
            options, uri, suite, components = match.groups()
            signed = re.search(r"signed-by=(\S+)", options or "")
            yield Source(
                uri=uri, suite=suite, components=tuple(components.split()), signed_by=signed.group(1) if signed else ""
            )


def parse_deb822(text: str) -> Iterator[Source]:
    """The paragraph form: fields that list types, URIs, suites and components, in all combinations."""
    without_comments = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", without_comments):
        joined = re.sub(r"\n[ \t]+", " ", paragraph)
        fields = {
            key.strip().lower(): value.strip()
            for key, colon, value in (line.partition(":") for line in joined.splitlines())
            if colon
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(
                    uri=uri,
                    suite=suite,
                    components=tuple(fields.get("components", "").split()),
                    signed_by=fields.get("signed-by", ""),
                )


def _is_debian(source: Source) -> bool:
    key = source.signed_by
    return "main" in source.components and (not key or "debian-archive" in key)
