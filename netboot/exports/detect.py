"""Which servers this machine has: the kernel's where there are some, NFS-Ganesha and tgt where there are not."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from netboot.config import ExportBackend, IscsiServer
from netboot.errors import Unavailable
from netboot.exports.backend import Backend
from netboot.exports.iscsi import IscsiBackend
from netboot.exports.iscsi_lio import MODULE, Lio
from netboot.exports.iscsi_tgt import PROGRAM as TGTD
from netboot.exports.iscsi_tgt import Tgt
from netboot.exports.nfs_ganesha import PROGRAM, Ganesha
from netboot.exports.nfs_kernel import KernelNfs
from netboot.system.commands import run

FILESYSTEMS = Path("/proc/filesystems")

_INSTALL = {
    ExportBackend.KERNEL: "apt-get install nfs-kernel-server, on a kernel that has nfsd",
    ExportBackend.GANESHA: "apt-get install nfs-ganesha nfs-ganesha-vfs",
}
_INSTALL_ISCSI = {
    IscsiServer.LIO: "take a kernel that has LIO, as Debian's linux-image-amd64",
    IscsiServer.TGT: "apt-get install tgt",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the machine has: nfsd in its kernel (or as a module), exportfs, NFS-Ganesha."""

    nfsd: bool
    exportfs: bool
    ganesha: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IscsiFacts:
    """What the machine has: LIO in its kernel (or as a module), tgt."""

    lio: bool
    tgt: bool


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


def choose_iscsi(wanted: IscsiServer, facts: IscsiFacts) -> IscsiServer:
    """The iSCSI target to use; `Unavailable` says how to get the one wanted, or either of them."""
    there = {IscsiServer.LIO: facts.lio, IscsiServer.TGT: facts.tgt}
    if wanted is not IscsiServer.AUTO:
        if there[wanted]:
            return wanted
        raise Unavailable(f"this machine has no {wanted} to serve iSCSI with", hint=_INSTALL_ISCSI[wanted])
    for server, possible in there.items():
        if possible:
            return server
    hint = " or ".join(reversed(_INSTALL_ISCSI.values()))
    raise Unavailable("this machine has no iSCSI target to serve images with", hint=hint)


def look() -> Facts:
    nfsd = "nfsd" in FILESYSTEMS.read_text().split() or _is_module("nfsd")
    return Facts(nfsd=nfsd, exportfs=bool(shutil.which("exportfs")), ganesha=bool(shutil.which(PROGRAM)))


def make_backend(wanted: ExportBackend, *, run: Path, root: Path) -> Backend:
    """The backend for this machine; its files go to `run`, its exports lie below `root`."""
    match choose_backend(wanted, look()):
        case ExportBackend.KERNEL:
            return KernelNfs(root)
        case _:
            return Ganesha(run)


def make_iscsi_backend(wanted: IscsiServer, *, run: Path, root: Path) -> IscsiBackend:
    """The iSCSI target for this machine; its files go to `run`, what it serves lies below `root`."""
    match choose_iscsi(wanted, look_for_iscsi()):
        case IscsiServer.LIO:
            return Lio(root)
        case _:
            return Tgt(run)


def look_for_iscsi() -> IscsiFacts:
    return IscsiFacts(lio=Path("/sys/module", MODULE).is_dir() or _is_module(MODULE), tgt=bool(shutil.which(TGTD)))


def _lacking(wanted: ExportBackend, facts: Facts) -> str:
    if wanted is ExportBackend.GANESHA:
        return "ganesha.nfsd is not installed"
    return "exportfs is not installed" if facts.nfsd else "its kernel has no nfsd"


def _is_module(name: str) -> bool:
    """Whether this kernel could load it."""
    return bool(shutil.which("modprobe")) and run(["modprobe", "-n", "-q", name], check=False).exit_code == 0
