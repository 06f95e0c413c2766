"""Waiting and working side by side: with a deadline, a bound, and one plain error; and which
errors are worth waiting for.

Nothing here hangs, everything can be cancelled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final, TypeVar

from swampd.domain.health import StoreState, state_of
from swampd.domain.outcomes import Unknown
from swampd.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from swampd.errors import SwampdError
    from swampd.ports import Clock

T = TypeVar("T")
LONGEST_REST_S: Final = 10.0
"""Work that others wait for rests no longer at a stretch, whatever the store asks for."""


def trouble_of(error: SwampdError) -> StoreState | None:
    """The trouble of a store that this error is; None for any other."""
    return state_of(error.code, error.summary, error.fields.get("trouble", ""))


def passes(error: SwampdError) -> bool:
    """Is it a trouble of a store that may be over when it is asked again?"""
    state = trouble_of(error)
    return state is not None and state.passes


def asked_s(answer: object) -> float:
    """So long a store asked to wait with this outcome or error, in seconds."""
    if isinstance(answer, Unknown | StoreUnavailable):
        return answer.retry_after_s or 0.0
    return 0.0


async def wait_for(event: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Wait until the event is set, at most so many seconds; True when it is set."""
    if event.is_set() or seconds <= 0:
        return event.is_set()
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(event.wait())
        timer = group.create_task(clock.sleep(seconds))
        await asyncio.wait((waiter, timer), return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        timer.cancel()
    return event.is_set()


class Pace:
    """Keeps a store's least interval between two writes of one key (section 2; L12).

    Whoever is about to send takes a turn first, and asks for the right to send afterwards.
    """

    def __init__(self, clock: Clock, interval_s: float) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._free_at: dict[str, float] = {}

    async def turn(self, key: str) -> None:
        """Wait until this key may be written; it may not be again for an interval.  Who waited is
        not sure of it before they look again: a suspend lets all of them go on at once."""
        if self._interval_s <= 0:
            return
        while (at := self._free_at.get(key, -inf)) > (now := self._clock.now()):
            await self._clock.sleep(at - now)
        self._free_at = {k: free for k, free in self._free_at.items() if free > now}
        self._free_at[key] = now + self._interval_s


class Room:
    """So many bytes are held at once: who needs more than is free waits, in the order of coming.
    What is larger than the whole room has it alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = most
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    def hold(self, size: int) -> Held:
        """Hold so many bytes for the block."""
        return Held(self, min(size, self._most))

    async def take(self, size: int) -> None:
        """Wait for so many bytes, at most all of the room; `give_back` is owed."""
        if not self._queue and size <= self._free:
            self._free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            raise

    def give_back(self, size: int) -> None:
        """They are free again."""
        self._free += size
        while self._queue and (self._queue[0][1].done() or self._queue[0][0] <= self._free):
            need, turn = self._queue.popleft()
            if not turn.done():
                self._free -= need
                turn.set_result(None)


class Held:
    """Bytes of a room that are held for a block.  No generator: most files are small."""

    __slots__ = ("_room", "_size")

    def __init__(self, room: Room, size: int) -> None:
        """Nothing is held before the block begins."""
        self._room = room
        self._size = size

    async def __aenter__(self) -> None:
        """Wait for them."""
        await self._room.take(self._size)

    async def __aexit__(self, *_: object) -> None:
        """Give them back."""
        self._room.give_back(self._size)


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Work on all items, so many side by side; the first error cancels the rest and is raised
    as it is, not in a group.  A task takes one item after another: one for each would cost more
    than a small item itself."""
    chosen = list(items)
    rest = iter(chosen)

    async def take() -> None:
        for item in rest:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(chosen))):
                group.create_task(take())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
