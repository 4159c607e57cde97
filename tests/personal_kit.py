"""Folders of files for clients, and archives read again, for tests of several tiers."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

TEMPLATES = Path(__file__).parents[1] / "templates"


def write(folder: Path, files: dict[str, str]) -> Path:
    """A folder with these files, by their places in it."""
    for place, content in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {each.name: each for each in tar}


def contents(archive: bytes) -> dict[str, str]:
    """Files by name with what they hold, links with where they lead."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for each in tar:
            if each.issym():
                found[each.name] = f"-> {each.linkname}"
            elif file := tar.extractfile(each):
                found[each.name] = file.read().decode()
    return found
