"""Virtual time for asyncio: nothing waits, and one seed is one run.

A selector that never selects moves the clock to the next timer.  Tasks hash by creation order, so
that a TaskGroup, which cancels in the order of a set, cancels in the same order in every run.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator


class Deadlock(AssertionError):
    """Nothing is ready and nothing is scheduled: somebody waits for ever."""


class _NoSelector(selectors.BaseSelector):
    """Selects nothing; waiting is moving the clock."""

    def __init__(self) -> None:
        self.time = 0.0
        self._map: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, int(fileobj), events, data)
        self._map[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._map.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is ready and nothing is scheduled")
        self.time += max(timeout, 0.0)
        return []

    def get_map(self) -> Any:
        return self._map


class _OrderedTask(asyncio.Task[Any]):
    """A task whose hash is its number."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is moved by its timers alone."""

    def __init__(self) -> None:
        self._virtual = _NoSelector()
        super().__init__(self._virtual)
        _OrderedTask._numbers = itertools.count()
        self.set_task_factory(_make_task)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual.time


def _make_task(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **kwargs: Any,
) -> asyncio.Task[Any]:
    return _OrderedTask(coro, loop=loop, **kwargs)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end in virtual time."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        for _ in range(5):
            for task in sorted(asyncio.all_tasks(loop), key=hash):
                task.cancel()
            loop.run_until_complete(_settle())
        loop.close()
        asyncio.set_event_loop(None)


async def _settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)
