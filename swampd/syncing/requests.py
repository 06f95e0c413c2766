"""Requests on plain keys, each journalled before it is sent (sections 4 and 5.4).

Keeps L7 (the lease is asked before each sending), S6 (one intent per sending, closed by its own
definite answer only, or when it was never sent: a look closes none), and *in doubt*: a path with an
open request, or a lease whose record says so, cannot be settled on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain.metadata import PayloadMark, payload_metadata, read_mark
from swampd.domain.outcomes import Found, Unknown, WriteOutcome
from swampd.errors import SwampdError
from swampd.ports import Creation
from swampd.syncing import large, ledger
from swampd.syncing.ledger import Intent
from swampd.syncing.sent import note_sent
from swampd.waiting import LONGEST_REST_S, asked_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from swampd.domain.entries import Entry
    from swampd.domain.values import CachePath, Sha256, Token, Wid
    from swampd.locking.lease import Lease
    from swampd.ports import Body, Transaction
    from swampd.syncing.context import Sync
    from swampd.syncing.sent import Sent

log = structlog.get_logger()
AHEAD_S: Final = 10.0
"""An intent says that its request is sent so much later than it is: a batch that is sent in time
is stamped once."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain key as it was looked at: its token, and the mark if the object is ours."""

    token: Token
    mark: PayloadMark | None


@dataclass(frozen=True, slots=True)
class Fresh:
    """A small content for a plain key that holds nothing yet."""

    path: CachePath
    body: bytes
    mark: PayloadMark


class PlainKeys:
    """Sends requests on plain keys under one lease."""

    def __init__(self, sync: Sync, lease: Lease) -> None:
        self._sync = sync
        self._lease = lease
        self._unknown: Counter[CachePath] = Counter()
        """Sendings without a clear answer, since the key was last looked at."""
        self._unsent: set[int] = set()
        self._rest_until = 0.0
        """The store asked to be left alone until then (local time)."""

    async def look(self, path: CachePath) -> Plain | None:
        """What the plain key holds now."""
        await self._rest()
        found = await self._sync.store.head(self._sync.keys.payload(path))
        if unknown := self._unknown.pop(path, 0):
            there = isinstance(found, Found)
            log.info("unknown_looked_at", path=path, there=there, unknown=unknown)
        if not isinstance(found, Found):
            return None
        return Plain(found.token, read_mark(path, found.metadata))

    async def begin(self, intents: Sequence[Intent]) -> list[int]:
        """Journal requests that are about to be sent, in one transaction.  They are awaited from
        now on: `end` is owed, whatever becomes of them."""
        until, boot_id = self._sync.clock.now() + AHEAD_S, self._sync.clock.boot_id
        ids = await self._sync.journal.write(
            lambda tx: ledger.open_requests(tx, intents, until, boot_id)
        )
        self._sync.awaited.update(dict.fromkeys(ids, until))
        self._unsent.update(ids)
        return ids

    async def _before_sending(self, request: int, path: CachePath) -> None:
        """The key's turn has come (L12) and the lease stands (L7).  No request is sent later than
        its intent says, or the horizon would end too early.  Not durable: after a power cut the
        horizon counts anew."""
        await self._rest()
        await self._sync.pace.turn(self._sync.keys.payload(path))
        self._lease.demand()
        if self._sync.clock.now() > self._sync.awaited[request]:
            until = self._sync.clock.now() + AHEAD_S
            await self._sync.journal.write(
                lambda tx: ledger.restamp_requests(tx, (request,), until), durable=False
            )
            self._sync.awaited[request] = until
            self._lease.demand()
        self._unsent.discard(request)

    async def _rest(self) -> None:
        """Leave the store alone as long as it asked for (Retry-After)."""
        left = self._rest_until - self._sync.clock.now()
        if left > 0:
            await self._sync.clock.sleep(left)

    def _heed(self, answer: object) -> None:
        """Note what the store asks for with this outcome or error."""
        until = self._sync.clock.now() + min(asked_s(answer), LONGEST_REST_S)
        self._rest_until = max(self._rest_until, until)

    async def end(
        self, ids: Sequence[int], answered: Collection[int], sent: Sequence[Sent] = ()
    ) -> None:
        """Nobody awaits these any more.  The answered ones are closed, and those that were never
        sent; the horizon of the others counts from now, for their last bytes may just have left.
        Not durable: an intent that comes back is only cautious."""
        for request in ids:
            self._sync.awaited.pop(request, None)
        now = self._sync.clock.now()
        closed = {*answered, *self._unsent.intersection(ids)}
        self._unsent.difference_update(ids)
        unanswered = [request for request in ids if request not in closed]

        def work(tx: Transaction) -> None:
            ledger.close_requests(tx, closed)
            note_sent(tx, sent)
            ledger.restamp_requests(tx, unanswered, now)

        if ids or sent:
            await self._sync.journal.write(work, durable=False)

    def intent(self, kind: str, path: CachePath, wid: Wid, sha256: Sha256 | None) -> Intent:
        """A request under this lease."""
        return Intent(kind, path, wid, sha256, self._lease.epoch)

    async def _send(self, path: CachePath, request: Awaitable[WriteOutcome]) -> WriteOutcome:
        """Await one journalled request; unanswered it goes on counting against the lease.  One
        that raises did not land."""
        self._lease.request_sent()
        try:
            outcome = await request
        except SwampdError as error:
            self._heed(error)
            self._lease.request_answered()
            raise
        if not isinstance(outcome, Unknown):
            self._lease.request_answered()
        else:
            self._heed(outcome)
            self._unknown[path] += 1
        return outcome

    async def _journalled(
        self, intent: Intent, request: Callable[[int], Awaitable[WriteOutcome]]
    ) -> WriteOutcome:
        """One request with an intent of its own, closed by its own definite answer."""
        ids = await self.begin([intent])
        answered: Sequence[int] = ()
        try:
            await self._before_sending(ids[0], intent.path)
            outcome = await self._send(intent.path, request(ids[0]))
            if not isinstance(outcome, Unknown):
                answered = ids
        finally:
            await self.end(ids, answered)
        return outcome

    async def create(
        self, path: CachePath, body: Body, mark: PayloadMark, request: int
    ) -> WriteOutcome:
        """Create-only PUT of a plain key whose intent is journalled by the caller, in a batch."""
        await self._before_sending(request, path)
        return await self._send(path, self._create(request, path, body, mark))

    async def _create(
        self, request: int, path: CachePath, body: Body, mark: PayloadMark
    ) -> WriteOutcome:
        """What may land of a body in parts is sent last of all: its intent is as young as that."""
        return await large.create(
            self._sync,
            self._lease.demand,
            self._sync.keys.payload(path),
            body,
            payload_metadata(path, mark),
            lambda: self._before_sending(request, path),
        )

    async def create_each(
        self, fresh: Sequence[Fresh], requests: Sequence[int]
    ) -> Sequence[WriteOutcome | SwampdError | None]:
        """Create-only PUTs of many small contents, whose intents are journalled by the caller, each
        as `create` would answer it; None: not sent, since the lease or its intent does not allow it
        any more (L7)."""
        lease, awaited, clock = self._lease, self._sync.awaited, self._sync.clock
        await self._rest()
        creations = []
        for each in fresh:
            key = self._sync.keys.payload(each.path)
            await self._sync.pace.turn(key)
            creations.append(Creation(key, each.body, payload_metadata(each.path, each.mark)))

        def may_send(number: int) -> bool:
            request = requests[number]
            if not lease.may_act() or clock.now() > awaited[request]:
                return False
            self._unsent.discard(request)
            return True

        answers: Sequence[WriteOutcome | SwampdError | None] = ()
        for _ in fresh:
            lease.request_sent()
        try:
            answers = await self._sync.store.create_each(creations, may_send)
        finally:
            self._count(fresh, requests, answers)
        return answers

    def _count(
        self,
        fresh: Sequence[Fresh],
        requests: Sequence[int],
        answers: Sequence[WriteOutcome | SwampdError | None],
    ) -> None:
        """What of these is answered now, or was never sent; without answers nothing else is."""
        for answer in answers:
            self._heed(answer)
        for number, (each, request) in enumerate(zip(fresh, requests, strict=True)):
            if request in self._unsent or (answers and not isinstance(answers[number], Unknown)):
                self._lease.request_answered()
            else:
                self._unknown[each.path] += 1

    async def create_one(self, path: CachePath, body: Body, mark: PayloadMark) -> WriteOutcome:
        """Create-only PUT of a plain key."""
        return await self._journalled(
            self.intent("put", path, mark.wid, mark.sha256),
            lambda request: self._create(request, path, body, mark),
        )

    async def replace(
        self, path: CachePath, body: Body, mark: PayloadMark, token: Token
    ) -> WriteOutcome:
        """PUT on condition of a token."""
        key = self._sync.keys.payload(path)
        return await self._journalled(
            self.intent("put", path, mark.wid, mark.sha256),
            lambda _: self._sync.store.replace(key, body, token, payload_metadata(path, mark)),
        )

    async def copy(
        self, path: CachePath, staged: Wid, mark: PayloadMark, token: Token | None
    ) -> WriteOutcome:
        """Copy a staged object on the server, on condition of a token (None: nothing is there)."""
        source, key = self._sync.keys.staged(staged), self._sync.keys.payload(path)
        return await self._journalled(
            self.intent("put", path, mark.wid, mark.sha256),
            lambda _: self._sync.store.copy_to(source, key, token, payload_metadata(path, mark)),
        )

    async def delete(self, path: CachePath, wid: Wid, token: Token) -> WriteOutcome:
        """DELETE on condition of a token; without one where the store cannot (section 4.3)."""
        key, store = self._sync.keys.payload(path), self._sync.store
        intent = self.intent("delete", path, wid, None)
        if store.capabilities.conditional_delete:
            return await self._journalled(intent, lambda _: store.delete_if(key, token))
        return await self._journalled(intent, lambda _: store.delete(key))

    async def is_sure(self, path: CachePath) -> bool:
        """Is neither the lease nor the path in doubt now?  (section 3, in doubt)."""
        if self._lease.in_doubt:
            return False
        return not await self._sync.journal.read(lambda tx: ledger.path_in_doubt(tx, path))

    def mark(self, entry: Entry) -> PayloadMark:
        """The mark of an entry's object, sent under this lease."""
        return PayloadMark(entry.wid, self._lease.epoch, entry.sha256)
