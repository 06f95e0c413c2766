"""Asking a store that is in trouble now and then, so that `status` says when it is back.

Whoever works on the store finds out by itself; this is for a daemon at rest.  A store that is well
is asked nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from swampd.errors import SwampdError

if TYPE_CHECKING:
    from swampd.domain.layout import Keys
    from swampd.ports import Clock, Rng
    from swampd.stores.watched import WatchedStore

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0


async def mind(store: WatchedStore, keys: Keys, clock: Clock, rng: Rng) -> None:
    """Until cancelled: while the store is lost, look at its layout with growing pauses."""
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
