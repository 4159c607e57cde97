"""Which NFS server this machine has: the kernel's where there is one, NFS-Ganesha where there is not."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from netboot.config import ExportBackend
from netboot.errors import Unavailable
from netboot.exports.backend import Backend
from netboot.exports.nfs_ganesha import PROGRAM, Ganesha
from netboot.exports.nfs_kernel import KernelNfs
from netboot.system.commands import run

FILESYSTEMS = Path("/proc/filesystems")

_INSTALL = {
    ExportBackend.KERNEL: "apt-get install nfs-kernel-server, on a kernel that has nfsd",
    ExportBackend.GANESHA: "apt-get install nfs-ganesha nfs-ganesha-vfs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the machine has: nfsd in its kernel (or as a module), exportfs, NFS-Ganesha."""

    nfsd: bool
    exportfs: bool
    ganesha: bool


def choose_backend(wanted: ExportBackend, facts: Facts) -> ExportBackend:
    """The backend to use; `Unavailable` says how to get the one wanted, or either of them."""
    there = {ExportBackend.KERNEL: facts.nfsd and facts.exportfs, ExportBackend.GANESHA: facts.ganesha}
    if wanted is not ExportBackend.AUTO:
        if there[wanted]:
            return wanted
        raise Unavailable(f"this machine cannot export by {wanted}: {_lacking(wanted, facts)}", hint=_INSTALL[wanted])
    for backend, possible in there.items():
        if possible:
            return backend
    raise Unavailable("this machine has no NFS server to export images with", hint=" or ".join(_INSTALL.values()))


def look() -> Facts:
    return Facts(nfsd=_has_nfsd(), exportfs=bool(shutil.which("exportfs")), ganesha=bool(shutil.which(PROGRAM)))


def make_backend(wanted: ExportBackend, *, run: Path, root: Path) -> Backend:
    """The backend for this machine; its files go to `run`, its exports lie below `root`."""
    match choose_backend(wanted, look()):
        case ExportBackend.KERNEL:
            return KernelNfs(root)
        case _:
            return Ganesha(run)


def _lacking(wanted: ExportBackend, facts: Facts) -> str:
    if wanted is ExportBackend.GANESHA:
        return "ganesha.nfsd is not installed"
    return "exportfs is not installed" if facts.nfsd else "its kernel has no nfsd"


def _has_nfsd() -> bool:
    if "nfsd" in FILESYSTEMS.read_text().split():
        return True
    return bool(shutil.which("modprobe")) and run(["modprobe", "-n", "-q", "nfsd"], check=False).exit_code == 0
