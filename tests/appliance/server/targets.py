"""Serves targets by LIO as the daemon does, where the daemon has no clients that would want such.

Usage: targets.py FOLDER INITIATOR=USER:SECRET ...    one target, `listed`, for these initiators alone; without any,
none.  It has FOLDER/disk, and FOLDER/own, which can be written to as a client's own disk can.  Prints what it did.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Address
from pathlib import Path

from netboot.exports.iscsi_lio import Lio
from netboot.exports.targets import Chap, Initiator, Lun, Target, describe, make_plan
from netboot.model.iscsi import AUTHORITY


def main(folder: Path, *words: str) -> None:
    initiators = []
    for word in words:
        name, _, proof = word.partition("=")
        user, _, secret = proof.partition(":")
        initiators.append(Initiator(name=f"{AUTHORITY}:client.{name}", chap=Chap(user=user, secret=secret)))
    target = Target(
        name=f"{AUTHORITY}:listed",
        luns=(Lun(number=0, path=folder / "disk"), Lun(number=1, path=folder / "own", writable=True)),
        portals=(IPv4Address("10.9.0.1"),),
        initiators=tuple(initiators),
    )
    desired = [target] if initiators else []
    lio = Lio(folder)
    lio.prepare()
    plan = make_plan(desired, lio.observe())
    lio.carry_out(plan)
    if more := make_plan(desired, lio.observe()):
        sys.exit(f"a second plan is not empty: {more}")
    sys.stdout.writelines(f"{line}\n" for line in describe(plan))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
