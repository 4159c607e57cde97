"""Who says what of a boot: layers of settings, from the general to the particular.

The configuration comes first, then the client's profiles, each after those that it inherits from, and the client's
own record last.  A later layer wins over an earlier one; the words of kernel lines add up, and the kernel heeds the
last of two that disagree; so do paths that clients keep; folders of files lie over one another.  What no layer says is
a default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from netboot.config import BootSettings, Config, Profile
from netboot.errors import NotFound
from netboot.model.client import Client
from netboot.model.loader import NO_LOADERS, Loader, LoaderChoice, LoadersByArch
from netboot.model.request import ANY_ARCH, Arch, arch_key
from netboot.model.root import Persistence, RootFormat, RootMode
from netboot.model.wishes import ADDING_UP, DEFAULTS, NO_WISHES, Wishes

CONFIGURATION, CLIENT_RECORD, DEFAULT = "configuration", "client record", "default"

# The key for architectures that the registry, and so our table, does not have.
OTHER = "other"

# The names of all wishes.
WISHES = tuple(each.name for each in fields(Wishes))

_UNWISHED = {name: getattr(DEFAULTS, name) for name in WISHES}, dict.fromkeys(WISHES, DEFAULT)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one source says; None and empty say nothing.  `source` is for people."""

    source: str
    loader: Loader | None = None
    loaders: LoadersByArch = NO_LOADERS
    kernel_args: tuple[str, ...] = ()
    wishes: Wishes = NO_WISHES
    shell: bool | None = None
    files: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What holds in the end, and by whose word: `sources` has each field's name."""

    loader: Loader
    kernel_args: tuple[str, ...]
    root: RootMode
    root_format: RootFormat
    verify: bool
    upper: str
    persistent: Persistence
    locale: str | None
    keyboard: str | None
    timezone: str | None
    host_keys: bool
    persist: tuple[str, ...]
    persist_size: str
    shell: bool
    files: tuple[Path, ...]
    sources: Mapping[str, str]


def general_layer(config: Config) -> Layer:
    """What the configuration says for all clients."""
    boot = config.boot
    return Layer(
        source=CONFIGURATION,
        loader=boot.loader,
        loaders=config.loaders,
        kernel_args=boot.kernel_args,
        wishes=boot.wishes,
        shell=boot.shell or None,
        files=boot.files,
    )


def profile_layers(client: Client, profiles: Mapping[str, Profile]) -> Iterator[Layer]:
    """The layers of a client's profiles.  Raises `NotFound` for a profile that the configuration does not have."""
    for name in client.profiles:
        if name not in profiles:
            raise NotFound(
                f"client {client.name} has the profile {name}, which the configuration does not have",
                hint=f"write [profile.{name}] there, or take it away: netboot client set {client.name} --profile none",
            )
        for each in reversed(list(lineage(name, profiles))):
            yield _profile_layer(each, profiles[each])


def lineage(name: str, profiles: Mapping[str, Profile]) -> Iterator[str]:
    """A profile and those that it inherits from, nearest first; the configuration is checked to have no cycle."""
    at: str | None = name
    while at is not None:
        yield at
        at = profiles[at].inherits


def client_layer(client: Client) -> Layer:
    """What the client's own record says.  `auto` and no shell are what a record says that has no wish."""
    return Layer(
        source=CLIENT_RECORD,
        loader=None if client.loader is LoaderChoice.AUTO else client.loader,
        kernel_args=client.kernel_args,
        wishes=client.wishes,
        shell=client.shell or None,
    )


def settle(layers: Sequence[Layer], arch: int) -> Settled:
    """What holds for a machine of this architecture."""
    auto: Loader = LoaderChoice.AUTO
    loader, loader_source = _last(((_loader(each, arch), each.source) for each in layers), auto)
    wished, sources = _wished(layers)
    shell, shell_source = _last(((each.shell, each.source) for each in layers), BootSettings().shell)
    return Settled(
        loader=loader,
        kernel_args=tuple(word for each in layers for word in each.kernel_args),
        shell=shell,
        files=tuple(each.files for each in layers if each.files is not None),
        sources={"loader": loader_source, "shell": shell_source, **sources},
        **wished,
    )


def _profile_layer(name: str, profile: Profile) -> Layer:
    return Layer(
        source=f"profile {name}",
        loader=profile.loader,
        loaders=profile.loaders,
        kernel_args=profile.kernel_args,
        wishes=profile.wishes,
        shell=profile.shell,
        files=profile.files,
    )


def _wished(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """What holds of each wish, and whose word it is."""
    wishing = [each for each in layers if each.wishes != NO_WISHES]
    if not wishing:
        return _UNWISHED  # as of most clients
    wished, sources = {}, {}
    for name in WISHES:
        said = [(getattr(each.wishes, name), each.source) for each in wishing]
        combine = _all if name in ADDING_UP else _last
        wished[name], sources[name] = combine(iter(said), getattr(DEFAULTS, name))
    return wished, sources


def _loader(layer: Layer, arch: int) -> Loader | None:
    """What a layer says for one architecture: its word for that one, else its word for all."""
    if arch == ANY_ARCH:
        return layer.loader
    by_arch = layer.loaders.get(arch_key(arch))
    if by_arch is None and arch not in set(Arch):
        by_arch = layer.loaders.get(OTHER)
    return by_arch or layer.loader


def _last(said: Iterator[tuple[T | None, str]], default: T) -> tuple[T, str]:
    """The last word that is one, and whose it is."""
    found, source = default, DEFAULT
    for value, whose in said:
        if value is not None:
            found, source = value, whose
    return found, source


def _all(said: Iterator[tuple[tuple[T, ...] | None, str]], default: tuple[T, ...]) -> tuple[tuple[T, ...], str]:
    """All that is said, each once, and by whom."""
    words = [(values, whose) for values, whose in said if values]
    if not words:
        return default, DEFAULT
    return tuple(dict.fromkeys(each for values, _ in words for each in values)), ", ".join(whose for _, whose in words)
