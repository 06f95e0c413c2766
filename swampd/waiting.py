"""Waiting with a deadline on the clock port: nothing here hangs, everything can be cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swampd.ports import Clock


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
