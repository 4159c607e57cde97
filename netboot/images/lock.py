"""Building again what was built: the packages of a version, each at its very version.

What is locked is what a version's manifest says: its packages, and the date that times in it are set back to.  apt is
told by preferences, apt_preferences(5); whether it could is seen from what is installed in the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import InvalidInput, NetbootError, NotFound
from netboot.images.manifest import parse_manifest

# Above any other reason for a version, also to go back to an older one.
_PRIORITY = 1001
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Lock:
    """Packages by name with their versions; `date` in Unix seconds, None when the version was built without one."""

    packages: Mapping[str, str]
    date: int | None

    def preferences(self) -> str:
        """What apt is told."""
        return "\n".join(
            f"Package: {name}\nPin: version {version}\nPin-Priority: {_PRIORITY}\n"
            for name, version in sorted(self.packages.items())
        )

    def check(self, installed: Mapping[str, str]) -> None:
        """Raise a `NetbootError` that names the packages that are not as they are locked."""
        names = sorted(self.packages.keys() | installed.keys())
        others = [
            f"  {name}: {self.packages.get(name, 'not')} locked, {installed.get(name, 'not')} installed"
            for name in names
            if self.packages.get(name) != installed.get(name)
        ]
        if others:
            more = [f"  and {len(others) - _SHOWN} more"] if len(others) > _SHOWN else []
            raise NetbootError(
                "\n".join(["the packages could not be had as they are locked:", *others[:_SHOWN], *more]),
                hint="an archive keeps the newest alone: set snapshot in the recipe, or name a --mirror that has them",
            )


def read_lock(file: Path) -> Lock:
    """The lock in a version's manifest."""
    try:
        manifest = parse_manifest(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no {file}", hint="name the manifest.json of a version") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"{file} is no version's manifest: {error.message}", hint=error.hint) from error
    if not manifest.packages:
        raise InvalidInput(f"{file} names no packages", hint="name the manifest of a version that was built")
    date = manifest.build.get("date", "")
    return Lock(manifest.packages, int(date) if date.isdecimal() else None)
