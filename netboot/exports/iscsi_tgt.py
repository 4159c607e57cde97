"""tgt, an iSCSI target in user space, for machines whose kernel has none.

tgtd runs as a child of ours, with a management socket of its own in our folder, so an admin's tgtd is another's, and
all that is in ours is ours.  It keeps nothing: when it died, all is given to it anew.  When we are killed it lives on,
since clients' roots hang on it, and the next of us takes it over.  It reads images through the page cache, so what one
client has read the next gets from memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from netboot.errors import NetbootError, Unavailable
from netboot.exports.process import Supervised
from netboot.exports.targets import PORT, Add, Change, Initiator, Lun, Observed, Remove, Target, TargetPlan
from netboot.exports.tgt_accounts import UNKNOWN, Accounts
from netboot.exports.tgt_show import TgtTarget, parse_accounts, parse_targets, word_of
from netboot.exports.tgt_socket import ALL_TARGETS, SOCKET, TARGET_ACTIVE, Mode, Op, TgtRefused, TgtSocket, check_file

PROGRAM = "tgtd"

# Of each LUN.  They contend: with two, a client reads from the page cache at 300 MB/s on two cores, with tgtd's own 16
# at 50.  One would have everybody wait for each read of the disk.
_THREADS = 2

# tgtd ignores SIGTERM, and has nothing to put away.
_PATIENCE_S = 0.2


class Tgt:
    """The backend.  All its files are below `run`: socket, pid, log."""

    name = "tgt"
    # LUN 0 is tgtd's own controller.
    first_lun = 1

    def __init__(self, run: Path) -> None:
        self._run = run
        self._socket = TgtSocket(run)
        self._pid_file = run / "tgtd.pid"
        self._server = Supervised(
            argv=(PROGRAM, "-f", "-C", "0", "-t", str(_THREADS), "-p", str(self._pid_file)),
            pid_file=self._pid_file,
            log=run / "tgtd.log",
            port=PORT,
            service="iSCSI",
            env={"TGT_IPC_SOCKET": SOCKET},
            folder=run,
            taken_hint="another iSCSI target runs: systemctl disable --now tgt, or see ss -ltnp",
        )
        self._accounts = Accounts(self._socket)

    def prepare(self) -> None:
        if not shutil.which(PROGRAM):
            raise Unavailable("tgt is not installed", hint="apt-get install tgt")
        self._run.mkdir(parents=True, exist_ok=True)
        self._note_pid()
        self._server.prepare()

    def observe(self, only: Collection[str] | None = None) -> Sequence[Observed]:
        return [self._observed(each) for each in parse_targets(self._show(), only=only).values()]

    def carry_out(self, plan: TargetPlan) -> None:
        self._start()
        shown = self._show()
        changed = {step.after.name for step in plan.steps if isinstance(step, Change)}
        there, accounts = parse_targets(shown, only=changed), parse_accounts(shown)
        numbers = {name: number for name, (number, _) in accounts.items()}
        bound = {name: users for name, (_, users) in accounts.items()}
        for step in plan.steps:
            match step:
                case Remove(target):
                    if self._remove(target, numbers[target.name]):
                        del numbers[target.name], bound[target.name]
                case Add(target):
                    numbers[target.name], bound[target.name] = _free_number(numbers.values()), []
                    self._add(target, numbers[target.name])
                    self._accounts.settle(target, numbers, bound)
                    self._bind(Op.BIND, admissions(target), target, numbers[target.name])
                case Change(_, target):
                    before, after = admitted(there[target.name]), admissions(target)
                    self._bind(Op.UNBIND, before - after, target, numbers[target.name])
                    self._accounts.settle(target, numbers, bound)
                    self._bind(Op.BIND, after - before, target, numbers[target.name])
        self._accounts.forget_unused(bound)

    def keep_up(self) -> bool:
        if self._server.alive():
            return False
        self._start()
        return True

    def stop(self) -> bool:
        # Clients wait for the next of us, as they do for the NFS server.
        self._server.stop(patience_s=_PATIENCE_S)
        return True

    def _start(self) -> None:
        if not self._server.alive():
            self.prepare()
        if not self._server.alive():
            self._accounts.forget_all()
            self._server.start()
            self._note_pid()

    def _note_pid(self) -> None:
        """tgtd writes its pid file only in the background, where we cannot wait for it."""
        if pid := self._socket.server():
            self._pid_file.write_text(f"{pid}\n")

    def _show(self) -> str:
        if not self._server.alive():
            return ""
        return self._socket.ask("show its targets", Mode.TARGET, Op.SHOW, target=ALL_TARGETS)

    def _observed(self, seen: TgtTarget) -> Observed:
        """tgtd tells neither secrets nor whose they are; what we do not remember is told as unknown."""
        known = self._accounts.known(seen.name)
        proved = bool(seen.accounts)
        initiators = tuple(
            known.get(name) or Initiator(name=name, chap=UNKNOWN if proved else None) for name in seen.initiators
        )
        target = Target(name=seen.name, luns=seen.luns, networks=seen.networks, portals=None, initiators=initiators)
        return Observed(target=target, users=seen.users)

    def _add(self, target: Target, number: int) -> None:
        """Without anybody who is admitted yet; all or nothing."""
        for lun in target.luns:
            check_file(lun.path)
        words = f"targetname={target.name}"
        self._socket.ask(f"make the target {target.name}", Mode.TARGET, Op.NEW, target=number, text=words)
        try:
            for lun in target.luns:
                self._add_lun(target, lun, number)
        except NetbootError:
            self._remove(target, number)
            raise

    def _add_lun(self, target: Target, lun: Lun, number: int) -> None:
        asked, serial = f"serve {lun.path} as LUN {lun.number} of {target.name}", target.serial(lun)
        self._socket.ask(asked, Mode.DEVICE, Op.NEW, target=number, lun=lun.number, text=f"path={lun.path}")
        words = f"readonly={int(not lun.writable)},scsi_sn={serial},scsi_id={serial[:16]}"
        self._socket.ask(asked, Mode.DEVICE, Op.UPDATE, target=number, lun=lun.number, text=words)

    def _remove(self, target: Target, number: int) -> bool:
        try:
            self._socket.ask(f"remove the target {target.name}", Mode.TARGET, Op.DELETE, target=number)
        except TgtRefused as error:
            if error.code != TARGET_ACTIVE:
                raise
            return False  # somebody logged in since it was planned
        return True

    def _bind(self, op: Op, words: set[str], target: Target, number: int) -> None:
        for word in sorted(words):
            self._socket.ask(f"{op.name.lower()} {word} at {target.name}", Mode.TARGET, op, target=number, text=word)


def admissions(target: Target) -> set[str]:
    """Who may log in, as tgtd is told.  It admits who has an address or a name, so with names no address must do."""
    if target.initiators:
        return {f"initiator-name={each.name}" for each in target.initiators}
    return {f"initiator-address={word_of(each)}" for each in target.networks or ()}


def admitted(seen: TgtTarget) -> set[str]:
    """Who may log in, of what tgtd shows."""
    addresses = {f"initiator-address={word_of(each)}" for each in seen.networks}
    return addresses | {f"initiator-name={each}" for each in seen.initiators}


def _free_number(taken: Collection[int]) -> int:
    """The target id after the highest; they are of 32 bits, with a sign."""
    return max(taken, default=0) + 1
