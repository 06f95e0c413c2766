"""A store whose reads are asked again when no answer comes, for a bounded time.

Wraps any `ObjectStore`.  Reads change nothing by being repeated; a write is never repeated here
(section 2): its Unknown goes to whoever can read it back, and a part of an upload to whoever has
the right to send it (`syncing/large.py`).  A pause grows, is jittered, and is at least as long as
the store asks for (Retry-After).

Limits: a read into a sink is asked once, since its bytes are already with the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from swampd.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from swampd.domain.outcomes import Found, Mismatch, Missing, Page, Unchanged, WriteOutcome
    from swampd.domain.values import RemoteKey, Token
    from swampd.errors import SwampdError
    from swampd.ports import (
        Body,
        Clock,
        Creation,
        Lacking,
        MaySend,
        ObjectStore,
        PartStore,
        Read,
        Rng,
        Sink,
        StoreCapabilities,
        Wanted,
    )

T = TypeVar("T")

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0
PATIENCE_S: Final = 10.0
"""So long after the first asking a read is asked again."""


class Again:
    """Asks until there is an answer, or patience is up."""

    def __init__(self, clock: Clock, rng: Rng, patience_s: float = PATIENCE_S) -> None:
        self._clock = clock
        self._rng = rng
        self._patience_s = patience_s

    async def __call__(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The first answer.  Raises the last StoreUnavailable, and anything else at once."""
        until, pause = self._clock.now() + self._patience_s, FIRST_PAUSE_S
        while True:
            try:
                return await ask()
            except StoreUnavailable as error:
                wait = self._rng.uniform(pause / 2, pause)
                if error.retry_after_s is not None:
                    wait = error.retry_after_s + self._rng.uniform(0, pause)
                if self._clock.now() + wait >= until:
                    raise
                await self._clock.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE_S)


class RetryingStore:
    """A store, asked again."""

    def __init__(self, store: ObjectStore, again: Again) -> None:
        self._store = store
        self._again = again

    @property
    def name(self) -> str:
        """See `ports.ObjectStore`."""
        return self._store.name

    @property
    def capabilities(self) -> StoreCapabilities:
        """See `ports.ObjectStore`."""
        return self._store.capabilities

    @property
    def parts(self) -> PartStore | None:
        """See `ports.ObjectStore`.  Asked once: the lease is asked before each part (L7)."""
        return self._store.parts

    def narrow(self, lacking: Lacking) -> None:
        """See `ports.ObjectStore`."""
        self._store.narrow(lacking)

    # --- asked again --------------------------------------------------------------------------

    async def get(
        self, key: RemoteKey, *, if_token: Token | None = None, sink: Sink | None = None
    ) -> Found | Missing | Mismatch:
        """See `ports.ObjectStore`."""
        if sink is not None:
            return await self._store.get(key, if_token=if_token, sink=sink)
        return await self._again(lambda: self._store.get(key, if_token=if_token))

    async def get_each(self, wanted: Sequence[Wanted]) -> Sequence[Read | SwampdError]:
        """See `ports.ObjectStore`.  Asked once: what failed is asked for alone by the caller."""
        return await self._store.get_each(wanted)

    async def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        """See `ports.ObjectStore`."""
        return await self._again(lambda: self._store.get_if_changed(key, token))

    async def head(self, key: RemoteKey) -> Found | Missing:
        """See `ports.ObjectStore`."""
        return await self._again(lambda: self._store.head(key))

    async def list(self, prefix: RemoteKey, after: str | None = None) -> Page:
        """See `ports.ObjectStore`."""
        return await self._again(lambda: self._store.list(prefix, after))

    # --- sent once ----------------------------------------------------------------------------

    async def put(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._store.put(key, body, metadata)

    async def create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._store.create(key, body, metadata)

    async def create_each(
        self, creations: Sequence[Creation], may_send: MaySend
    ) -> Sequence[WriteOutcome | SwampdError | None]:
        """See `ports.ObjectStore`."""
        return await self._store.create_each(creations, may_send)

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._store.replace(key, body, token, metadata)

    async def delete(self, key: RemoteKey) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._store.delete(key)

    async def delete_if(self, key: RemoteKey, token: Token) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._store.delete_if(key, token)

    async def copy_to(
        self,
        source: RemoteKey,
        target: RemoteKey,
        token: Token | None,
        metadata: Mapping[str, str],
    ) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._store.copy_to(source, target, token, metadata)

    async def close(self) -> None:
        """See `ports.ObjectStore`."""
        await self._store.close()
