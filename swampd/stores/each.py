"""Many small operations on a store as one: shared out among a few threads.

For where a thread for each, or a way through the event loop, would cost more than the operation.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from swampd.errors import SwampdError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Protocol

    from swampd.ports import MaySend

    class Run(Protocol):
        """Runs blocking work in a thread."""

        def __call__(self, work: Callable[[], None]) -> Awaitable[None]:
            """Its end."""


T = TypeVar("T")


class Leave:
    """The right to send of `create_each`, until its block ends: whoever is still at work in a
    thread then, because the caller was cancelled, sends nothing more."""

    def __init__(self, may_send: MaySend) -> None:
        self._may_send = may_send
        self._lock = threading.Lock()
        self._over = False

    def __call__(self, number: int) -> bool:
        """May this one be sent now?"""
        with self._lock:
            return not self._over and self._may_send(number)

    def __enter__(self) -> Self:
        """It is given."""
        return self

    def __exit__(self, *_: object) -> None:
        """It is over; nobody is in the middle of asking any more."""
        with self._lock:
            self._over = True


async def share_out(
    count: int, threads: int, run: Run, work: Callable[[int], T]
) -> Sequence[T | SwampdError]:
    """What `work` comes to for 0 to count - 1, or the SwampdError that it raises; each of so many
    threads takes the next number.  What `run` itself raises, and any other error, comes out."""
    answers: list[Any] = [None] * count
    rest = iter(range(count))

    def take() -> None:
        for number in rest:
            try:
                answers[number] = work(number)
            except SwampdError as error:
                answers[number] = error

    async def one() -> None:
        await run(take)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(threads, count)):
                group.create_task(one())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for _ in rest:
            pass  # a thread that is still at work takes no further one
    return answers
