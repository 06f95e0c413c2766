"""Virtual time: calls come as in asyncio's own loop, and what spins or hangs ends."""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
from typing import TYPE_CHECKING, Any

import pytest

from tests.sim.loop import Deadlock, Livelock, VirtualLoop, run, running_loop

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Jump(selectors.BaseSelector):
    """Selects nothing; waiting is moving the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._map: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._map[fileobj] = selectors.SelectorKey(fileobj, int(fileobj), events, data)
        return self._map[fileobj]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._map.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += max(timeout or 0.0, 0.0)
        return []

    def get_map(self) -> Any:
        return self._map


class _Reference(asyncio.SelectorEventLoop):
    """asyncio's own loop, its clock moved by its timers."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jump.now


class _Muddle:
    """Timers of few different times, many of them cancelled, tasks that sleep and time out."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.Handle] = []
        self.called: list[tuple[float, int]] = []

    async def run(self) -> None:
        for _ in range(300):
            self._add()
        async with asyncio.TaskGroup() as group:
            for number in range(1, 6):
                group.create_task(self._sleep(number))

    def _add(self) -> None:
        number = len(self._timers)
        if self._rng.random() < 0.3:
            handle = self._loop.call_soon(self._note, number)
        else:
            delay = self._rng.choice((0.0, 1.0, 1.0, 2.5, 7.0))
            handle = self._loop.call_later(delay, self._note, number)
        self._timers.append(handle)

    def _note(self, number: int) -> None:
        self.called.append((self._loop.time(), number))
        for timer in self._rng.sample(self._timers, 3):
            timer.cancel()
        if len(self._timers) < 1500:
            for _ in range(self._rng.randrange(4)):
                self._add()

    async def _sleep(self, number: int) -> None:
        for _ in range(20):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rng.choice((1.0, 2.0))):
                    await asyncio.sleep(self._rng.choice((0, 0.5, 1.0, 3.0)))
            self.called.append((self._loop.time(), -number))


async def _muddle(seed: int) -> list[tuple[float, int]]:
    muddle = _Muddle(seed)
    await muddle.run()
    return muddle.called


@pytest.fixture
def reference() -> Iterator[asyncio.AbstractEventLoop]:
    loop = _Reference()
    yield loop
    loop.close()


@pytest.mark.parametrize("seed", range(5))
def test_calls_come_in_the_order_of_asyncios_own_loop(
    reference: asyncio.AbstractEventLoop, seed: int
) -> None:
    called = run(_muddle(seed))
    assert len(called) > 400
    assert called == reference.run_until_complete(_muddle(seed))


def test_tasks_hash_by_the_order_in_which_a_run_makes_them() -> None:
    """A TaskGroup cancels, and `asyncio.wait` answers, in the order of a set of tasks."""

    async def fail_late(cancelled: list[int]) -> None:
        async def stay(number: int) -> None:
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                cancelled.append(number)
                raise

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(stay(number)) for number in range(50)]
            first = hash(tasks[0])
            assert list(map(hash, tasks)) == list(range(first, first + 50))
            await asyncio.sleep(1)
            raise ZeroDivisionError

    orders: list[list[int]] = []
    rubbish: list[object] = []
    for shift in (0, 3, 1000):
        rubbish.extend(object() for _ in range(shift))  # so that addresses differ
        orders.append([])
        with pytest.raises(ExceptionGroup):
            run(fail_late(orders[-1]))
    assert sorted(orders[0]) == list(range(50))
    assert orders[0] == orders[1] == orders[2]


def test_a_callback_that_raises_is_told_and_the_loop_goes_on() -> None:
    told: list[dict[str, Any]] = []

    async def main() -> None:
        loop = running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        loop.call_soon(lambda: 1 // 0)
        await loop.sleep(1)

    run(main())
    assert [type(each["exception"]) for each in told] == [ZeroDivisionError]


def test_who_waits_for_what_never_comes_is_found() -> None:
    async def wait() -> None:
        await running_loop().create_future()

    with pytest.raises(Deadlock):
        run(wait())


def test_a_run_that_spins_ends() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - it is what must be found
            await asyncio.sleep(0)

    async def creep() -> None:
        while True:  # noqa: ASYNC110 - it is what must be found
            await asyncio.sleep(1e-6)

    async def hog() -> None:
        with contextlib.suppress(AssertionError):
            while True:
                running_loop().count_step()
        await asyncio.sleep(0)

    for endless in (spin, creep, hog):
        with pytest.raises(Livelock):
            run(endless())


def test_elsewhere_there_is_no_virtual_time() -> None:
    async def look() -> VirtualLoop:
        return running_loop()

    with pytest.raises(TypeError):
        asyncio.run(look())
