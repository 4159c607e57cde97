"""The kernel's own NFS server, through exportfs.

It is shared with everything else on the machine, so only exports below our own folder are looked at or touched, and the
service is started if it is down but never stopped.

Clients wait for a server that is away, but one that is there and does not know their root any more answers with errors,
and a page of a program that cannot be read kills the program.  So what clients run from is not withdrawn.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from netboot.errors import NetbootError, Unavailable
from netboot.exports.plan import Export, Grant, Plan
from netboot.system.commands import run
from netboot.system.mounts import parse_mountinfo

log = logging.getLogger(__name__)

NFSD = Path("/proc/fs/nfsd")
SYSTEMD = Path("/run/systemd/system")
MOUNTD = "rpc.mountd"

# no_subtree_check: the whole file system is exported.  no_root_squash: root reads its own files, as /etc/shadow.
_OPTIONS = ("no_subtree_check", "no_root_squash")
# async matters to writes only, which clients must not take for done before they are.
_READ_ONLY, _WRITABLE = ("ro", "async"), ("rw", "sync")

# In /proc/fs/nfsd/clients/*/info, Linux 5.3; the seconds came later.
_ADDRESS = re.compile(r'^address: "(\d+\.\d+\.\d+\.\d+):\d+"$', re.MULTILINE)
_RENEWED = re.compile(r"^seconds from last renew: (\d+)$", re.MULTILINE)


class KernelNfs:
    """The backend, for exports below `root`."""

    name = "kernel"

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def prepare(self) -> None:
        start_nfsd()

    def observe(self) -> Sequence[Grant]:
        return [each for each in parse_exports(run(["exportfs", "-s"]).stdout) if self._root in each.path.parents]

    def carry_out(self, plan: Plan, desired: Sequence[Export]) -> None:
        start_nfsd()
        check_mounts(desired, seen=_mounts_of_mountd())
        by_path = {export.path: export for export in desired}
        for argv in exportfs_argvs(plan, by_path):
            run(argv)

    def keep_up(self) -> bool:
        if is_serving():
            return False
        start_nfsd()
        return True

    def stop(self) -> bool:
        grants = tuple(self.observe())
        if users := clients_in({grant.network for grant in grants}, _client_infos(), lease_s=_lease_s()):
            log.info("the exports stay, since clients run from them: %s", ", ".join(map(str, users)))
            return False
        for argv in exportfs_argvs(Plan(withdraw=grants), {}):
            run(argv)
        # The kernel caches who may what; a cached entry would keep the file system busy.
        run(["exportfs", "-f"])
        return True


def exportfs_argvs(plan: Plan, exports: Mapping[Path, Export]) -> list[list[str]]:
    """One command a step, those that take away first."""
    withdraw = [["exportfs", "-u", f"{grant.network}:{grant.path}"] for grant in plan.withdraw]
    give = [["exportfs", "-o", _options(exports[grant.path]), f"{grant.network}:{grant.path}"] for grant in plan.give]
    return withdraw + give


def _options(export: Export) -> str:
    return ",".join((*(_WRITABLE if export.writable else _READ_ONLY), *_OPTIONS, f"fsid={export.fsid}"))


def parse_exports(listing: str) -> list[Grant]:
    """The grants that `exportfs -s` lists: `/path  10.9.0.0/24(options)`.  Exports to names are not ours.

    Networks are listed as they were given: an admin's may be written as an address in it, 10.9.0.7/24.
    """
    found = []
    for line in listing.splitlines():
        match = re.match(r"(\S+)\s+(\d+\.\d+\.\d+\.\d+(?:/\d+)?)\(([^)]*)\)", line)
        if match:
            path, network, options = match.groups()
            found.append(Grant(Path(path), IPv4Network(network, strict=False), "rw" in options.split(",")))
    return found


def check_mounts(exports: Iterable[Export], *, seen: Collection[Path]) -> None:
    """`Unavailable` unless mountd, which sees mounts at `seen`, sees the file systems that shall be exported.

    Else it would export the empty folders below.
    """
    if hidden := [export.path for export in exports if export.path not in seen]:
        raise Unavailable(
            f"the kernel's NFS server does not see what we mounted at {hidden[0]}",
            hint="our mounts must be the machine's: no ProtectHome=, PrivateTmp= or the like in the unit of netboot",
        )


def clients_in(networks: Collection[IPv4Network], infos: Iterable[str], *, lease_s: int) -> list[IPv4Address]:
    """The NFS 4 clients, one info file each, in `networks` that were heard of within the lease's time."""
    found = []
    for info in infos:
        address, renewed = _ADDRESS.search(info), _RENEWED.search(info)
        if address and int(renewed.group(1) if renewed else 0) <= lease_s:
            found.append(IPv4Address(address.group(1)))
    return sorted(each for each in found if any(each in network for network in networks))


def is_serving() -> bool:
    """Whether the kernel has NFS threads and mountd, which tells it who may mount what, runs."""
    threads = NFSD / "threads"
    return threads.exists() and int(threads.read_text()) > 0 and _process(MOUNTD) is not None


def start_nfsd() -> None:
    """Start what of the service is missing; `Unavailable` names the command that failed."""
    if is_serving():
        return
    if SYSTEMD.is_dir():
        run(["systemctl", "start", "nfs-server.service"], hint="see systemctl status nfs-server")
    else:
        _start_by_hand()
    if not is_serving():
        raise Unavailable("the kernel's NFS server does not run", hint="see dmesg, and rpc.nfsd --debug 8")


def _start_by_hand() -> None:
    """What nfs-server.service does, for a machine without systemd.  NFS 4 only: version 3 would need rpcbind."""
    run(["modprobe", "nfsd"], hint="this kernel has no NFS server: set backend = ganesha")
    if not (NFSD / "threads").exists():
        try:
            run(["mount", "-t", "nfsd", "nfsd", NFSD])
        except NetbootError as error:
            raise Unavailable(error.message, hint=f"mount -t nfsd nfsd {NFSD}") from error
    run(["rpc.nfsd", "--no-nfs-version", "3", "--no-udp", "8"])
    if not _process(MOUNTD):
        run([MOUNTD, "--no-nfs-version", "3", "--no-udp"])


def _mounts_of_mountd() -> set[Path]:
    process = _process(MOUNTD)
    text = (process / "mountinfo").read_text(errors="surrogateescape") if process else ""
    return {mount.target for mount in parse_mountinfo(text)}


def _client_infos() -> Iterable[str]:
    for file in (NFSD / "clients").glob("*/info"):
        try:
            yield file.read_text()
        except OSError:
            continue  # it left while we looked


def _lease_s() -> int:
    file = NFSD / "nfsv4leasetime"
    return int(file.read_text()) if file.exists() else 0


def _process(program: str) -> Path | None:
    """The folder in /proc of a running program."""
    for file in Path("/proc").glob("[0-9]*/comm"):
        try:
            if file.read_text().rstrip("\n") == program:
                return file.parent
        except OSError:
            continue  # it ended while we looked
    return None
