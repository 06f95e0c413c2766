"""What the watchers found while a run went on: the first broken invariant ends it."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING

from tests.sim.checks import Violation

if TYPE_CHECKING:
    from collections.abc import Callable


class Findings:
    """Collects: a watcher must not raise into the engine, which would handle it as its own."""

    def __init__(self) -> None:
        self._first: Violation | None = None
        self._found = asyncio.Event()

    def look(self, check: Callable[[], None]) -> None:
        """Run a check, and keep what it says."""
        if self._first is not None:
            return
        try:
            check()
        except Violation as violation:
            self._first = violation
            self._found.set()
        except Exception:  # noqa: BLE001 - it must not raise into the engine either
            self._first = Violation("check", f"a check broke: {traceback.format_exc()}")
            self._found.set()

    async def wait(self, seconds: float | None) -> None:
        """Let time pass, until something is found, or nothing more is to be waited for."""
        try:
            async with asyncio.timeout(seconds):
                await self._found.wait()
        except TimeoutError:
            return
        if self._first is None:
            self._found.clear()

    def enough(self) -> None:
        """End the wait that is under way, or the next one."""
        self._found.set()

    def tell(self) -> None:
        """Raise what was found."""
        if self._first is not None:
            raise self._first
