"""Readers of single values: TOML in, a value of the model out, or `InvalidInput` that says what would fit.

A reader sees one value and knows nothing of files or keys; `netboot.config.reader` adds where it stood.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Any, TypeVar

from netboot.errors import InvalidInput
from netboot.model.lease import Pool
from netboot.model.loader import Loader, LoadersByArch, parse_loader
from netboot.model.names import parse_profile_name
from netboot.model.networks import Route
from netboot.model.request import Arch, arch_key
from netboot.model.sizes import parse_size

Reader = Callable[[Any], Any]
T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_WORD = re.compile(r"[!-~]+")
_TMPFS_SIZE = re.compile(r"(?:[1-9][0-9]?|100)%|[1-9][0-9]{0,9}[kmg]?")
# Of an ext4 file system, at most 16 bytes; of a GPT partition, more.
_LABEL = re.compile(r"[A-Za-z0-9._-]{1,36}")
_LOCALE = re.compile(r"(?:C|POSIX|[a-z]{2,3}(?:_[A-Z]{2})?)(?:\.[A-Za-z0-9-]{1,20})?(?:@[a-z]{1,20})?")
_KEYBOARD = re.compile(r"[a-z]{2,12}(?:-[A-Za-z0-9_-]{1,40})?")
_TIMEZONE = re.compile(r"[A-Za-z0-9_+-]{1,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}")
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62})(?:\.[a-zA-Z0-9-]{1,63})*")


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInput("must be a text in quotes that is not empty")
    return value


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("must be true or false")
    return value


def whole(low: int, high: int) -> Reader:
    """A whole number within bounds, both allowed."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidInput(f"must be a whole number from {low} to {high}")
        return value

    return read


def seconds(low: float, high: float) -> Reader:
    """A span of time in seconds within bounds, both allowed."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InvalidInput(f"must be a number of seconds from {low:g} to {high:g}")
        return float(value)

    return read


def choice(kind: type[E]) -> Reader:
    def read(value: Any) -> E:
        try:
            return kind(value)
        except ValueError:
            raise InvalidInput("must be one of " + ", ".join(f'"{each}"' for each in kind)) from None

    return read


def many(one: Reader) -> Reader:
    """A list, each item of which `one` reads; the result is a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise InvalidInput("must be a list in square brackets")
        return tuple(one(item) for item in value)

    return read


def one_or_many(one: Reader) -> Reader:
    """A single item or a list of them; the result is a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        return tuple(one(item) for item in (value if isinstance(value, list) else [value]))

    return read


def path(value: Any) -> Path:
    found = Path(text(value))
    if not found.is_absolute() or not value.isprintable():
        raise InvalidInput("must be an absolute path")
    return found


def ports(value: Any) -> range:
    """A range of ports, both ends in it."""
    first, dash, last = text(value).partition("-")
    if not (dash and first.strip().isdecimal() and last.strip().isdecimal()):
        raise InvalidInput("must be a range of ports, as 50000-50999")
    found = range(int(first), int(last) + 1)
    if not found or not found[0] >= 1 or not found[-1] <= 65535:
        raise InvalidInput("must begin at 1 or later, end at 65535 or before, and not end before it begins")
    return found


def address(value: Any) -> IPv4Address:
    try:
        return IPv4Address(text(value))
    except AddressValueError:
        raise InvalidInput("must be an IPv4 address, as 10.9.0.1") from None


def network(value: Any) -> IPv4Network:
    try:
        return IPv4Network(text(value))
    except (AddressValueError, NetmaskValueError, ValueError):
        raise InvalidInput("must be an IPv4 network with its prefix and no host bits, as 10.9.0.0/24") from None


def pool(value: Any) -> Pool:
    first, dash, last = text(value).partition("-")
    if not dash:
        raise InvalidInput("must be a range of addresses, as 10.9.0.100-10.9.0.199")
    found = Pool(address(first.strip()), address(last.strip()))
    if found.last < found.first:
        raise InvalidInput("ends before it begins")
    return found


def route(value: Any) -> Route:
    destination, via, gateway = text(value).partition(" via ")
    if not via:
        raise InvalidInput("must be a network and its gateway, as 10.20.0.0/16 via 10.9.0.254")
    return Route(network(destination.strip()), address(gateway.strip()))


def interface_name(value: Any) -> str:
    """A name that the kernel would accept for a link: at most 15 bytes, no blank, no slash."""
    name = text(value)
    if len(name.encode()) > 15 or re.search(r"[\s/:]", name) or name in {".", ".."}:
        raise InvalidInput("must be the name of a network interface, as eth0")
    return name


def word(value: Any) -> str:
    """One word of a kernel command line: printable ASCII without blanks or quotes."""
    found = text(value)
    if not _WORD.fullmatch(found) or '"' in found or "'" in found:
        raise InvalidInput("must be one word of printable ASCII, without blanks or quotes")
    return found


def upper(value: Any) -> str:
    """The temporary layer, as `netboot.model.wishes` spells it."""
    kind, colon, rest = text(value).partition(":")
    if colon and kind in ("disk", "crypt"):
        if not _LABEL.fullmatch(rest):
            raise InvalidInput(f"must name the file system's label after {kind}:, as {kind}:scratch")
        return f"{kind}:{rest}"
    size = (rest if colon and kind == "zram" else value).lower()
    if not _TMPFS_SIZE.fullmatch(size):
        raise InvalidInput("must be a share of memory or a size, as 50% or 2g, or zram:2g, disk:LABEL or crypt:LABEL")
    return f"zram:{size}" if colon else size


# What an image brings, what its package manager keeps account of, and what is never on a disk.
_NEVER_KEPT = (
    "/bin",
    "/boot",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/sbin",
    "/usr",
    "/var",
    "/var/lib",
)
_NEVER_BELOW = ("/dev", "/proc", "/run", "/sys", "/tmp")  # noqa: S108 - names, not files of ours
_KEPT_PATH = re.compile(r"(?:/[A-Za-z0-9._@+:-]+)+")
_VOLUME_SIZE = re.compile(r"[1-9][0-9]{0,5}[mgt]")
_VOLUME_MIN, _VOLUME_MAX = 16 << 20, 16 << 40


def kept_path(value: Any) -> str:
    """A path that can outlive a version: an absolute one, and no part of the system that the version is."""
    found = text(value)
    if not _KEPT_PATH.fullmatch(found) or {".", ".."} & set(found.split("/")):
        raise InvalidInput("must be an absolute path of letters, digits and . _ @ + : - only, as /var/lib/app")
    if found in _NEVER_KEPT or found.split("/")[1] in {each[1:] for each in _NEVER_BELOW}:
        raise InvalidInput(
            f"must not be {found}, which comes with each image or is made anew at each boot",
            hint="name what shall be kept within it, as /etc/ssh or /var/lib/app",
        )
    return found


def volume_size(value: Any) -> str:
    """The size of a file system for one client, as it is written: 500m, 10g."""
    size = text(value).lower()
    if not _VOLUME_SIZE.fullmatch(size) or not _VOLUME_MIN <= parse_size(size.upper()) <= _VOLUME_MAX:
        raise InvalidInput("must be a size from 16m to 16t, as 500m or 10g")
    return size


def locale(value: Any) -> str:
    found = text(value)
    if not _LOCALE.fullmatch(found):
        raise InvalidInput("must be a locale, as de_DE.UTF-8 or C.UTF-8")
    return found


def keyboard(value: Any) -> str:
    """A layout of XKB's, with a dash and its variant where it has one; console keymaps are called alike."""
    found = text(value)
    if not _KEYBOARD.fullmatch(found):
        raise InvalidInput("must be a keyboard's layout, as us, or layout and variant, as de-nodeadkeys")
    return found


def timezone(value: Any) -> str:
    found = text(value)
    if not _TIMEZONE.fullmatch(found):
        raise InvalidInput("must be a name of the time zone database, as Europe/Berlin or UTC")
    return found


def domain(value: Any) -> str:
    found = text(value)
    if not _DOMAIN.fullmatch(found):
        raise InvalidInput("must be a DNS domain, as lab.example.org")
    return found


def loader(value: Any) -> Loader:
    """A family of loaders, or the name of one."""
    return parse_loader(text(value))


# What the registry does not list is written as its number, or all of it as this.
_OTHER_ARCHES = "other"
_ARCH_KEYS = (*(arch_key(each) for each in Arch), _OTHER_ARCHES)
_ARCH_NUMBER = re.compile(r"[0-9]{1,5}")


def loaders(value: Any) -> LoadersByArch:
    """A table from architectures to loaders; a number that has a name is kept by its name."""
    if not isinstance(value, Mapping):
        raise InvalidInput('must be a table from architectures to loaders, as x64-uefi = "grub"')
    return LoadersByArch({_arch(key): _loader_at(key, named) for key, named in value.items()})


def profile_name(value: Any) -> str:
    return parse_profile_name(text(value))


def _arch(key: str) -> str:
    if _ARCH_NUMBER.fullmatch(key) and int(key) <= 0xFFFF:
        return arch_key(int(key))
    if key in _ARCH_KEYS:
        return key
    near = difflib.get_close_matches(key, _ARCH_KEYS, n=1, cutoff=0.5)
    raise InvalidInput(
        f"has no architecture {key}",
        hint=f"did you mean {near[0]}?" if near else f"known are {', '.join(_ARCH_KEYS)}, and numbers of option 93",
    )


def _loader_at(key: str, value: Any) -> Loader:
    try:
        return loader(value)
    except InvalidInput as error:
        raise InvalidInput(f"has at {key} what is none: {error.message}", hint=error.hint) from None
