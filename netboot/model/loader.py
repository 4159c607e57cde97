"""What an admin can name as a loader: a family, of which each architecture has its file, or one file.

A file's first folder says whose language it speaks: what lies in `ipxe/` runs our iPXE scripts, so an iPXE that is
in a network card already need not be sent it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from netboot.errors import InvalidInput

# Parts of plain letters that do not begin with a dot; DHCP's header has room for 127 bytes.
_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_+][A-Za-z0-9._+-]*)*")
_MAX_CHARACTERS = 100


class LoaderChoice(StrEnum):
    """A family of loaders; `auto` follows the table of firmwares."""

    AUTO = "auto"
    IPXE = "ipxe"
    PXELINUX = "pxelinux"
    GRUB = "grub"


@dataclass(frozen=True, slots=True)
class LoaderFile:
    """The name of one loader, as it travels in DHCP's `file`: of netboot's own table or of the operator's folder."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not _NAME.fullmatch(text) or len(text) > _MAX_CHARACTERS:
            raise InvalidInput(
                f"{text!r} cannot be the name of a loader",
                hint=f"name it as it lies in the folder of loaders, as ipxe/mine.efi, in {_MAX_CHARACTERS} characters",
            )
        return cls(text)

    @property
    def runs_ipxe_scripts(self) -> bool:
        return self.name.startswith(f"{LoaderChoice.IPXE}/")

    def __str__(self) -> str:
        return self.name


Loader = LoaderChoice | LoaderFile


class LoadersByArch(Mapping[str, Loader]):
    """Loaders by the architecture's key (`netboot.model.request.arch_key`); a value, so it does not change."""

    __slots__ = ("_loaders",)

    def __init__(self, loaders: Mapping[str, Loader]) -> None:
        self._loaders = dict(loaders)

    def __getitem__(self, key: str) -> Loader:
        return self._loaders[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def __hash__(self) -> int:
        return hash(frozenset(self._loaders.items()))


NO_LOADERS = LoadersByArch({})


def parse_loader(text: str) -> Loader:
    """A family's name, or a file's: the one has neither dot nor slash, the other has one of them."""
    if text in set(LoaderChoice):
        return LoaderChoice(text)
    if not set("./") & set(text):
        families = ", ".join(LoaderChoice)
        raise InvalidInput(
            f"{text!r} is no loader", hint=f"name a family ({families}) or a file, as ipxe/snponly.efi or mine.efi"
        )
    return LoaderFile.parse(text)
