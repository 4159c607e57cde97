"""CHAP accounts of a tgtd, which are its own and are bound to targets.

tgtd lists the accounts of a target in an array, of which it reads as many as are bound, from the first on.  To unbind
any but the last leaves a hole: the last account is not found any more, and to show the target ends tgtd.  So what is
bound is unbound from the end.  And a target that has lost all its accounts asks nobody for a secret, so the first one
is an account that nobody has.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from netboot.exports.targets import Chap, Initiator, Target
from netboot.exports.tgt_socket import Mode, Op, TgtRefused, TgtSocket

KEEPER = "netboot-keeper"

# Stands for what tgtd was told before our time.
UNKNOWN = Chap(user="unknown", secret=secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class Moves:
    """What to unbind of a target, and then to bind to it, each in this order."""

    unbind: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()


def moves(bound: Sequence[str], wanted: Sequence[str], *, stale: Collection[str] = ()) -> Moves:
    """How the accounts `bound` to a target become those `wanted`, when the `stale` are made anew in between."""
    kept = [user for user in bound if user in wanted and user not in stale]
    same = 0
    while same < len(kept) and kept[same] == bound[same]:
        same += 1
    after = [*kept[same:], *(user for user in wanted if user not in kept)]
    return Moves(unbind=tuple(reversed(bound[same:])), bind=tuple(after))


class Accounts:
    """What we told the tgtd behind `tgt` of accounts; it tells no secret again."""

    def __init__(self, tgt: TgtSocket) -> None:
        self._tgt = tgt
        self._secrets: dict[str, str] = {}
        self._initiators: dict[str, Mapping[str, Initiator]] = {}

    def known(self, target: str) -> Mapping[str, Initiator]:
        """The initiators of a target, by name, as we told them."""
        return self._initiators.get(target, {})

    def settle(self, target: Target, numbers: Mapping[str, int], bound: dict[str, list[str]]) -> None:
        """Have the initiators of `target` prove themselves as they shall.

        `numbers` are tgtd's of all targets by name; `bound`, the accounts of each in order, is brought up to date.
        """
        wanted = {each.chap.user: each.chap.secret for each in target.initiators if each.chap and each.chap != UNKNOWN}
        stale = {user for user, secret in wanted.items() if self._secrets.get(user) != secret}
        users = [KEEPER, *wanted] if wanted else []
        plans = {name: moves(there, there, stale=stale) for name, there in bound.items()}
        plans[target.name] = moves(bound[target.name], users, stale=stale)
        for name, plan in plans.items():
            for user in plan.unbind:
                self._bind(Op.UNBIND, user, name, numbers[name])
                bound[name].remove(user)
        for user in sorted(stale):
            self._forget(user)
            self._make(user, wanted[user])
        for name, plan in plans.items():
            for user in plan.bind:
                if user == KEEPER:
                    self._make_keeper()
                self._bind(Op.BIND, user, name, numbers[name])
                bound[name].append(user)
        self._initiators[target.name] = {each.name: each for each in target.initiators}

    def forget_unused(self, bound: Mapping[str, Collection[str]]) -> None:
        """Remove the accounts that are bound to no target."""
        used = {user for users in bound.values() for user in users}
        for user in sorted(self._secrets.keys() - used):
            self._forget(user)
        self._initiators = {name: each for name, each in self._initiators.items() if name in bound}

    def forget_all(self) -> None:
        """tgtd is new, and knows nothing."""
        self._secrets.clear()
        self._initiators.clear()

    def _make(self, user: str, secret: str) -> None:
        asked = f"make the account {user}"
        self._tgt.ask(asked, Mode.ACCOUNT, Op.NEW, text=f"user={user},password={secret}")
        self._secrets[user] = secret

    def _make_keeper(self) -> None:
        if KEEPER not in self._secrets:
            self._forget(KEEPER)
            self._make(KEEPER, secrets.token_hex(32))

    def _forget(self, user: str) -> None:
        with suppress(TgtRefused):  # it was not there
            self._tgt.ask(f"remove the account {user}", Mode.ACCOUNT, Op.DELETE, text=f"user={user}")
        self._secrets.pop(user, None)

    def _bind(self, op: Op, user: str, name: str, number: int) -> None:
        asked = f"{op.name.lower()} the account {user} at {name}"
        self._tgt.ask(asked, Mode.ACCOUNT, op, target=number, text=f"user={user}")
