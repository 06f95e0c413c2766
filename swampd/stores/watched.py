"""A store whose health is known: what its operations last met, and since when.

Wraps any `ObjectStore` and changes no answer of it.  An answer that decides something, be it a
refusal, says that the store is well; an error of the store or a write without a clear answer is a
trouble until the next such answer.  Nothing is asked for this, and it costs a few microseconds an
operation.

Limits: a trouble is as old as the last operation.  `lost` is set while asking again could show
that it is over; whoever minds the store does that.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

import structlog

from swampd.domain.health import Health, StoreIdentity, StoreState, state_of, state_of_unclear
from swampd.domain.outcomes import Unknown
from swampd.errors import KeyRefused, SwampdError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping, Sequence

    from swampd.domain.outcomes import Found, Mismatch, Missing, Page, Unchanged, WriteOutcome
    from swampd.domain.values import RemoteKey, Token
    from swampd.ports import (
        Body,
        Clock,
        Creation,
        Lacking,
        MaySend,
        ObjectStore,
        PartStore,
        Read,
        Sink,
        StoreCapabilities,
        Wanted,
    )

T = TypeVar("T")
SILENT_S: Final = 2.5
"""So long a quick request may wait for an answer before that is a trouble of its own."""
QUICK_BYTES: Final = 64 * 1024
"""A write of more is not quick: a slow line is no trouble.  Nor is a read of a whole object."""
READS: Final = frozenset({"get", "get_if_changed", "head", "list"})
log = structlog.get_logger()


@runtime_checkable
class Identified(Protocol):
    """A store that can tell as whom it speaks, without asking anybody."""

    def identity(self) -> StoreIdentity | None:
        """Chain and identity; None while they are not known."""


@dataclass(slots=True)
class _Trouble:
    """What was met since the last good answer; state and sentence are those of the newest."""

    operation: str
    state: StoreState
    detail: str
    hint: str
    since_ms: int
    logged: bool | None = None
    """Was it logged as one of credentials, or not as one?"""


class WatchedStore:
    """A store and its health."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._numbers = count()
        self._under_way: dict[int, float] = {}
        """When each quick operation that is under way began."""
        self._long: dict[int, float] = {}
        """When each of the others began: how long they take depends on the line."""
        self._answered_at: float | None = None
        self._trouble: _Trouble | None = None
        self._looks_at: float | None = None
        self.lost = asyncio.Event()
        """Set while there is a trouble that the answer to a read would end."""
        self.at_work = asyncio.Event()
        """Set while an operation is under way that is not quick."""

    # --- health -------------------------------------------------------------------------------

    @property
    def health(self) -> Health:
        """What is known now."""
        trouble, answered = self._trouble, self._answered_at
        last = None if answered is None else self._wall_ms(answered)
        if trouble is not None:
            ahead = None if self._looks_at is None else self._wall_ms(self._looks_at)
            return Health(
                trouble.state, trouble.detail, trouble.hint, trouble.since_ms, ahead, last
            )
        oldest = min(self._under_way.values(), default=None)
        if oldest is not None:
            since = oldest if answered is None else max(oldest, answered)
            if self._clock.now() - since >= SILENT_S:
                waiting = len(self._under_way)
                detail = f"{waiting} request{'s wait' if waiting > 1 else ' waits'} for an answer"
                since_ms = self._wall_ms(since)
                return Health(StoreState.SILENT, detail, "", since_ms, None, last)
        return Health(last_answer_ms=last)

    @property
    def quiet_s(self) -> float:
        """For so long there was no answer while operations that are not quick were under way: the
        line may be slow, or the store gone; the answer to a quick one tells."""
        since = min(self._long.values(), default=None)
        if since is None:
            return 0.0
        return self._clock.now() - max(since, self._answered_at or since)

    def looks_at(self, when: float | None) -> None:
        """Somebody will ask it again at this local time (None: nobody)."""
        self._looks_at = when

    def identity(self) -> StoreIdentity | None:
        """As whom it speaks, where it can tell."""
        store = self._store
        return store.identity() if isinstance(store, Identified) else None

    def _wall_ms(self, at: float) -> int:
        return self._clock.wall_ms() + int((at - self._clock.now()) * 1000)

    async def _watch(self, operation: str, request: Awaitable[T], *, quick: bool = True) -> T:
        with self._being(self._under_way if quick else self._long):
            try:
                answer = await request
            except SwampdError as error:
                self._met(operation, error)
                raise
        self._note(operation, answer)
        return answer

    @contextmanager
    def _being(self, among: dict[int, float]) -> Iterator[int]:
        """One more is under way, among these, for the block; its number."""
        number = next(self._numbers)
        among[number] = self._clock.now()
        if self._long:
            self.at_work.set()
        try:
            yield number
        finally:
            del among[number]
            if not self._long:
                self.at_work.clear()

    def _note(self, operation: str, answer: object) -> None:
        """What one answer says of the store."""
        if isinstance(answer, SwampdError):
            self._met(operation, answer)
        elif isinstance(answer, Unknown):
            log.info("write_unknown", operation=operation, detail=answer.reason)
            self._failed(operation, state_of_unclear(answer.reason), answer.reason, "", sure=False)
        else:
            self._answered(operation)

    def _met(self, operation: str, error: SwampdError) -> None:
        """What an error says of the store; a key that it refuses, it has answered."""
        if isinstance(error, KeyRefused):
            self._answered(operation)
            return
        state = state_of(error.code, error.summary, error.fields.get("trouble", ""))
        if state is not None:
            self._failed(operation, state, error.summary, error.hint, sure=True)

    def _answered(self, operation: str) -> None:
        self._answered_at = self._clock.now()
        trouble = self._trouble
        if trouble is None:
            return
        if trouble.state is StoreState.DENIED and trouble.operation != operation:
            return  # who may read may still not write
        self._trouble = None
        self.lost.clear()
        if trouble.logged is not None:
            after_s = round((self._clock.wall_ms() - trouble.since_ms) / 1000, 1)
            log.info("store_back", store=self.name, after_s=after_s)

    def _failed(
        self, operation: str, state: StoreState, detail: str, hint: str, *, sure: bool
    ) -> None:
        """Note a trouble.  A store under load leaves a request unanswered now and then: that is
        logged from the second in a row on.  One outage is logged once, in however many ways it
        shows; that it is about credentials is another matter."""
        known = self._trouble
        if known is None:
            known = _Trouble(operation, state, detail, hint, self._clock.wall_ms())
            self._trouble = known
            tell = sure and state is not StoreState.THROTTLED
        else:
            known.operation, known.state = operation, state
            known.detail, known.hint = detail, hint
            tell = True
        if state is StoreState.DENIED and operation not in READS:
            self.lost.clear()
        else:
            self.lost.set()
        if tell and known.logged is not state.needs_credentials:
            known.logged = state.needs_credentials
            log.warning("store_lost", store=self.name, state=state.value, detail=detail)

    # --- the store ----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """See `ports.ObjectStore`."""
        return self._store.name

    @property
    def parts(self) -> PartStore | None:
        """Its parts, watched like all the rest."""
        parts = self._store.parts
        return WatchedParts(parts, self._watch) if parts is not None else None

    def narrow(self, lacking: Lacking) -> None:
        """See `ports.ObjectStore`."""
        self._store.narrow(lacking)

    @property
    def capabilities(self) -> StoreCapabilities:
        """See `ports.ObjectStore`."""
        return self._store.capabilities

    async def get(
        self, key: RemoteKey, *, if_token: Token | None = None, sink: Sink | None = None
    ) -> Found | Missing | Mismatch:
        """See `ports.ObjectStore`."""
        request = self._store.get(key, if_token=if_token, sink=sink)
        return await self._watch("get", request, quick=False)

    async def get_each(self, wanted: Sequence[Wanted]) -> Sequence[Read | SwampdError]:
        """See `ports.ObjectStore`."""
        with self._being(self._long):
            answers = await self._store.get_each(wanted)
        for answer in answers:
            self._note("get", answer)
        return answers

    async def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        """See `ports.ObjectStore`."""
        return await self._watch("get_if_changed", self._store.get_if_changed(key, token))

    async def head(self, key: RemoteKey) -> Found | Missing:
        """See `ports.ObjectStore`."""
        return await self._watch("head", self._store.head(key))

    async def put(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        request = self._store.put(key, body, metadata)
        return await self._watch("put", request, quick=_is_small(body))

    async def create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        request = self._store.create(key, body, metadata)
        return await self._watch("create", request, quick=_is_small(body))

    async def create_each(
        self, creations: Sequence[Creation], may_send: MaySend
    ) -> Sequence[WriteOutcome | SwampdError | None]:
        """See `ports.ObjectStore`.  As long as one is sent after the other, there are answers."""
        with self._being(self._under_way) as number:

            def asked(creation: int) -> bool:
                self._under_way[number] = self._clock.now()
                return may_send(creation)

            answers = await self._store.create_each(creations, asked)
        for answer in answers:
            if answer is not None:
                self._note("create", answer)
        return answers

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        request = self._store.replace(key, body, token, metadata)
        return await self._watch("replace", request, quick=_is_small(body))

    async def delete(self, key: RemoteKey) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._watch("delete", self._store.delete(key))

    async def delete_if(self, key: RemoteKey, token: Token) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._watch("delete_if", self._store.delete_if(key, token))

    async def copy_to(
        self,
        source: RemoteKey,
        target: RemoteKey,
        token: Token | None,
        metadata: Mapping[str, str],
    ) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        request = self._store.copy_to(source, target, token, metadata)
        return await self._watch("copy_to", request, quick=False)

    async def list(self, prefix: RemoteKey, after: str | None = None) -> Page:
        """See `ports.ObjectStore`."""
        return await self._watch("list", self._store.list(prefix, after))

    async def close(self) -> None:
        """See `ports.ObjectStore`."""
        await self._store.close()


class _Watch(Protocol):
    """Awaits a request and notes what it met."""

    async def __call__(self, operation: str, request: Awaitable[T], *, quick: bool = True) -> T:
        """Its answer."""


class WatchedParts:
    """The parts of a watched store."""

    def __init__(self, parts: PartStore, watch: _Watch) -> None:
        self._parts = parts
        self._watch = watch

    async def begin(self, key: RemoteKey, metadata: Mapping[str, str]) -> str:
        """See `ports.PartStore`."""
        return await self._watch("begin", self._parts.begin(key, metadata))

    async def send(self, key: RemoteKey, upload: str, number: int, body: bytes) -> str:
        """See `ports.PartStore`."""
        request = self._parts.send(key, upload, number, body)
        return await self._watch("send", request, quick=False)

    async def complete(self, key: RemoteKey, upload: str, parts: Sequence[str]) -> WriteOutcome:
        """See `ports.PartStore`."""
        request = self._parts.complete(key, upload, parts)
        return await self._watch("complete", request, quick=False)

    async def abort(self, key: RemoteKey, upload: str) -> None:
        """See `ports.PartStore`."""
        await self._watch("abort", self._parts.abort(key, upload))


def _is_small(body: Body) -> bool:
    return isinstance(body, bytes) and len(body) <= QUICK_BYTES
