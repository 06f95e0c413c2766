"""Bringing plain keys up to the head: mirror after the commit, settle later (sections 4.3 to 4.5).

Only the scope's holder touches plain keys.  Keeps S7 and S3: a redo copy is dropped, a tombstone
called swept, only on a definite answer or a look got while nothing of ours could still land.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain import heads
from swampd.domain.entries import Entry, Record, Tombstone
from swampd.domain.outcomes import Applied, Unknown
from swampd.domain.states import ConflictKind, Halt
from swampd.errors import KeyRefused, LowSpace, StoreDenied, StoreUnavailable
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.locking.cas import Landed
from swampd.syncing import large, ledger, local_ledger, noting
from swampd.syncing.committing import drop_staged, settlements
from swampd.syncing.conflicts import ConflictKeeper
from swampd.syncing.ledger import Mirrored
from swampd.syncing.requests import PlainKeys
from swampd.syncing.scoping import scope_of
from swampd.waiting import asked_s, passes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from swampd.domain.outcomes import WriteOutcome
    from swampd.domain.values import CachePath, Scope, Token
    from swampd.locking.lease import Lease
    from swampd.ports import Body, Transaction
    from swampd.syncing.context import Sync

NOT_WHOLE: Final = (
    "what the store gave as its content to come is not what was committed: its object stays as it"
    " was, and this is tried again"
)
TRIES: Final = 4
"""So often one key is tried when answers are unclear or somebody is in the way."""
log = structlog.get_logger()


class Mirror:
    """Brings the plain keys of one scope up to its head, under its lease."""

    def __init__(self, sync: Sync, lease: Lease) -> None:
        self._sync = sync
        self._lease = lease
        self._plain = PlainKeys(sync, lease)
        self._conflicts = ConflictKeeper(sync)

    async def run(self) -> int:
        """Deletes before puts.  Returns how many keys are not through (`mirror_pending`).

        Raises errors.LockLost, and the error of a store that is away with the first key that meets
        it: the rest is left for later (`left`).
        """
        work = await self._sync.journal.read(self._work)
        left = len(work)
        ordered = sorted(work.items(), key=lambda item: (isinstance(item[1], Entry), item[0]))
        denied: StoreDenied | None = None
        for path, record in ordered:
            self._lease.demand()
            try:
                left -= await self._bring_up(path, record)
            except (StoreUnavailable, KeyRefused, StoreDenied, LowSpace) as error:
                log.warning("mirror_failed", path=path, error=error.code, detail=error.summary)
                if passes(error):
                    if denied is not None:
                        await self._note_denied(denied)
                    raise
                if isinstance(error, StoreDenied):
                    denied = error
                elif isinstance(error, LowSpace):
                    await self._note_stuck(path, error.summary)
        await self._note_denied(denied)
        return left

    async def left(self) -> int:
        """How many keys are not through."""
        return len(await self._sync.journal.read(self._work))

    async def _note_denied(self, denied: StoreDenied | None) -> None:
        """What the store does not let us do is shown until it lets us."""
        scope = self._lease.scope

        def work(tx: Transaction) -> None:
            if denied is not None:
                heads_ledger.note_halt(tx, scope, Halt.MIRROR_DENIED, denied.summary)
            else:
                heads_ledger.lift_halt(tx, scope, Halt.MIRROR_DENIED)

        known = await self._sync.journal.read(lambda tx: dict(heads_ledger.halts_of(tx, scope)))
        if known.get(Halt.MIRROR_DENIED) != (denied.summary if denied is not None else None):
            await self._sync.journal.write(work)

    def _work(self, tx: Transaction) -> dict[CachePath, Record]:
        """Pending rows whose plain key is not known for sure."""
        found: dict[CachePath, Record] = {}
        for path, record in rows.pending_in(tx, self._lease.scope).items():
            seen = ledger.mirrored(tx, path)
            if seen is None or seen.wid != record.wid or not seen.sure:
                found[path] = record
        return found

    async def _bring_up(self, path: CachePath, record: Record) -> bool:
        if isinstance(record, Tombstone):
            return await self._sweep(path, record)
        return await self._put(path, record)

    async def _note(
        self, path: CachePath, record: Record, token: Token | None, *, sure: bool
    ) -> None:
        """Remember what the key holds.  `sure` was judged *before* the answer or look: what was
        seen in doubt counts for nothing later (section 4.4)."""
        seen = Mirrored(record.wid, token, sure)

        def work(tx: Transaction) -> None:
            ledger.note_mirrored(tx, path, seen)
            end_foreign(tx, (path,))
            noting.end_stuck(tx, path)

        await self._sync.journal.write(work, durable=False)

    async def _note_stuck(self, path: CachePath, why: str) -> None:
        """The key cannot be brought up now, for a reason that is this path's own."""
        scope = self._lease.scope
        await self._sync.journal.write(
            lambda tx: noting.note_stuck(tx, scope, path, why), durable=False
        )

    async def _foreign(self, path: CachePath) -> None:
        """Somebody else's object is in the way: a person decides, the redo copy stays the truth.
        What else they have to decide on the path comes first."""
        known = await self._sync.journal.read(lambda tx: local_ledger.conflict(tx, path))
        if known is not None and known.kind is not ConflictKind.FOREIGN_OBJECT:
            return
        await self._conflicts.keep(self._lease.scope, path, ConflictKind.FOREIGN_OBJECT, None)

    # --- deletes ------------------------------------------------------------------------------

    async def _sweep(self, path: CachePath, gone: Tombstone) -> bool:
        """Tombstone: look; nothing there: done; a swampd write: DELETE on its token."""
        outcome: WriteOutcome | None = None
        for _ in range(TRIES):
            sure = await self._plain.is_sure(path)
            plain = await self._plain.look(path)
            if plain is None:
                await self._note(path, gone, None, sure=sure)
                return True
            if plain.mark is None:
                await self._foreign(path)
                return False
            outcome = await self._plain.delete(path, gone.wid, plain.token)
            if isinstance(outcome, Applied):
                await self._note(path, gone, None, sure=sure)
                return True
        return _tried(outcome)

    # --- puts ---------------------------------------------------------------------------------

    async def _put(self, path: CachePath, entry: Entry) -> bool:
        """PUT on condition of the expected token; on a refusal read the key and decide."""
        if self._copies(entry):
            return await self._bring(path, entry, None)
        async with self._content(path, entry) as body:
            if body is not None:
                return await self._bring(path, entry, body)
        log.warning("mirror_failed", path=path, error="staged_not_whole", detail=NOT_WHOLE)
        await self._note_stuck(path, NOT_WHOLE)
        return False

    def _copies(self, entry: Entry) -> bool:
        """Is its staged copy so large that the store had better copy it by itself?"""
        staged = entry.redo is not None and entry.redo.staged is not None
        large = entry.size > self._sync.sizes.stream_above
        return staged and large and self._sync.store.capabilities.server_copy

    async def _send(
        self, path: CachePath, entry: Entry, body: Body | None, expected: Token | None
    ) -> WriteOutcome:
        """One sending: of these bytes or (None) of the staged copy, by the store itself."""
        mark = self._plain.mark(entry)
        if body is None:
            staged = entry.redo.staged if entry.redo is not None else None
            return await self._plain.copy(path, staged or entry.wid, mark, expected)
        if expected is None:
            return await self._plain.create_one(path, body, mark)
        return await self._plain.replace(path, body, mark, expected)

    async def _bring(self, path: CachePath, entry: Entry, body: Body | None) -> bool:
        """Send, on a refusal read the key and decide."""
        large.check_size(self._sync, self._sync.keys.payload(path), entry.size)
        expected, outcome = entry.token, None
        for _ in range(TRIES):
            sure = await self._plain.is_sure(path)
            outcome = await self._send(path, entry, body, expected)
            if isinstance(outcome, Applied) and outcome.token is not None:
                await self._note(path, entry, outcome.token, sure=sure)
                return True
            sure = await self._plain.is_sure(path)
            plain = await self._plain.look(path)
            if plain is not None and plain.mark is None:
                await self._foreign(path)
                return False
            if plain is not None and plain.mark is not None and plain.mark.wid == entry.wid:
                await self._note(path, entry, plain.token, sure=sure)
                return True
            expected = plain.token if plain is not None else None
        return _tried(outcome)

    @asynccontextmanager
    async def _content(self, path: CachePath, entry: Entry) -> AsyncIterator[Body | None]:
        """The redo copy's bytes, for the block."""
        redo = entry.redo
        if redo is None or redo.staged is None:
            yield redo.inline if redo is not None else None
            return
        async with large.staged_body(self._sync, redo.staged, path, entry) as body:
            yield body


def _tried(outcome: WriteOutcome | None) -> bool:
    """A key is not through after all tries.  Raises errors.StoreUnavailable if the store asked to
    be left alone: the other keys wait, too."""
    if isinstance(outcome, Unknown) and asked_s(outcome):
        raise StoreUnavailable(
            f"the store asks for time again and again ({outcome.reason})",
            "nothing to do: this goes on by itself",
        )
    return False


def end_foreign(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """Nobody else's object is in the way of these paths any more."""
    for path in paths:
        found = local_ledger.conflict(tx, path)
        if found is not None and found.kind is ConflictKind.FOREIGN_OBJECT:
            local_ledger.forget_conflict(tx, path)
            local_ledger.clear_states(tx, (path,))


def foreign_over(tx: Transaction) -> list[CachePath]:
    """Conflicts about objects that are out of the way: another machine has settled their paths."""
    found: list[CachePath] = []
    for conflict in local_ledger.conflicts(tx):
        if conflict.kind is ConflictKind.FOREIGN_OBJECT:
            path, pending = conflict.path, rows.pending_in(tx, scope_of(tx, conflict.path))
            if rows.remote(tx, path) is not None and path not in pending:
                found.append(path)
    return found


def denied_over(tx: Transaction) -> list[Scope]:
    """Scopes in which the store denied this daemon something that nobody has to do any more:
    another machine has settled them."""
    denied = [scope for scope, halt, _ in heads_ledger.halts(tx) if halt is Halt.MIRROR_DENIED]
    return [scope for scope in denied if not rows.pending_in(tx, scope)]


async def settle(sync: Sync, lease: Lease, *, whole: bool = False) -> int:
    """Mirror what is left, then write a settlement of what is sure; how many rows it settled.
    `whole`: write one in any case, with all manifests made into one.

    Under the lease of the scope; a halted one is left as it is.  Raises errors.LockLost,
    errors.StoreUnavailable, errors.Halted.
    """
    scope: Scope = lease.scope
    if await sync.journal.read(lambda tx: heads_ledger.stops(tx, scope)):
        return 0
    known = await sync.reader.refresh(scope)
    await sync.writer.check_epoch(lease, known)
    if known is None:
        return 0
    mirror = Mirror(sync, lease)
    if lease.must_claim and await mirror.left():
        known = await sync.writer.claim(lease)
    async with lease.guarding():
        await mirror.run()
    settled, staged = await sync.journal.read(lambda tx: settlements(tx, scope, {}))
    if not settled and not whole:
        return 0
    head = heads.settled(known.head, sync.writer.stamp(lease), settled)
    folded = await sync.manifests.fold(head, lease, whole=whole)
    fate = await sync.writer.write(lease, folded.head, known.token)
    if not isinstance(fate, Landed):
        return 0
    await sync.writer.adopt_own(folded, fate, known)
    await sync.journal.write(lambda tx: ledger.forget_mirrored(tx, settled), durable=False)
    await drop_staged(sync, lease, staged)
    return len(settled)
