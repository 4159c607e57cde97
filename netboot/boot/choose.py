"""The one resolver: what a client shall boot.

DHCP, TFTP, HTTP, the command line and the dashboard all call `choose`; nobody else decides.  It is a pure
function of the request and a frozen policy, so two askers can never disagree.  Settings come in layers
(`netboot.boot.layers`), which also tell whose word it was that holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from netboot.boot.fitting import EveryLoader, Loaders, fitting
from netboot.boot.layers import (
    CONFIGURATION,
    Layer,
    Settled,
    client_layer,
    general_layer,
    profile_layers,
    settle,
)
from netboot.config import Config, Profile, UnknownClients, UnknownPolicy
from netboot.errors import NetbootError
from netboot.model.client import Client
from netboot.model.image import Version
from netboot.model.mac import MacAddress
from netboot.model.names import VersionRef
from netboot.model.request import BootRequest
from netboot.model.root import Persistence
from netboot.model.target import BootTarget, DeniedTarget, ImageTarget, MenuTarget, SanTarget


class Clients(Protocol):
    """Who is known."""

    def find(self, mac: MacAddress) -> Client | None: ...


class Versions(Protocol):
    """What can be booted.  `list` gives every version, oldest first within an image.

    Both raise `NetbootError` for a store or a version that is damaged, which is not the same as absent.
    """

    def find(self, ref: VersionRef) -> Version | None: ...

    def list(self) -> Sequence[Version]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPolicy:
    """Everything that a choice depends on.

    `general` is what holds for all clients, known or not, unless a profile or a record says otherwise.
    `machine_id_seed` is the installation's secret, so that machine ids cannot be guessed from MAC addresses.
    """

    clients: Clients
    versions: Versions
    unknown: UnknownClients = UnknownClients()
    general: Layer = Layer(source=CONFIGURATION)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    loaders: Loaders = EveryLoader()
    machine_id_seed: bytes = b""

    @classmethod
    def of(cls, config: Config, *, clients: Clients, versions: Versions, loaders: Loaders, secret: bytes) -> BootPolicy:
        return cls(
            clients=clients,
            versions=versions,
            unknown=config.clients.unknown,
            general=general_layer(config),
            profiles=config.profile,
            loaders=loaders,
            machine_id_seed=secret,
        )


def choose(request: BootRequest, policy: BootPolicy) -> BootTarget:
    """What the asking client shall boot, with the reason."""
    client = policy.clients.find(request.mac)
    try:
        settings = settle(layers_of(client, policy), request.arch)
        target = _unknown(request.mac, policy, settings) if client is None else _known(client, policy, settings)
    except NetbootError as error:
        hint = error.hint or "see what there is: netboot image list"
        return DeniedTarget(mac=request.mac, known=client is not None, reason=error.message, hint=hint)
    return fitting(target, request, policy.loaders, loader_said_by=settings.sources["loader"])


def layers_of(client: Client | None, policy: BootPolicy) -> tuple[Layer, ...]:
    """Who says what for a client, the general first; None is a client that nobody added.

    Raises `NotFound` for a profile that the configuration does not have.
    """
    if client is None:
        return (policy.general,)
    return (policy.general, *profile_layers(client, policy.profiles), client_layer(client))


def machine_id(mac: MacAddress, seed: bytes) -> str:
    """32 hex digits, the same for a client as long as the installation's `seed` lives (machine-id(5))."""
    return hashlib.blake2b(mac.octets, key=seed[:64], digest_size=16, person=b"machine-id").hexdigest()


def _known(client: Client, policy: BootPolicy, settings: Settled) -> BootTarget:
    if client.san is not None:
        reason = f"client {client.name} boots from a disk with a loader of its own"
        if client.image is not None:
            reason += f", which goes before its image {client.image}"
        return SanTarget(mac=client.mac, hostname=client.name, san=client.san, reason=reason, loader=settings.loader)
    if client.image is None:
        return DeniedTarget(
            mac=client.mac,
            known=True,
            reason=f"client {client.name} has no image",
            hint=f"assign one: netboot client set {client.name} --image IMAGE",
        )
    version = policy.versions.find(client.image)
    if version is None:
        return _no_version(client.mac, client.image, known=True)
    reason = f"client {client.name} is assigned {client.image}"
    return _target(client.mac, version, policy, settings, hostname=client.name, known=True, reason=reason)


def _unknown(mac: MacAddress, policy: BootPolicy, settings: Settled) -> BootTarget:
    match policy.unknown.policy:
        case UnknownPolicy.NOTHING:
            return DeniedTarget(
                mac=mac,
                known=False,
                reason=f"client {mac} is unknown",
                hint=f"add it: netboot client add {mac} --name NAME --image IMAGE",
            )
        case UnknownPolicy.MENU:
            return _menu(mac, policy, settings)
        case UnknownPolicy.IMAGE:
            ref = policy.unknown.image
            version = policy.versions.find(ref) if ref else None
            if ref is None or version is None:
                return _no_version(mac, ref, known=False)
            return _anonymous(mac, version, policy, settings, reason=f"unknown clients get {ref}")


def _menu(mac: MacAddress, policy: BootPolicy, settings: Settled) -> BootTarget:
    names = sorted({version.image for version in policy.versions.list()})
    offered = [version for name in names if (version := policy.versions.find(VersionRef(name)))]
    if not offered:
        return _no_version(mac, None, known=False)
    reason = "unknown clients get a menu"
    entries = tuple(_anonymous(mac, version, policy, settings, reason=reason) for version in offered)
    return MenuTarget(mac=mac, entries=entries, reason=reason)


def _anonymous(mac: MacAddress, version: Version, policy: BootPolicy, settings: Settled, *, reason: str) -> ImageTarget:
    hostname = f"client-{mac.octets.hex()}"
    return _target(mac, version, policy, settings, hostname=hostname, known=False, reason=reason)


def _target(
    mac: MacAddress, version: Version, policy: BootPolicy, settings: Settled, *, hostname: str, known: bool, reason: str
) -> ImageTarget:
    return ImageTarget(
        mac=mac,
        hostname=hostname,
        machine_id=machine_id(mac, policy.machine_id_seed),
        version=version,
        reason=reason,
        loader=settings.loader,
        root=settings.root,
        root_format=settings.root_format,
        verify=settings.verify,
        upper=settings.upper,
        persistent=settings.persistent if known else Persistence.OFF,
        kernel_args=(*version.kernel_args, *settings.kernel_args),
        shell=settings.shell,
        locale=settings.locale,
        keyboard=settings.keyboard,
        timezone=settings.timezone,
        # Anybody can be a client that nobody added: that must neither fill our disk nor be given secrets.
        host_keys=settings.host_keys and known,
        persist=settings.persist if known else (),
        persist_size=settings.persist_size,
        files=settings.files,
        known=known,
    )


def _no_version(mac: MacAddress, ref: VersionRef | None, *, known: bool) -> DeniedTarget:
    if ref is None:
        return DeniedTarget(
            mac=mac, known=known, reason="there is no image yet", hint="build one: netboot image build debian-minimal"
        )
    return DeniedTarget(
        mac=mac,
        known=known,
        reason=f"image {ref} does not exist",
        hint="see what there is: netboot image list",
    )
