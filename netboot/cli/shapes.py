"""The JSON that commands print: values of the model as plain dictionaries.

The shapes are an interface: docs/cli.md describes every key, and a test compares the two.  Keys are added, never
renamed.  Times are Unix seconds, sizes bytes; what is absent is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netboot.cli.telling import ClientTelling
from netboot.model.boot import Boot, Verdict
from netboot.model.client import Client
from netboot.model.event import Event
from netboot.model.image import Artefact, Version
from netboot.model.lease import Lease, LeaseState
from netboot.model.mac import MacAddress
from netboot.model.networks import Route

Shape = dict[str, Any]


def client_shape(client: Client) -> Shape:
    return {
        "mac": str(client.mac),
        "name": client.name,
        "image": _text(client.image),
        "root": client.root.value,
        "profiles": list(client.profiles),
        "loader": str(client.loader),
        "address": _text(client.address),
        "kernel_args": list(client.kernel_args),
        "shell": client.shell,
        "created_at": client.created_at,
        "strategy": _text(client.strategy),
    }


def telling_shape(telling: ClientTelling) -> Shape:
    lesson = telling.lesson
    return {
        "strategy": telling.strategy.value,
        "reason": telling.reason,
        "mode": telling.mode.value,
        "fingerprint": str(telling.fingerprint),
        "since": lesson.since if lesson else None,
        "worked_at": lesson.worked_at if lesson else None,
        "worked_for": [str(mac) for mac in lesson.proofs] if lesson else [],
    }


def version_shape(version: Version) -> Shape:
    return {
        "image": version.image,
        "number": version.number,
        "digest": str(version.digest),
        "kernel_version": version.kernel_version,
        "arch": version.arch,
        "filesystem": version.filesystem,
        "created_at": version.created_at,
        "kernel_args": list(version.kernel_args),
        "files": {name: _artefact(getattr(version, name)) for name in ("root", "kernel", "initrd")},
    }


def lease_shape(lease: Lease, names: Mapping[MacAddress, str], *, now: float) -> Shape:
    return {
        "address": str(lease.address),
        "mac": str(lease.mac),
        "client": names.get(lease.mac),
        "state": lease_state(lease, now=now),
        "expires_at": lease.expires_at,
        "hostname": lease.hostname,
        "client_id": lease.client_id.hex() if lease.client_id else None,
    }


def lease_state(lease: Lease, *, now: float) -> str:
    """The state in effect: an active lease whose time is over is expired."""
    ended = lease.state is not LeaseState.RELEASED and not lease.holds(now)
    return "expired" if ended else lease.state.value


def event_shape(event: Event) -> Shape:
    return {
        "id": event.id,
        "at": event.at,
        "kind": event.kind.value,
        "mac": _text(event.mac),
        "boot": event.boot,
        "details": dict(event.details),
    }


def boot_shape(boot: Boot, verdict: Verdict, client: str | None) -> Shape:
    """A boot without its events."""
    return {
        "id": boot.id,
        "mac": str(boot.mac),
        "client": client,
        "started_at": boot.started_at,
        "last_at": boot.last_at,
        "verdict": verdict_shape(verdict),
    }


def boot_story_shape(boot: Boot, verdict: Verdict, client: str | None) -> Shape:
    return {**boot_shape(boot, verdict, client), "events": [event_shape(event) for event in boot.events]}


def verdict_shape(verdict: Verdict) -> Shape:
    return {
        "outcome": verdict.outcome.value,
        "reached": verdict.reached.value if verdict.reached else None,
        "missing": verdict.missing.value if verdict.missing else None,
        "cause": verdict.cause,
        "hint": verdict.hint,
        "log": verdict.log,
    }


def plain(value: Any) -> Any:
    """A setting's value as JSON can say it: numbers and lists as such, everything else as its usual text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, range):
        return f"{value[0]}-{value[-1]}"
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list) and not isinstance(value, Route):
        return [plain(each) for each in value]
    return str(value)


def _artefact(artefact: Artefact) -> Shape:
    return {"path": str(artefact.path), "size_bytes": artefact.size_bytes, "digest": str(artefact.digest)}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
