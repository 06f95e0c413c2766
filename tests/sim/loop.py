"""Virtual time for asyncio: nothing waits, and one seed is one run.

A selector that never selects moves the clock to the next timer.  Tasks hash by creation order, so
that a TaskGroup, which cancels in the order of a set, cancels in the same order in every run.

No run spins for ever (L11): rounds of the loop are counted, and steps that never give the loop a
turn (`count_step`, called by the ports).  Counts, not wall time: a run that fails fails everywhere.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator


STILL_LIMIT: Final = 100_000
"""So many rounds or steps while virtual time stands still are a spin."""
ROUNDS_LIMIT: Final = 500_000
"""So many rounds in all are one too; a run has about 20,000."""


class Deadlock(AssertionError):
    """Nothing is ready and nothing is scheduled: somebody waits for ever."""


class Livelock(Deadlock):
    """Somebody is busy for ever."""


class _NoSelector(selectors.BaseSelector):
    """Selects nothing; waiting is moving the clock."""

    def __init__(self) -> None:
        self.time = 0.0
        self.rounds = 0
        self.guarded = True
        self._still = 0
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
        self.rounds += 1
        if timeout > 0:
            self._still = 0
        self.count()
        self.time += max(timeout, 0.0)
        return []

    def count(self) -> None:
        """One more round or step; raises Livelock beyond the limits (and then in every round)."""
        if not self.guarded:
            return
        self._still += 1
        if self._still > STILL_LIMIT:
            raise Livelock(f"{self._still} rounds at {self.time:.3f} s and time does not move")
        if self.rounds > ROUNDS_LIMIT:
            raise Livelock(f"{self.rounds} rounds, and no end at {self.time:.3f} s")

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

    @property
    def rounds(self) -> int:
        """So many rounds it went."""
        return self._virtual.rounds

    def count_step(self) -> None:
        """A port was asked something that takes no time."""
        self._virtual.count()

    def unguard(self) -> None:
        """The run is over: what is left is cancelled, in bounded rounds."""
        self._virtual.guarded = False


def count_step() -> None:
    """A port was asked something that takes no time; too often is a Livelock."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        loop.count_step()


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
        loop.unguard()
        for _ in range(5):
            for task in sorted(asyncio.all_tasks(loop), key=hash):
                task.cancel()
            loop.run_until_complete(_settle())
        loop.close()
        asyncio.set_event_loop(None)


async def _settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)
