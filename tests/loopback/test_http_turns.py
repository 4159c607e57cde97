"""Sockets that wait for their turn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from netboot.web.turns import READABLE, Turns


class Pair:
    """One end waits; what is said at the other wakes it."""

    def __init__(self, woken: Callable[[Pair], None]) -> None:
        self.end, self.other = socket.socketpair()
        self.number = self.end.fileno()
        self.woken = woken

    def fileno(self) -> int:
        return self.end.fileno()

    def ready(self, *, gone: bool) -> None:
        self.woken(self)


async def turned() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_an_event_of_a_socket_that_was_closed_is_not_its_successors() -> None:
    """Both are readable in one turn; the first closes the second, whose descriptor a newcomer gets."""

    async def scene() -> tuple[list[Pair], list[Pair], Pair]:
        turns, woken, newcomers = Turns(), list[Pair](), list[Pair]()

        def first(pair: Pair) -> None:
            woken.append(pair)
            (victim,) = {*pairs} - {pair}
            turns.leave(victim)
            turns.leave(pair)
            victim.end.close()
            newcomer = Pair(newcomers.append)
            turns.wait(newcomer, READABLE)
            made.append(newcomer)

        made: list[Pair] = []
        pairs = [Pair(first), Pair(first)]
        for pair in pairs:
            turns.wait(pair, READABLE)
            pair.other.send(b"x")
        await turned()
        (victim,) = {*pairs} - {*woken}
        assert made[0].number == victim.number
        early = list(newcomers)
        made[0].other.send(b"x")
        await turned()
        turns.close()
        for each in (*pairs, *made):
            each.end.close()
            each.other.close()
        return woken, early, newcomers[0]

    woken, early, newcomer = asyncio.run(scene())
    assert len(woken) == 1
    assert early == []
    assert newcomer.number
