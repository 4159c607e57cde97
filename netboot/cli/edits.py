"""The options of `client add` and `client set`: words into checked fields of a Client, and back.

Everything is checked before anything is written, so that a refused command changes nothing.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Any

from netboot.boot.quoting import GRUB, IPXE, PI, PXELINUX, UBOOT
from netboot.cli.place import Place
from netboot.config.wishes import options_for, read_wish
from netboot.errors import InvalidInput, NotFound
from netboot.model.client import Client
from netboot.model.loader import LoaderChoice, parse_loader
from netboot.model.names import VersionRef, parse_profile_name
from netboot.model.san import SanUri
from netboot.model.strategy import Strategy
from netboot.model.wishes import Wishes

# In place of an image, a disk, an address or profiles: take away what is there.
NONE = "none"
# In place of a strategy: the one that its make has taught.
AUTO = "auto"


def command_for(client: Client) -> str:
    """The command line that adds this client."""
    words = ["netboot", "client", "add", str(client.mac), "--name", client.name]
    words += ["--image", str(client.image)] if client.image else []
    words += ["--san", str(client.san)] if client.san else []
    words += ["--address", str(client.address)] if client.address else []
    words += [word for each in client.profiles for word in ("--profile", each)]
    words += ["--loader", str(client.loader)] if client.loader is not LoaderChoice.AUTO else []
    words += [word for each in client.kernel_args for word in ("--kernel-arg", each)]
    words += ["--strategy", client.strategy] if client.strategy else []
    words += ["--shell"] if client.shell else []
    words += options_for(client.wishes)
    return shlex.join(words)


def edits_of(
    place: Place,
    *,
    image: str | None,
    san: str | None,
    address: str | None,
    profiles: list[str] | None,
    loader: str | None,
    kernel_args: list[str] | None,
    strategy: str | None,
    shell: bool | None,
    wishes: Mapping[str, Any],
) -> dict[str, Any]:
    """The fields of a Client that the options name, checked."""
    read: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "image": (image, lambda text: _image(text, place)),
        "san": (san, _san),
        "address": (address, _address),
        "profiles": (profiles, _profiles),
        "loader": (loader, parse_loader),
        "kernel_args": (kernel_args, lambda words: tuple(_kernel_arg(word) for word in words)),
        "strategy": (strategy, _strategy),
        "shell": (shell, bool),
    }
    edits = {field: reader(value) for field, (value, reader) in read.items() if value is not None}
    if wished := _wished(wishes):
        edits["wishes"] = wished
    return edits


def wishes_of(**options: Any) -> Wishes:
    """What the options of these names say, checked."""
    return Wishes(**_wished(options))


def edited(client: Client, edits: Mapping[str, Any]) -> Client:
    """The client with what `edits_of` gave; wishes that it does not name stay."""
    wishes = dataclasses.replace(client.wishes, **edits.get("wishes", {}))
    return dataclasses.replace(client, **{**edits, "wishes": wishes})


def _wished(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _wish(name, value) for name, value in options.items() if value is not None}


def _wish(name: str, value: Any) -> Any:
    """One wish, None for what profiles and the configuration say."""
    if value in (NONE, [NONE]):
        return None
    try:
        return read_wish(name, value)
    except InvalidInput as error:
        option = name.replace("_", "-")
        raise InvalidInput(
            f"--{option} {error.message}, or {NONE} for what profiles and configuration say", hint=error.hint
        ) from None


def _strategy(text: str) -> Strategy | None:
    """The strategy of this name, None for `auto`."""
    if text == AUTO:
        return None
    try:
        return Strategy(text)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no strategy", hint=f"write one of {AUTO}, {', '.join(each.value for each in Strategy)}"
        ) from None


def _image(text: str, place: Place) -> VersionRef | None:
    if text == NONE:
        return None
    ref = VersionRef.parse(text)
    if place.images.find(ref) is None:
        try:
            place.images.get(ref)
        except NotFound as error:
            hint = f"{error.hint}; netboot image list shows all, netboot image build makes one"
            raise NotFound(error.message, hint=hint) from None
    return ref


def _san(text: str) -> SanUri | None:
    return None if text == NONE else SanUri.parse(text)


def _profiles(names: list[str]) -> tuple[str, ...]:
    """Whether the daemon's configuration has them shows when the client boots, and in `client explain --config`."""
    return () if names == [NONE] else tuple(dict.fromkeys(parse_profile_name(name) for name in names))


def _address(text: str) -> IPv4Address | None:
    if text == NONE:
        return None
    try:
        address = IPv4Address(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not an IPv4 address", hint="write it as 10.9.0.50") from None
    if address.is_multicast or address.is_unspecified or address.is_loopback or address.is_reserved:
        raise InvalidInput(f"{address} is no address that a client can have", hint="take one of its subnet")
    return address


def _kernel_arg(word: str) -> str:
    """One word that the kernel line and every loader's language can carry."""
    if set(word) & set("'\""):
        raise InvalidInput(f"{word!r} cannot stand on a kernel line", hint="leave the quotes out")
    for language in (IPXE, PXELINUX, GRUB, UBOOT, PI):
        language.word(word)
    return word
