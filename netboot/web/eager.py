"""Run a coroutine at once up to where it really waits: most requests wait for nothing, and a task costs 20 us."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


def run_eagerly(coroutine: Coroutine[Any, Any, T]) -> T | asyncio.Task[T]:
    """Its result, or a task that goes on where it waits; raises what it raises before that.

    Up to its first wait it runs outside of any task, so it must not ask for the current one, as `asyncio.timeout` does.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    return asyncio.ensure_future(_Rest(coroutine, awaited).run())


class _Rest(Generic[T]):
    """A coroutine that has begun; what it waits for already is handed to the task first."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    async def run(self) -> T:
        return await self

    def __await__(self) -> Generator[Any, Any, T]:
        awaited, coroutine = self._awaited, self._coroutine
        while True:
            try:
                value = yield awaited
            except BaseException as error:
                step = partial(coroutine.throw, error)
            else:
                step = partial(coroutine.send, value)
            try:
                awaited = step()
            except StopIteration as done:
                return cast(T, done.value)
