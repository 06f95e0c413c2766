"""Push: bringing a scope's local edits into its head (section 5).

survey -> plan -> (lease, head) -> plan again -> upload -> commit -> base -> mirror.  A plan that
sends nothing makes no request at all.  Keeps S11, S12, L4, L5.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain import heads, leases
from swampd.domain.entries import Entry, Record, Tombstone, inline_bytes
from swampd.domain.limits import too_many_deletes
from swampd.domain.planning import Present
from swampd.domain.pointers import held_back, is_pointer, kept_for
from swampd.domain.states import ConflictKind, Halt, PathState
from swampd.domain.values import CachePath, Scope, Seq, Wid
from swampd.errors import Halted, PushFailed, SwampdError
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.syncing import ledger, local_ledger, nesting, noting, plans
from swampd.syncing.bases import generation_of
from swampd.syncing.committing import Committed, commit, find_out
from swampd.syncing.conflicts import ConflictKeeper
from swampd.syncing.mirroring import Mirror
from swampd.syncing.patience import Patience
from swampd.syncing.pointing import local_pointers
from swampd.syncing.pulling import apply_agreed
from swampd.syncing.survey import Survey, bases_of, survey
from swampd.syncing.uploading import (
    READS,
    READS_WITHIN_S,
    Uploaded,
    Uploader,
)
from swampd.waiting import for_each

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swampd.indexing.ledger import KnownHead
    from swampd.locking.lease import Lease
    from swampd.ports import Transaction
    from swampd.syncing.bases import Bases
    from swampd.syncing.context import Sync
    from swampd.syncing.plans import Plan
    from swampd.syncing.survey import LocalFile

TRIES: Final = 5
"""So often a push plans again because somebody else wrote the head first."""
log = structlog.get_logger()


class PushKind(Enum):
    """How a push ended."""

    NOTHING = "nothing"
    COMMITTED = "committed"


@dataclass(slots=True)
class Pushed:
    """What a push did."""

    kind: PushKind = PushKind.NOTHING
    seq: int = 0
    sent: int = 0
    deleted: int = 0
    mirror_pending: int = 0
    conflicts: list[CachePath] = field(default_factory=list)
    kinds: dict[CachePath, ConflictKind] = field(default_factory=dict)
    """Of the conflicts."""
    held: dict[CachePath, PathState] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Is every local edit committed?"""
        return not (self.conflicts or self.held)


class Pusher:
    """Pushes scopes of one workspace; the caller holds the scope's desk."""

    def __init__(self, sync: Sync, bases: Bases) -> None:
        self._sync = sync
        self._bases = bases
        self._conflicts = ConflictKeeper(sync)

    # --- without a lock -----------------------------------------------------------------------

    async def look(self, scope: Scope) -> tuple[Survey, Plan]:
        """What a push of this scope would do, on the head in the journal; no request, but where
        names collide: the other one may be gone by now."""
        seen = await self._survey(scope)
        while not await self._bases.check():
            seen = await self._survey(scope)
        plan = await self._plan(scope, seen)
        if plan.beside:
            await self._ask(await self._sync.journal.read(lambda tx: nesting.speakers(tx, plan)))
            plan = await self._plan(scope, seen)
        return seen, plan

    async def _ask(self, others: list[Scope]) -> None:
        """Read these heads; one that is halted tells what it last told."""

        async def one(scope: Scope) -> None:
            with suppress(Halted):
                await self._sync.reader.refresh(scope)

        await for_each(others, one, self._sync.store.capabilities.side_by_side)

    async def _survey(self, scope: Scope) -> Survey:
        bases, children, noted = await self._sync.journal.read(
            lambda tx: (
                rows.bases_in(tx, scope),
                heads_ledger.children_of(tx, scope),
                (noting.surveyed(tx, scope), plans.skipped_in(tx, scope)),
            )
        )
        tree, taken, cache = self._sync.tree, self._sync.keys.prefix_bytes, self._bases.cache
        seen = await self._sync.threads.cpu(
            lambda: survey(tree, scope, children, bases, prefix_bytes=taken)
        )

        def note(tx: Transaction) -> None:
            noting.note_survey(tx, scope, seen.listed)
            plans.note_skipped(tx, scope, seen.skipped)

        if noted != (seen.listed, seen.skipped):
            await self._sync.journal.write(note, durable=False)
        if seen.touched:
            touched = seen.touched

            def renew(tx: Transaction) -> None:
                rows.put_bases(tx, scope, bases_of(touched))

            await self._bases.change(renew, seen_in=cache)
        seen.cache = cache
        return seen

    async def _plan(self, scope: Scope, seen: Survey) -> Plan:
        changed = {path: (local, seen.files.get(path)) for path, local in seen.changed.items()}
        if any(local == nesting.NOT_A_FILE for local, _ in changed.values()):
            await self._sync.threads.io(lambda: nesting.count_as_gone(self._sync.tree, changed))

        def work(tx: Transaction) -> Plan:
            children = heads_ledger.children_of(tx, scope)
            looks = {p: look for p, look in changed.items() if not heads.masked(p, children)}
            plan = plans.make_plan(tx, scope, looks)
            plan.note_unseen(seen.listed, children)
            plan.cache = seen.cache
            plan.generation = generation_of(tx)
            plan.committing = ledger.is_committing(tx, scope)
            plan.collided = noting.collided(tx, scope)
            return plan

        plan = await self._sync.journal.read(work)
        await self._hold_back(plan)
        while plan.push:
            if not await self._sync.journal.read(lambda tx: nesting.keep_apart(tx, plan)):
                break
            await self._hold_back(plan)
        return plan

    async def without_lease(self, scope: Scope, plan: Plan) -> Pushed:
        """A plan that sends nothing: agree, drop bases, keep the conflicts it found."""
        await self.apply_local(scope, plan)
        result = Pushed(held=dict(plan.held))
        await self._keep_conflicts(scope, plan.conflicts, plan.records, result)
        return result

    async def apply_local(self, scope: Scope, plan: Plan) -> None:
        """Agreeing and dropping bases need neither lock nor request; nor does what is shown."""
        if not plan.collided.is_all(plan.conflicts, plan.held):
            await self._sync.journal.write(
                lambda tx: noting.note_push(tx, scope, plan.conflicts, plan.held), durable=False
            )
        if plan.moves_base:
            await self._bases.change(lambda tx: apply_agreed(tx, scope, plan), seen_in=plan.cache)

    # --- under a lease ------------------------------------------------------------------------

    async def push(self, lease: Lease, seen: Survey, *, allow_deletes: bool) -> Pushed:
        """Send, commit, mirror.

        Raises errors.PushFailed (nothing was committed), errors.OutcomeUnknown, errors.LockLost,
        errors.Halted, errors.StoreUnavailable (nothing was committed).  While the lease stands, a
        store that is away is waited for.
        """
        scope, sync = lease.scope, self._sync
        patience = Patience(
            sync.clock, sync.rng, leases.lifetime_s(lease.record.ttl_ms), lease.may_act
        )
        for _ in range(TRIES):
            known = await patience.through(lambda: self._head(lease))
            plan = await patience.through(lambda: self._plan_beside_others(scope, seen))
            await self._guard(scope, plan, allow_deletes=allow_deletes)
            await self.apply_local(scope, plan)
            result = Pushed(held=dict(plan.held))
            await self._keep_conflicts(scope, plan.conflicts, plan.records, result)
            if not plan.sends:
                return result
            uploaded = await self._upload(lease, known, plan)
            records = {**uploaded.records, **await self._tombstones(plan, known)}
            await self._keep_conflicts(scope, uploaded.conflicts, {}, result)
            await self._hold_uploads(uploaded, records, result)
            await self._note_held(scope, uploaded)
            if not records:
                return result
            await self._still_ours(scope, records)
            send = partial(commit, sync, self._bases, lease, known, records, uploaded.files)
            # What raises has not sent its commit.
            outcome = await patience.through(partial(send, plan.cache))
            if isinstance(outcome, Committed):
                result.kind = PushKind.COMMITTED
                result.seq = outcome.known.head.seq
                result.sent = sum(isinstance(r, Entry) for r in records.values())
                result.deleted = len(records) - result.sent
                result.mirror_pending = await self._mirror(lease)
                return result
            log.info("push_overtaken", scope=scope)
        raise PushFailed(
            f"{scope}: others committed first {TRIES} times", "push again", scope=scope
        )

    async def _head(self, lease: Lease) -> KnownHead | None:
        """The head to plan on: after a claim the journal's, else read; open commits are settled
        first, by a claim where only that can tell.  In doubt a claim comes first (section 3)."""
        scope = lease.scope
        if lease.claimed:
            return await self._sync.reader.known(scope)
        known = await self._sync.reader.refresh(scope)
        await self._sync.writer.check_epoch(lease, known)
        await find_out(self._sync, self._bases, scope, known)
        unclear = await self._sync.journal.read(lambda tx: ledger.is_committing(tx, scope))
        if unclear or lease.must_claim:
            known = await self._sync.writer.claim(lease)
            await find_out(self._sync, self._bases, scope, known)
        return known

    async def _plan_beside_others(self, scope: Scope, seen: Survey) -> Plan:
        """A plan that also knows of the names in other heads that its new ones may collide with."""
        plan = await self._plan(scope, seen)
        others = await self._sync.journal.read(lambda tx: nesting.to_be_asked(tx, scope, plan))
        if not others:
            return plan
        await self._ask(others)
        return await self._plan(scope, seen)

    async def _guard(self, scope: Scope, plan: Plan, *, allow_deletes: bool) -> None:
        if plan.went_back:
            detail = f"{len(plan.went_back)} paths vanished without a tombstone"
            await self._sync.reader.halt(scope, Halt.HEAD_WENT_BACK, detail)
        if too_many_deletes(len(plan.bury), plan.known) and not allow_deletes:
            detail = f"the push deletes {len(plan.bury)} of {plan.known} files"
            await self._sync.reader.halt(scope, Halt.TOO_MANY_DELETES, detail)

    async def _upload(self, lease: Lease, known: KnownHead | None, plan: Plan) -> Uploaded:
        """Send the plan's files, and what was edited meanwhile as it is now.  One store failure
        and nothing is committed (section 5.5)."""
        used = inline_bytes(known.head.delta) if known is not None else 0
        uploader = Uploader(self._sync, lease, used)
        async with lease.guarding():
            uploaded = await uploader.upload(plan.push)
            began = self._sync.clock.now()
            for _ in range(READS - 1):
                if uploaded.edited and self._sync.clock.now() - began < READS_WITHIN_S:
                    uploaded = await uploader.upload(await self._plan_edited(lease.scope, uploaded))
        uploaded.held.update(dict.fromkeys(uploaded.edited, PathState.BUSY))
        if uploaded.failed:
            path, why = next(iter(uploaded.failed.items()))
            raise PushFailed(
                f"{lease.scope}: {len(uploaded.failed)} paths could not be sent, first {path}: "
                f"{why}; nothing was committed",
                "push again when the store answers",
                scope=lease.scope,
                path=path,
            )
        return uploaded

    async def _plan_edited(self, scope: Scope, uploaded: Uploaded) -> dict[CachePath, LocalFile]:
        """Plan again what held other bytes than were planned for; what is to be sent of it.

        Edited back to what the head has: nothing to send.  Anything else than a push of it has
        no place in this commit: the next push finds it.
        """
        looks = {path: (Present(file.content), file) for path, file in uploaded.edited.items()}
        plan = await self._sync.journal.read(lambda tx: plans.make_plan(tx, scope, looks))
        busy = looks.keys() - plan.push.keys() - plan.agree.keys()
        uploaded.held.update(dict.fromkeys(busy, PathState.BUSY))
        uploaded.edited.clear()
        return plan.push

    async def _still_ours(self, scope: Scope, records: dict[CachePath, Record]) -> None:
        """Deletes go out only from a cache that is ours after the last file was read: one that was
        emptied meanwhile took along the new name of what was moved (S2, S4)."""
        if all(isinstance(record, Entry) for record in records.values()):
            return
        if not await self._bases.check():
            raise PushFailed(
                f"{scope}: the cache was emptied or replaced while it was pushed; nothing was "
                "committed",
                "see `swampctl status`, then push again",
                scope=scope,
            )

    async def _tombstones(self, plan: Plan, known: KnownHead | None) -> dict[CachePath, Record]:
        seq = Seq((known.head.seq if known is not None else 0) + 1)
        at = self._sync.clock.wall_ms()
        found: dict[CachePath, Record] = {}
        for path in plan.bury:
            record = plan.records.get(path)
            digest = record.sha256 if isinstance(record, Entry) else None
            found[path] = Tombstone(Wid(self._sync.rng.uuid()), digest, seq, at, swept=False)
        return found

    async def _mirror(self, lease: Lease) -> int:
        """After the commit: what goes wrong from here on leaves it to later, or to the next
        holder, and takes back nothing (L5)."""
        mirror = Mirror(self._sync, lease)
        try:
            async with lease.guarding():
                return await mirror.run()
        except (SwampdError, OSError) as error:
            code = error.code if isinstance(error, SwampdError) else "os_error"
            log.warning("mirror_left", scope=lease.scope, error=code, detail=str(error))
            return await mirror.left()

    # --- what is held back --------------------------------------------------------------------

    async def _keep_conflicts(
        self,
        scope: Scope,
        conflicts: dict[CachePath, ConflictKind],
        records: dict[CachePath, Record],
        result: Pushed,
    ) -> None:
        for path, kind in conflicts.items():
            await self._conflicts.keep(scope, path, kind, records.get(path))
            result.conflicts.append(path)
            result.kinds[path] = kind

    async def _note_held(self, scope: Scope, uploaded: Uploaded) -> None:
        if not uploaded.held:
            return

        def work(tx: Transaction) -> None:
            for path, state in uploaded.held.items():
                local_ledger.set_state(tx, scope, path, state, uploaded.reasons.get(path, ""))

        await self._sync.journal.write(work, durable=False)

    async def _hold_back(self, plan: Plan) -> None:
        """A conflict or a busy path in a directory holds back it and its pointer (section 6)."""
        unsafe = {*plan.conflicts, *plan.held, *plan.unseen}
        if not unsafe:
            return
        for path in await self._waiting(plan.push, plan.bury, unsafe):
            plan.push.pop(path, None)
            plan.held[path] = PathState.HELD_BACK
        plan.bury = [path for path in plan.bury if path not in plan.held]

    async def _hold_uploads(
        self, uploaded: Uploaded, records: dict[CachePath, Record], result: Pushed
    ) -> None:
        """What could not be sent as planned stays marked, and what must travel with it."""
        result.held.update(uploaded.held)
        unsafe = {*uploaded.held, *uploaded.conflicts}
        if not unsafe:
            return
        new = [path for path, record in records.items() if isinstance(record, Entry)]
        for path in await self._waiting(new, records.keys() - new, unsafe):
            del records[path]
            result.held[path] = PathState.HELD_BACK
        new = [path for path in new if path in records]
        gone = records.keys() - new
        for path in await self._sync.journal.read(lambda tx: nesting.crowded(tx, new, gone)):
            del records[path]  # the delete that was to make room for it waits
            result.held[path] = PathState.HELD_BACK

    async def _waiting(
        self, sends: Iterable[CachePath], deletes: Iterable[CachePath], unsafe: set[CachePath]
    ) -> set[CachePath]:
        """Those of a plan's paths that wait for what is not in order."""
        chosen, deleted = (*sends, *deletes), tuple(deletes)
        near = [*unsafe, *(path for path in chosen if is_pointer(path))]
        pointers = await self._sync.threads.io(lambda: local_pointers(self._sync.tree, near))
        waiting = held_back(chosen, unsafe, pointers)
        return (waiting | kept_for(deleted, waiting | unsafe)) - unsafe
