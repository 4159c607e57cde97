"""A disk with a loader of its own, as it is told to loaders that cannot boot from one."""

from __future__ import annotations

from netboot.boot.script import ScriptKind, has_script
from netboot.model.target import BootTarget, DeniedTarget, SanTarget


def in_language(kind: ScriptKind, target: BootTarget) -> BootTarget:
    """The target as a script of this kind can say it: of a disk over iSCSI, to any loader but iPXE, a refusal."""
    if not isinstance(target, SanTarget) or has_script(kind, target):
        return target
    return DeniedTarget(
        mac=target.mac,
        known=True,
        reason=f"{target.hostname} boots from a disk over iSCSI, which iPXE alone can, and {kind} asks",
        hint=f"let its firmware decide: netboot client set {target.hostname} --loader auto",
    )
