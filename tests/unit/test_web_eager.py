"""Coroutines that are run at once, and those that wait."""

from __future__ import annotations

import asyncio

import pytest

from netboot.web.eager import run_eagerly


async def waits(times: int, *, fails: bool = False, caught: bool = False) -> int:
    for number in range(times):
        try:
            await asyncio.wait_for(asyncio.to_thread(int, "no" if caught else number), 5)
        except ValueError:
            await asyncio.sleep(0)
    if fails:
        raise LookupError
    return times


def test_what_waits_for_nothing_is_done_at_once() -> None:
    assert run_eagerly(waits(0)) == 0
    with pytest.raises(LookupError):
        run_eagerly(waits(0, fails=True))


@pytest.mark.parametrize("caught", [False, True])
def test_what_waits_goes_on_as_a_task(caught: bool) -> None:
    async def driven() -> int:
        async def begin() -> int:
            await asyncio.sleep(0)  # a bare turn, before the futures of threads
            return await waits(3, caught=caught)

        task = run_eagerly(begin())
        assert isinstance(task, asyncio.Task)
        return await task

    assert asyncio.run(driven()) == 3


def test_an_error_after_the_wait_is_the_tasks() -> None:
    async def driven() -> None:
        async def begin() -> int:
            await asyncio.get_running_loop().run_in_executor(None, int, "no")
            return 1

        task = run_eagerly(begin())
        assert isinstance(task, asyncio.Task)
        with pytest.raises(ValueError, match="invalid literal"):
            await task

    asyncio.run(driven())


def test_a_cancelled_task_ends_its_coroutine() -> None:
    ended: list[str] = []

    async def driven() -> None:
        async def begin() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("cleanly")

        task = run_eagerly(begin())
        assert isinstance(task, asyncio.Task)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(driven())
    assert ended == ["cleanly"]
