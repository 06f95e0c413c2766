"""Lock records on the store: looking at them, writing them, remembering what was seen.

Keeps L8 (a write goes on exactly the token that was read), L9 (each write has a fresh wid), and
"all wanted records and their ancestors are watched from the first poll on" (`Watch`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain import codec, leases
from swampd.domain.codec import Damaged, TooNew
from swampd.domain.leases import LockRecord, LockState, Sighting, sight
from swampd.domain.outcomes import Found, Missing, Unchanged
from swampd.domain.values import Epoch, Scope, Token, Wid
from swampd.errors import LockChanged, OutcomeUnknown, SchemaTooNew
from swampd.locking import ledger
from swampd.locking.cas import Fate, Landed, Refused, Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.domain.layout import Keys
    from swampd.locking.cas import Writer
    from swampd.ports import Clock, Journal, ObjectStore, Rng


FINDING_OUT_S: Final = 10.0
"""A write for somebody else's record is followed up for at most so long."""
log = structlog.get_logger()


class LockBook:
    """The lock records of one datastore, as this daemon reads and writes them."""

    def __init__(
        self,
        store: ObjectStore,
        keys: Keys,
        journal: Journal,
        clock: Clock,
        rng: Rng,
        writer: Writer,
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._rng = rng
        self._writer = writer
        self.journal = journal

    def fresh_wid(self) -> Wid:
        """The id of one write."""
        return Wid(self._rng.uuid())

    async def look(self, scope: Scope, known: Sighting | None = None) -> Sighting | None:
        """The record as it is now, None where there is none; a conditional read when it is known.

        Raises errors.StoreUnavailable, errors.StoreDenied, errors.SchemaTooNew.
        """
        key = self._keys.lock(scope)
        found: Found | Missing | Unchanged
        if known is None:
            answer = await self._store.get(key)
            found = answer if isinstance(answer, Found) else Missing()
        else:
            found = await self._store.get_if_changed(key, known.token)
        if isinstance(found, Unchanged):
            return known
        if not isinstance(found, Found):
            return None
        record = self._decode(found, scope)
        seen = sight(known, found, record, self._clock.now())
        if seen.is_free and record is not None:
            await self._note_free(record, seen.token)
        return seen

    async def _note_free(self, record: LockRecord, token: Token) -> None:
        scope = record.scope
        if await self.journal.read(lambda tx: ledger.known_free(tx, scope)) != (record, token):
            await self.journal.write(lambda tx: ledger.note_free(tx, record, token), durable=False)

    def _decode(self, found: Found, scope: Scope) -> LockRecord | None:
        record = codec.decode_lock(found.body, scope)
        if isinstance(record, TooNew):
            raise SchemaTooNew(
                f"the lock of {scope} has schema {record.schema}, "
                f"this version knows {leases.SCHEMA}",
                "upgrade swampd on this machine",
                scope=scope,
            )
        return None if isinstance(record, Damaged) else record

    async def write(
        self,
        record: LockRecord,
        token: Token | None,
        may_send: Callable[[], bool],
        until: float,
    ) -> Fate:
        """Write a record on exactly this token (None: create), and find out its fate."""

        def is_mine(found: Found) -> bool:
            read = codec.decode_lock(found.body, record.scope)
            return isinstance(read, LockRecord) and read.wid == record.wid

        body = codec.encode_lock(record)
        return await self._writer.send(
            Write(self._keys.lock(record.scope), body, token, is_mine, may_send, until)
        )

    async def set_free(self, dead: LockRecord, token: Token, until: float) -> None:
        """Free a record that was waited out or is known to be dead; its epoch is in doubt.

        A rejected write is somebody else's news and no failure.
        """
        record = leases.freed(dead, self.fresh_wid())
        fate = await self.write(record, token, lambda: True, until)
        if isinstance(fate, Landed):
            free = fate.token
            await self.journal.write(lambda tx: ledger.note_free(tx, record, free), durable=False)

    async def break_lock(self, scope: Scope, epoch: Epoch, *, now: bool) -> LockRecord:
        """Break the lock of exactly this epoch (L8); the record as it was.

        Acquirers still wait its ttl; with `now` it is free at once, for a person who knows that
        the holder is dead (L6 does not hold then).  Raises errors.LockChanged when it is not held
        with this epoch, errors.OutcomeUnknown, errors.StoreUnavailable.
        """
        seen = await self.look(scope)
        record = seen.record if seen is not None else None
        breakable = {LockState.HELD, LockState.BROKEN} if now else {LockState.HELD}
        if seen is None or record is None or record.epoch != epoch or record.state not in breakable:
            raise _changed(scope, epoch, record)
        change = leases.freed if now else leases.broken
        until = self._clock.now() + FINDING_OUT_S
        fate = await self.write(change(record, self.fresh_wid()), seen.token, lambda: True, until)
        if isinstance(fate, Refused):
            raise _changed(scope, epoch, None)
        if not isinstance(fate, Landed):
            raise OutcomeUnknown(
                f"no answer came to the break of {scope}",
                f"look again: `swampctl lock show {scope}`",
                scope=scope,
            )
        log.warning("lock_broken", scope=scope, epoch=epoch, now=now, holder=record.holder)
        return record

    async def listed(self) -> dict[Scope, Token]:
        """All lock records there are, by LIST."""
        found: dict[Scope, Token] = {}
        after: str | None = None
        while True:
            page = await self._store.list(self._keys.locks, after)
            for row in page.rows:
                scope = self._keys.scope_of(row.key)
                if scope is not None:
                    found[scope] = row.token
            after = page.after
            if after is None:
                return found

    async def doubt_is_over(self, scope: Scope, in_doubt: Epoch) -> bool:
        """Did this journal first see this value of `in_doubt` a horizon ago, in this boot?"""
        now, boot_id = self._clock.now(), self._clock.boot_id
        since = await self.journal.read(
            lambda tx: ledger.doubted_since(tx, scope, in_doubt, boot_id)
        )
        if since is None:
            await self.journal.write(
                lambda tx: ledger.note_doubt(tx, scope, in_doubt, now, boot_id)
            )
            return False
        return now - since >= leases.HORIZON_S

    async def known_epoch(self, scope: Scope) -> Epoch:
        """The highest epoch of this lock seen here."""
        return await self.journal.read(lambda tx: ledger.known_epoch(tx, scope))


class Watch:
    """What a waiter has seen of the records it waits for; a change restarts that record's wait."""

    def __init__(self, book: LockBook) -> None:
        self._book = book
        self._seen: dict[Scope, Sighting] = {}

    async def look(self, scope: Scope) -> Sighting | None:
        """Look again at one record."""
        seen = await self._book.look(scope, self._seen.get(scope))
        if seen is None:
            self._seen.pop(scope, None)
        else:
            self._seen[scope] = seen
        return seen

    async def look_at_all(self, wanted: tuple[Scope, ...]) -> None:
        """Look at every wanted record, so that their waits run side by side."""
        for scope in wanted:
            await self.look(scope)


def _changed(scope: Scope, epoch: Epoch, record: LockRecord | None) -> LockChanged:
    what = (
        f"it is {record.state.value}, epoch {record.epoch}"
        if record is not None
        else "its record has changed or is not there"
    )
    return LockChanged(
        f"{scope} is not held with epoch {epoch}: {what}",
        f"look at it: `swampctl lock show {scope}`",
        scope=scope,
        epoch=str(epoch),
    )
