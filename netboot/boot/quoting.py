"""Words and texts for the boot loaders' languages, so that nothing a person typed is ever read as a command.

A *word* stands for itself: it is passed on exactly, or refused with `InvalidInput` where the language cannot
express it.  A *text* is for people's eyes: what could mean something to the loader is replaced.  Each language's
reading rules are those of its source: iPXE core/exec.c and core/settings.c, SYSLINUX ldlinux/readconfig.c, GRUB's
manual, "Shell-like scripting", U-Boot boot/pxe_utils.c and common/cli_simple.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from netboot.errors import InvalidInput


class Quoted(str):
    """A piece of script: already in the language, printed as it is."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Language:
    """How one loader's language takes words and texts."""

    name: str
    word: Callable[[str], str]
    text: Callable[[str], str]


_WORD = re.compile(r"[!-~]+")
# Letters, digits and the punctuation of sentences, commands and addresses; none of it means anything anywhere.
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .,:/_@+=()!?%*<>~\[\]-]")
_GRUB_BARE = re.compile(r"[A-Za-z0-9/][A-Za-z0-9.,:/_@+=%-]*")


def _checked(value: str, language: str) -> str:
    if not _WORD.fullmatch(value):
        raise _inexpressible(value, language)
    return value


def _inexpressible(value: str, language: str) -> InvalidInput:
    return InvalidInput(
        f"{value!r} cannot be written in a script for {language}",
        hint="take the word out of the kernel arguments, or give this client another loader",
    )


def _ipxe_word(value: str) -> str:
    """iPXE has no quoting at all: blanks part words, `${` expands anywhere, and its result is expanded again.

    `||`, `&&` and `;` count as words of their own, `#` begins a comment at the start of a word, a backslash at the
    end of a line continues it.
    """
    word = _checked(value, "iPXE")
    if "$" in word or word[0] == "#" or word[-1] == "\\" or not word.strip("|&;"):
        raise _inexpressible(value, "iPXE")
    return word


def _pxelinux_word(value: str) -> str:
    """SYSLINUX takes the rest of a line as it is; only `#` at its start and the lone `-` of APPEND mean something."""
    word = _checked(value, "PXELINUX")
    if word[0] == "#" or word == "-":
        raise _inexpressible(value, "PXELINUX")
    return word


def _uboot_word(value: str) -> str:
    """U-Boot reads PXELINUX's language, but expands variables in what it hands to the kernel, and takes backslashes."""
    word = _pxelinux_word(value)
    if set(word) & set("\\$'\""):
        raise _inexpressible(value, "U-Boot")
    return word


def _pi_word(value: str) -> str:
    """The Raspberry Pi's files have no quoting; only `#` at the start of a line and `[...]` mean something."""
    word = _checked(value, "Raspberry Pi")
    if word[0] in "#[":
        raise _inexpressible(value, "Raspberry Pi")
    return word


def _grub_word(value: str) -> str:
    """GRUB's single quotes keep everything.  A backslash would reach the kernel doubled (loader/cmdline.c).

    `$` is refused too, since a template may print the word between double quotes, where it would expand.
    """
    word = _checked(value, "GRUB")
    if set(word) & set("\\$'\""):
        raise _inexpressible(value, "GRUB")
    return word if _GRUB_BARE.fullmatch(word) else f"'{word}'"


def plain(value: str) -> str:
    """One line of plain words: what is left of a text in every language."""
    return _NOT_PLAIN.sub("?", " ".join(value.split())) or "-"


def _grub_text(value: str) -> str:
    return f"'{plain(value)}'"


IPXE = Language("ipxe", _ipxe_word, plain)
PXELINUX = Language("pxelinux", _pxelinux_word, plain)
GRUB = Language("grub", _grub_word, _grub_text)
UBOOT = Language("u-boot", _uboot_word, plain)
PI = Language("raspberry-pi", _pi_word, plain)
