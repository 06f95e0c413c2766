"""Asking a store something quick, so that `status` says what it is in.

While it is in trouble, now and then: whoever works on it finds out by itself when it is back, but a
daemon at rest would not.  While it leaves operations without an answer that may take as long as
their line needs: is it slow, or gone?  A store that is well, and at rest, is asked nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from swampd.errors import SwampdError

if TYPE_CHECKING:
    from swampd.domain.layout import Keys
    from swampd.ports import Clock, Rng
    from swampd.stores.watched import WatchedStore

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0
QUIET_S: Final = 1.0
"""A store that gives no answer for so long is asked for one."""


async def mind(store: WatchedStore, keys: Keys, clock: Clock, rng: Rng) -> None:
    """Until cancelled: look at the store's layout when something is to be found out."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_while_lost(store, keys, clock, rng))
        group.create_task(_while_quiet(store, keys, clock))


async def _while_quiet(store: WatchedStore, keys: Keys, clock: Clock) -> None:
    while True:
        await store.at_work.wait()
        await clock.sleep(QUIET_S)
        if store.quiet_s >= QUIET_S and not store.lost.is_set():
            with suppress(SwampdError):
                await store.head(keys.layout)


async def _while_lost(store: WatchedStore, keys: Keys, clock: Clock, rng: Rng) -> None:
    """With growing pauses."""
    while True:
        await store.lost.wait()
        pause = FIRST_PAUSE_S
        while store.lost.is_set():
            pause_s = rng.uniform(pause / 2, pause)
            store.looks_at(clock.now() + pause_s)
            await clock.sleep(pause_s)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            if store.lost.is_set():
                store.looks_at(None)
                with suppress(SwampdError):
                    await store.head(keys.layout)
        store.looks_at(None)
