"""Which servers this machine has: the kernel's where there are some, NFS-Ganesha and tgt where there are not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

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

S = TypeVar("S", bound=StrEnum)

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
    return _chosen(
        wanted,
        {ExportBackend.KERNEL: facts.nfsd and facts.exportfs, ExportBackend.GANESHA: facts.ganesha},
        refused=lambda: f"this machine cannot export by {wanted}: {_lacking(wanted, facts)}",
        none="this machine has no NFS server to export images with",
        install=_INSTALL,
    )


def choose_iscsi(wanted: IscsiServer, facts: IscsiFacts) -> IscsiServer:
    """The iSCSI target to use; `Unavailable` says how to get the one wanted, or either of them."""
    return _chosen(
        wanted,
        {IscsiServer.LIO: facts.lio, IscsiServer.TGT: facts.tgt},
        refused=lambda: f"this machine has no {wanted} to serve iSCSI with",
        none="this machine has no iSCSI target to serve images with",
        install=dict(reversed(_INSTALL_ISCSI.items())),
    )


def _chosen(
    wanted: S, there: Mapping[S, bool], *, refused: Callable[[], str], none: str, install: Mapping[S, str]
) -> S:
    """The server that is wanted, or with `auto` the first that is there."""
    if wanted in there:
        if there[wanted]:
            return wanted
        raise Unavailable(refused(), hint=install[wanted])
    for server, possible in there.items():
        if possible:
            return server
    raise Unavailable(none, hint=" or ".join(install.values()))


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
