"""An event loop in a thread of its own, so that a test can drive a server without one."""

from __future__ import annotations

import asyncio
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

LIMIT_S: Final = 60.0


class LoopThread:
    """The loop; what still runs at its end is cancelled."""

    def __init__(self) -> None:
        self._up = Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread = Thread(target=asyncio.run, args=(self._live(),), daemon=True)
        self._thread.start()
        self._up.wait(LIMIT_S)

    async def _live(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._up.set()
        await self._end.wait()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Do it there, and wait for what comes of it."""
        assert self._loop
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)

    def soon(self, call: Callable[[], object]) -> None:
        """Have it called there; from any thread."""
        assert self._loop
        self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """End the loop and its thread."""
        if self._thread.is_alive() and self._end:
            self.soon(self._end.set)
        self._thread.join(LIMIT_S)
