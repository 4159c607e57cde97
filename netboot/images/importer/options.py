"""What a person may say about an import, and what they are told of it besides the version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netboot.images.importer.detect import Format
from netboot.images.lint import Allowance
from netboot.images.transfer.writer import Limits
from netboot.model.image import Version

# Told how many bytes of how many were read.
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """`format` None is told by the source's bytes, `size_bytes` None by what it holds; `tag` is of OCI archives.

    `site_table` is the site's own table of what is prepared, `allowed` what the lint lets pass.
    """

    format: Format | None = None
    partition: int | None = None
    tag: str | None = None
    kernel: str | None = None
    packages: tuple[str, ...] = ()
    size_bytes: int | None = None
    max_files: int = Limits().files
    site_table: Path | None = None
    allowed: tuple[Allowance, ...] = ()
    note: str = ""

    @property
    def limits(self) -> Limits:
        """A source of some kilobytes can hold terabytes: it may not hold more than the image is to be large."""
        return Limits(size_bytes=self.size_bytes or Limits().size_bytes, files=self.max_files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A new version; `notices` are lines for people, `devices` the device nodes that the source brought."""

    version: Version
    format: Format
    notices: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
