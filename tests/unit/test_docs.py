"""Documentation that would drift is checked."""

from __future__ import annotations

import re
from pathlib import Path

from netboot.boot.waits import WAITS
from netboot.model.event import EventKind

ROOT = Path(__file__).parents[2]


def test_every_event_is_documented_with_its_limit() -> None:
    rows = [line for line in (ROOT / "docs/boot-flow.md").read_text().splitlines() if line.startswith("| `")]
    for kind in EventKind:
        assert any(f"`{kind}`" in row.split("|")[1] for row in rows), f"event {kind} is not in docs/boot-flow.md"
    for kind, wait in WAITS.items():
        row = next(row for row in rows if row.startswith(f"| `{kind}` |"))
        assert row.split("|")[3].strip() == f"{wait.limit_s:g} s"


def test_the_code_map_names_every_package() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    packages = [each.parent.name for each in (ROOT / "netboot").glob("*/__init__.py")]
    assert packages
    for package in packages:
        assert f"`netboot/{package}/`" in page, f"netboot/{package} is not in ARCHITECTURE.md"


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 5
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
