"""Answers to mutating requests are remembered for ten minutes, so that repeating one is safe.

A request is known by its method and `request_id`.  One that comes again while the first is under
way waits for that one's answer; one that comes later gets the remembered answer.  Those of locks
are in the journal too, so they outlive the daemon.  A request that failed is not remembered: it may
be tried again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from swampd.ports import Clock, Journal, Transaction

KEPT_S: Final = 600.0


class Answers:
    """The answers of this run of the daemon."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, bytes]] = {}
        self._under_way: dict[tuple[str, str], asyncio.Event] = {}

    async def once(
        self,
        method: str,
        request_id: str,
        work: Callable[[], Awaitable[bytes]],
        journal: Journal | None = None,
    ) -> bytes:
        """The answer of `work`, or what it answered to the same request before.

        With a `journal` it is remembered there too.
        """
        if not request_id:
            return await work()
        key = (method, request_id)
        while key in self._under_way:
            await self._under_way[key].wait()
        done = self._under_way[key] = asyncio.Event()
        try:
            known = await self.recall(method, request_id, journal)
            if known is not None:
                return known
            answer = await work()
            await self.remember(method, request_id, answer, journal)
            return answer
        finally:
            del self._under_way[key]
            done.set()

    async def recall(
        self, method: str, request_id: str, journal: Journal | None = None
    ) -> bytes | None:
        """The remembered answer."""
        self._forget_old()
        found = self._known.get((method, request_id))
        if found is not None or journal is None or not request_id:
            return found[1] if found is not None else None
        oldest = self._clock.wall_ms() - int(KEPT_S * 1000)
        return await journal.read(lambda tx: _find(tx, method, request_id, oldest))

    async def remember(
        self, method: str, request_id: str, answer: bytes, journal: Journal | None = None
    ) -> None:
        """Keep an answer."""
        if not request_id:
            return
        self._known[method, request_id] = (self._clock.now(), answer)
        if journal is not None:
            now = self._clock.wall_ms()
            await journal.write(lambda tx: _keep(tx, method, request_id, answer, now))

    def _forget_old(self) -> None:
        oldest = self._clock.now() - KEPT_S
        while self._known:
            key = next(iter(self._known))
            if self._known[key][0] >= oldest:
                return
            del self._known[key]


def _find(tx: Transaction, method: str, request_id: str, oldest: int) -> bytes | None:
    rows = tx.execute(
        "SELECT body FROM answer WHERE method = ? AND request_id = ? AND wall_ms >= ?",
        (method, request_id, oldest),
    )
    return next((bytes(body) for (body,) in rows), None)


def _keep(tx: Transaction, method: str, request_id: str, body: bytes, wall_ms: int) -> None:
    tx.execute("DELETE FROM answer WHERE wall_ms < ?", (wall_ms - int(KEPT_S * 1000),))
    tx.execute(
        "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)", (method, request_id, body, wall_ms)
    )
