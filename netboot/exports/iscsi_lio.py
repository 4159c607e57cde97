"""LIO, the kernel's own iSCSI target, through rtslib, the library under targetcli, which shows and saves what we make.

It is shared with everything else on the machine, so only targets of our authority are touched whose disks have our
name.  A disk is a block device over the image's file that cannot be written, whatever anybody adds to the target; the
file is read through the page cache, so what one client has read the next gets from memory.  Nothing is kept but in the
kernel: all of it outlives the daemon, and the next one takes it over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from netboot.errors import NetbootError, Unavailable
from netboot.exports.lio_tree import CONFIGFS, LioTree
from netboot.exports.targets import PORT, Add, Change, Initiator, Lun, Observed, Remove, Target, TargetPlan
from netboot.model.iscsi import AUTHORITY
from netboot.system.commands import run
from netboot.system.loop import attached_part

MODULE = "iscsi_target_mod"

_TAG = 1

# cache_dynamic_acls: what is negotiated with a client outlives its session, and it logs in again sooner.
# demo_mode_discovery: who is not listed is not told of a target either, once there is a list.
_ATTRIBUTES = {"cache_dynamic_acls": 1, "demo_mode_write_protect": 1, "demo_mode_discovery": 0}


class Lio:
    """The backend, for images below `data`, of which there may be several on a machine."""

    name = "lio"
    first_lun = 0

    def __init__(self, data: Path) -> None:
        self._prefix = f"netboot-{hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:8]}."
        self._tree = LioTree(self._prefix)
        # Our backstores by name.  To look for one among a thousand takes longer than to make it.
        self._stores: dict[str, Path] = {}

    def prepare(self) -> None:
        run(["modprobe", MODULE], hint="this kernel has no LIO: set iscsi = tgt")
        if not self._tree.path.is_dir():
            run(["mount", "-t", "configfs", "configfs", CONFIGFS])
        self._tree.targets.mkdir(exist_ok=True)
        for store in self._tree.orphans():
            _remove_store(store)
        self._stores = {store.name: store for store in self._tree.stores()}

    def observe(self, only: Collection[str] | None = None) -> Sequence[Observed]:
        shared = self._tree.shared_portal() is not None
        names = self._tree.names() if only is None else only
        found = (self._tree.observed(name, shared=shared) for name in names)
        return [each for each in found if each is not None]

    def carry_out(self, plan: TargetPlan) -> None:
        if not self._tree.targets.is_dir():
            self.prepare()
        with _rtslib() as rtslib:
            # An address is free for others only once no target of ours listens there.
            for step in plan.steps:
                if isinstance(step, Change):
                    self._leave(rtslib, step)
            for step in plan.steps:
                match step:
                    case Remove(target):
                        self._remove(rtslib, target.name)
                    case Add(target):
                        self._add(rtslib, target)
                    case Change(before, after):
                        tpg = _tpg(rtslib, after.name)
                        self._listen(rtslib, tpg, set(after.portals or ()) - set(before.portals or ()))
                        _admit(rtslib, tpg, after, expel=step.expel, admit=step.admit)

    def keep_up(self) -> bool:
        """The kernel does not die; what an admin removed, the next plan gives again."""
        return False

    def stop(self) -> bool:
        observed = self.observe()
        unused = [each.target for each in observed if not each.users]
        self.carry_out(TargetPlan(steps=tuple(map(Remove, unused))))
        return len(unused) == len(observed)

    def _add(self, rtslib: Any, target: Target) -> None:
        """All or nothing; nobody is let in before all is there."""
        if self._tree.targets.joinpath(target.name).is_dir():
            raise Unavailable(
                f"there is a target {target.name} already, and it is not ours",
                hint=f"see targetcli ls, and remove it: targetcli /iscsi delete {target.name}",
            )
        with ExitStack() as undo:
            # With indices rtslib does not look for free ones among all, and for others of these names.
            stores = [
                self._make_store(rtslib, target, lun, index, undo)
                for index, lun in enumerate(target.luns, start=self._tree.free_index())
            ]
            made = rtslib.Target(rtslib.FabricModule("iscsi"), target.name, mode="create")
            undo.callback(made.delete)
            tpg = rtslib.TPG(made, _TAG)
            for lun, store in zip(target.luns, stores, strict=True):
                rtslib.LUN(tpg, lun.number, storage_object=store)
            for name, value in _ATTRIBUTES.items():
                tpg.set_attribute(name, value)
            _admit(rtslib, tpg, target, expel=(), admit=target.initiators)
            self._listen(rtslib, tpg, target.portals or ())
            tpg.enable = True
            undo.pop_all()

    def _make_store(self, rtslib: Any, target: Target, lun: Lun, index: int, undo: ExitStack) -> Any:
        """A block device as a backstore, which then is its only user: a loop device goes with it."""
        name = f"{self._prefix}{target.name.removeprefix(f'{AUTHORITY}:')}.{lun.number}"
        left = self._stores.pop(name, None)
        if left is not None and left.is_dir():
            _remove_store(left)  # its target was deleted without it
        with _device(lun) as device:
            store = rtslib.BlockStorageObject(
                name,
                dev=str(device),
                wwn=target.serial(lun),
                readonly=not lun.writable,
                index=index,
            )
        self._stores[name] = Path(store.path)
        undo.callback(_remove_store, self._stores[name])
        return store

    def _listen(self, rtslib: Any, tpg: Any, addresses: Iterable[IPv4Address]) -> None:
        """Listen at the addresses; at all where another's target does, which leaves none to anybody."""
        shared = self._tree.shared_portal()
        for address in [shared] if shared else [str(each) for each in addresses]:
            try:
                rtslib.NetworkPortal(tpg, address, PORT)
            except rtslib.RTSLibError as error:
                raise Unavailable(
                    f"LIO cannot listen at {address}, TCP port {PORT}",
                    hint="another target does, or it is no address of this machine: see targetcli ls, ss -ltnp",
                ) from error

    def _leave(self, rtslib: Any, change: Change) -> None:
        for address in set(change.before.portals or ()) - set(change.after.portals or ()):
            tpg = _tpg(rtslib, change.after.name)
            rtslib.NetworkPortal(tpg, str(address), PORT, mode="lookup").delete()

    def _remove(self, rtslib: Any, name: str) -> None:
        seen = self._tree.observed(name)
        if seen is None or seen.users:
            return  # it went, or somebody logged in, since it was planned
        stores = self._tree.disks(name).values() if seen.target.luns else ()
        rtslib.Target(rtslib.FabricModule("iscsi"), name, mode="lookup").delete()
        for store in stores:
            _remove_store(store)
            self._stores.pop(store.name, None)


def _tpg(rtslib: Any, name: str) -> Any:
    return rtslib.TPG(rtslib.Target(rtslib.FabricModule("iscsi"), name, mode="lookup"), _TAG, mode="lookup")


def _admit(
    rtslib: Any, tpg: Any, target: Target, *, expel: Collection[Initiator], admit: Collection[Initiator]
) -> None:
    """Have these in and out, and everybody else in if nobody is listed."""
    proved = any(each.chap for each in target.initiators)
    wanted = {"authentication": int(proved), "generate_node_acls": int(not target.initiators)}
    for name, value in wanted.items():
        if tpg.get_attribute(name) != str(value):
            tpg.set_attribute(name, value)
    for each in admit:
        acl = rtslib.NodeACL(tpg, each.name)
        # What is set holds from the next login on: a new secret does not end a session.
        acl.chap_userid, acl.chap_password = (each.chap.user, each.chap.secret) if each.chap else ("", "")
        acl.set_attribute("authentication", int(each.chap is not None))
        there = {mapped.mapped_lun for mapped in acl.mapped_luns}
        for lun in target.luns:
            if lun.number not in there:
                rtslib.MappedLUN(acl, lun.number, lun.number, write_protect=not lun.writable)
    for gone in {each.name for each in expel} - {each.name for each in admit}:
        rtslib.NodeACL(tpg, gone, mode="lookup").delete()


def _remove_store(store: Path) -> None:
    """A backstore that no target has; rtslib would look for it in every target."""
    store.rmdir()
    with suppress(OSError):  # somebody else's are beside it
        store.parent.rmdir()


@contextmanager
def _device(lun: Lun) -> Iterator[Path]:
    """The block device of a disk.  LIO wants it for itself, so a file's is a loop device that nobody shares."""
    if lun.path.is_block_device():
        yield lun.path
        return
    if not lun.path.is_file():
        raise Unavailable(f"{lun.path}, which shall be served, is not there", hint="netboot image fsck")
    with attached_part(lun.path, offset=0, size_bytes=lun.path.stat().st_size, writable=lun.writable) as device:
        yield device


@contextmanager
def _rtslib() -> Iterator[Any]:
    """The library, imported where LIO is used alone; its errors, and the kernel's, become ours."""
    import rtslib_fb as rtslib

    # It would have LIO keep its files in a folder of its own, and fails where that is not; targetcli has chosen one.
    with suppress(OSError):
        rtslib.RTSRoot._preferred_dbroot = (CONFIGFS / "target/dbroot").read_text().strip()
    try:
        yield rtslib
    except NetbootError:
        raise
    except (rtslib.RTSLibError, OSError) as error:
        raise Unavailable(f"LIO did not take what we wrote: {error}", hint="see dmesg, and targetcli ls") from error
