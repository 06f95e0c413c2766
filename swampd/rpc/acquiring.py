"""One `Acquire` call, from the queue to the end of the hold.

Keeps true: a repeated request gets the hold that the first one got (its id is in the journalled
hold); a hold that is bound to the stream ends with it, however the stream ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from swampd.domain import leases
from swampd.errors import LockBusy, LockTimeout, NotHolder
from swampd.rpc.asking import asker_of, covers, spelt_all, taken_for, with_names
from swampd.rpc.convert import locks, requests
from swampd.v1 import lock_pb2
from swampd.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from swampd.answers import Answers
    from swampd.locking.holds import Hold
    from swampd.rpc.waited import Waited
    from swampd.serving import Workspaces
    from swampd.workspace import Asker

METHOD: Final = "Acquire"
LOOK_S: Final = 0.25
"""How often a bound hold's deadline is looked at."""


class Acquisition:
    """The course of one call."""

    def __init__(
        self,
        workspaces: Workspaces,
        opening: Waited,
        answers: Answers,
        request: lock_pb2.AcquireRequest,
        ttl: timedelta,
    ) -> None:
        self._workspaces = workspaces
        self._served = opening.served
        self._workspace = opening.served.workspace
        self._wait_s = opening.left_s
        self._answers = answers
        self._request = request
        self._ttl_ms = requests.ttl_ms(request, ttl)
        self._stream = workspaces.world.rng.uuid()

    async def events(self) -> AsyncIterator[lock_pb2.AcquireResponse]:
        """What the client is told, in order."""
        request = self._request
        asker = asker_of(self._workspaces, self._served, request.caller, self._wait_s)
        joined = await self._joined(asker)
        if joined is not None:
            async for event in self._join(joined):
                yield event
            return
        answered = await self._answered()
        if answered is not None:
            yield answered
            return
        yield lock_pb2.AcquireResponse(queued=lock_pb2.Queued())
        self._served.attached.add(self._stream)
        hold: Hold | None = None
        try:
            hold = await self._lock(asker)
            yield await self._granted(hold)
            if request.bound_to_stream:
                async for event in self._follow(hold):
                    yield event
        finally:
            self._served.attached.discard(self._stream)
            if hold is not None and request.bound_to_stream:
                self._workspace.spawn(self._workspace.release(hold), "stream_end")

    async def _joined(self, asker: Asker) -> Hold | None:
        """The hold whose token was shown, if it covers what is asked for: nothing is acquired."""
        if asker.token is None:
            return None
        hold = self._workspace.holds.by_token(asker.token)
        asked = await taken_for(self._served, self._request.scopes)
        return hold if covers(hold, asked) else None

    async def _join(self, hold: Hold) -> AsyncIterator[lock_pb2.AcquireResponse]:
        """Tell of a hold that is there.  The request that it was granted to, come again because
        its stream ended with a daemon that crashed, is what it is bound to from now on."""
        asked = await taken_for(self._served, self._request.scopes)
        yield locks.held(hold, asked, self._cache, self._ttl_of(hold), joined=True)
        stream, its_request = hold.life.get("stream"), hold.life.get("request_id")
        again = bool(its_request) and its_request == self._request.request_id
        if not (again and self._request.bound_to_stream and stream):
            return
        if stream in self._served.attached:
            return
        self._served.attached.add(stream)
        try:
            async for event in self._follow(hold):
                yield event
        finally:
            self._served.attached.discard(stream)
            self._workspace.spawn(self._workspace.release(hold), "stream_end")

    async def _answered(self) -> lock_pb2.AcquireResponse | None:
        """What the same request got before."""
        request_id = self._request.request_id
        if not request_id or self._request.bound_to_stream:
            return None
        for hold in self._workspace.holds:
            if hold.life.get("request_id") == request_id:
                return await self._granted(hold)
        journal = self._workspace.ports.journal
        known = await self._answers.recall(METHOD, request_id, journal)
        if known is None:
            return None
        raise NotHolder(
            "this request was answered before, and its hold has ended since",
            "make a new request with another id",
        )

    async def _lock(self, asker: Asker) -> Hold:
        request = self._request
        max_hold_s = requests.seconds(request.max_hold) if request.HasField("max_hold") else None
        life: dict[str, Any] = {
            **requests.life(request, self._stream),
            "wall_ms": self._workspace.ports.clock.wall_ms(),
            "request_id": request.request_id,
        }
        owned = asker
        if request.bound_to_stream and asker.token is None:
            owned = requests.token_only(asker, self._stream)
        try:
            return await self._workspace.lock(
                spelt_all(self._served, request.scopes),
                owned,
                ttl_ms=self._ttl_ms,
                purpose=request.purpose,
                pull=not request.no_pull,
                max_hold_s=max_hold_s,
                life=life,
            )
        except (LockBusy, LockTimeout) as error:
            raise with_names(self._workspace, error) from error

    async def _granted(self, hold: Hold) -> lock_pb2.AcquireResponse:
        asked = await taken_for(self._served, self._request.scopes)
        answer = locks.held(hold, asked, self._cache, self._ttl_of(hold))
        if not self._request.bound_to_stream:
            await self._answers.remember(
                METHOD, self._request.request_id, b"", self._workspace.ports.journal
            )
        return answer

    async def _follow(self, hold: Hold) -> AsyncIterator[lock_pb2.AcquireResponse]:
        """Tell each new deadline, and a loss; ends with the hold."""
        clock, told = self._workspace.ports.clock, hold.deadline
        gone = asyncio.Event()

        def lost(other: Hold) -> None:
            if other is hold:
                gone.set()

        with self._served.losses(lost):
            while hold.lost is None and self._workspace.holds.has(hold):
                if await wait_for(gone, clock, LOOK_S):
                    break
                if hold.deadline > told:
                    told = hold.deadline
                    yield locks.renewed(hold)
        if hold.lost is not None:
            yield lock_pb2.AcquireResponse(lost=locks.lost(hold))

    @property
    def _cache(self) -> str:
        return str(self._served.located.cache)

    def _ttl_of(self, hold: Hold) -> int:
        taken = [lease.record.ttl_ms for lease in hold.leases.values()]
        return min(taken, default=leases.DEFAULT_TTL_MS)
