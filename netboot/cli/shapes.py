"""The JSON that commands print: values of the model as plain dictionaries.

The shapes are an interface: docs/cli.md describes every key, and a test compares the two.  Keys are added, never
renamed.  Times are Unix seconds, sizes bytes; what is absent is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from netboot.model.lease import LeaseState
from netboot.model.networks import Route

if TYPE_CHECKING:
    from netboot.cli.standing import Standing
    from netboot.cli.telling import ClientTelling
    from netboot.images.boottests import BootTest
    from netboot.images.comparing import Difference
    from netboot.images.draft import Draft
    from netboot.images.fsck import Fault
    from netboot.images.garbage import Piece
    from netboot.images.history import Entry
    from netboot.images.lint import Finding
    from netboot.images.prepare import Action
    from netboot.images.tags import Move
    from netboot.model.boot import Boot, Verdict
    from netboot.model.client import Client
    from netboot.model.event import Event
    from netboot.model.image import Artefact, DeltaFile, Root, Version
    from netboot.model.lease import Lease
    from netboot.model.mac import MacAddress
    from netboot.personal.belongings import Belongings
    from netboot.personal.disks import DiskState

Shape = dict[str, Any]


def client_shape(client: Client) -> Shape:
    return {
        "mac": str(client.mac),
        "name": client.name,
        "image": _text(client.image),
        "san": _text(client.san),
        "profiles": list(client.profiles),
        "loader": str(client.loader),
        "address": _text(client.address),
        "kernel_args": list(client.kernel_args),
        "shell": client.shell,
        "created_at": client.created_at,
        "strategy": _text(client.strategy),
        **{each.name: plain(getattr(client.wishes, each.name)) for each in fields(client.wishes)},
    }


def belongings_shape(belongings: Belongings, name: str | None) -> Shape:
    return {
        "mac": str(belongings.mac),
        "name": name,
        "has_keys": belongings.has_keys,
        "size_bytes": belongings.size_bytes,
        "taken_bytes": belongings.taken_bytes,
        "is_mounted": belongings.is_mounted,
    }


def disk_shape(state: DiskState, name: str | None) -> Shape:
    disk = state.disk
    return {
        "mac": str(disk.mac),
        "name": name,
        "version": disk.label,
        "persistent": disk.persistence.value,
        "generation": disk.generation or None,
        "size_bytes": state.size_bytes,
        "taken_bytes": state.taken_bytes,
        "is_used": state.is_used,
    }


def standing_shape(standing: Standing) -> Shape:
    return {
        "runs": standing.runs,
        "outcome": _text(standing.outcome),
        "next": standing.next,
        "denied": standing.denied,
        "reboot_changes": standing.reboot_changes,
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


def finding_shape(finding: Finding) -> Shape:
    return {"rule": finding.rule, "path": finding.path, "why": finding.why}


def version_shape(version: Version) -> Shape:
    root, delta, parent = version.root, version.delta, version.parent
    files: Shape = {"root": _root(root), "kernel": _artefact(version.kernel), "initrd": _artefact(version.initrd)}
    files |= {"verity": _artefact(root.verity.tree) if root.verity else None}
    files |= (
        {"delta": {**_artefact(delta), "chunk_bytes": delta.chunk_bytes, "changed_bytes": delta.changed_bytes}}
        if delta
        else {"delta": None}
    )
    return {
        "image": version.image,
        "number": version.number,
        "digest": str(version.digest),
        "parent": {"number": parent.number, "digest": str(parent.digest)} if parent else None,
        "kernel_version": version.kernel_version,
        "arch": version.arch,
        "filesystem": version.filesystem,
        "created_at": version.created_at,
        "kernel_args": list(version.kernel_args),
        "files": files,
    }


def action_shape(action: Action) -> Shape:
    return {
        "path": action.path,
        "action": action.action.value,
        "group": action.group,
        "why": action.why,
        "size_bytes": action.size_bytes,
    }


def difference_shape(found: Difference) -> Shape:
    return {
        "old": found.old.label,
        "new": found.new.label,
        "packages": [
            {"name": each.name, "step": each.step.value, "before": each.before, "after": each.after}
            for each in found.packages
        ],
        "files": [
            {
                "path": each.path,
                "change": "changed" if each.what else "removed" if each.after is None else "added",
                "what": list(each.what),
                "kind": each.kind,
                "size_before": each.before.size_bytes if each.before else None,
                "size_after": each.after.size_bytes if each.after else None,
            }
            for each in found.files
        ],
    }


def boot_test_shape(image: str, test: BootTest) -> Shape:
    return {
        "image": image,
        "number": test.number,
        "digest": test.digest,
        "at": test.at,
        "who": test.who,
        "firmware": test.firmware,
        "up": test.is_up,
        "seconds": test.seconds,
    }


def draft_shape(draft: Draft, *, is_mounted: bool) -> Shape:
    note = draft.note
    return {
        "name": draft.name,
        "image": note.image,
        "number": note.number,
        "digest": note.digest,
        "created_at": note.created_at,
        "created_by": note.who,
        "note": note.note,
        "stored_bytes": draft.stored_bytes,
        "mounted": is_mounted,
    }


def move_shape(image: str, move: Move) -> Shape:
    return {
        "image": image,
        "tag": move.tag,
        "kind": move.kind.value,
        "number": move.number,
        "before": move.before,
        "at": move.at,
        "who": move.who,
        "note": move.note,
    }


def entry_shape(image: str, entry: Entry) -> Shape:
    return {
        "image": image,
        "at": entry.at,
        "what": entry.what.value,
        "number": entry.number,
        "before": entry.before,
        "tag": entry.tag,
        "origin": entry.origin,
        "who": entry.who,
        "note": entry.note,
    }


def piece_shape(piece: Piece) -> Shape:
    return {"what": piece.kind.value, "name": piece.name, "size_bytes": piece.size_bytes}


def fault_shape(fault: Fault, *, is_mended: bool) -> Shape:
    return {
        "problem": fault.problem.value,
        "damage": fault.is_damage,
        "path": str(fault.path),
        "version": fault.label,
        "what": fault.what,
        "mended": is_mended,
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


def _artefact(artefact: Artefact | DeltaFile) -> Shape:
    return {"path": str(artefact.path), "size_bytes": artefact.size_bytes, "digest": str(artefact.digest)}


def _root(root: Root) -> Shape:
    return {
        "path": str(root.path),
        "size_bytes": root.size_bytes,
        "digest": _text(root.digest),
        "root_hash": root.verity.root_hash.hex if root.verity else None,
        "salt": root.verity.salt.hex() if root.verity else None,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
