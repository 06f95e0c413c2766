"""Pull: bringing a scope's head into the cache (section 6).

Works on the list of unapplied paths, so it costs what changed.  Keeps S4, S5 (a path is clean only
when it was placed and looked at again), S8 (new files, replaced ones, pointers, then deletes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain.limits import too_many_deletes
from swampd.domain.paths import collisions
from swampd.domain.pointers import (
    Placing,
    held_back,
    is_pointer,
    placing_key,
    pointer_target,
)
from swampd.domain.states import Halt, PathState
from swampd.errors import Halted, LowSpace
from swampd.indexing import rows
from swampd.syncing import local_ledger, nesting, noting, plans
from swampd.syncing.conflicts import ConflictKeeper
from swampd.syncing.fetching import PATIENCE_S, Fetched, fetch
from swampd.syncing.local_ledger import Placement, Trashed
from swampd.syncing.patience import Patience
from swampd.syncing.placing import Placed, Placer, batches, levels, placing_order
from swampd.syncing.pointing import local_pointers
from swampd.syncing.survey import LocalFile, bases_of, look_at

if TYPE_CHECKING:
    from swampd.domain.entries import Entry
    from swampd.domain.planning import Local
    from swampd.domain.values import CachePath, Scope, Sha256
    from swampd.ports import Transaction
    from swampd.syncing.bases import Bases
    from swampd.syncing.context import Sync
    from swampd.syncing.plans import Plan

ROUNDS: Final = 4
"""So often a pull plans again when the tree moved under it."""
LEAST_FREE: Final = 200 * 1024 * 1024
"""Below so many bytes of free space pulls stop (API, disk)."""
log = structlog.get_logger()


@dataclass(slots=True)
class Pulled:
    """What a pull did."""

    placed: int = 0
    deleted: int = 0
    conflicts: list[CachePath] = field(default_factory=list)
    held: dict[CachePath, PathState] = field(default_factory=dict)
    failed: dict[CachePath, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Is everything of the head applied?"""
        return not (self.conflicts or self.held or self.failed)

    def forget_findings(self) -> None:
        """Each round plans every open path again: what the last one found may be over."""
        self.conflicts.clear()
        self.held.clear()
        self.failed.clear()


class Puller:
    """Pulls scopes of one workspace; the caller has read the head and holds the scope's desk."""

    def __init__(self, sync: Sync, bases: Bases, least_free: int = LEAST_FREE) -> None:
        self._sync = sync
        self._bases = bases
        self._least_free = least_free
        self._conflicts = ConflictKeeper(sync)

    async def pull(self, scope: Scope, *, allow_deletes: bool = False) -> Pulled:
        """Apply what is not applied of the adopted head.

        Raises errors.Halted, errors.LowSpace.
        """
        result = Pulled()
        patience = Patience(self._sync.clock, self._sync.rng, PATIENCE_S)
        for _ in range(ROUNDS):
            result.forget_findings()
            paths = await self._sync.journal.read(lambda tx: open_paths(tx, scope))
            if not paths:
                break
            await self._bases.check()
            plan = await self._plan(scope, paths)
            await self._guard(scope, plan, allow_deletes=allow_deletes)
            again = await self._apply(scope, plan, result, patience)
            allow_deletes = True
            if not again:
                break
        looks = await self._collided(scope)

        def work(tx: Transaction) -> None:
            noting.note_pull(tx, scope, result.conflicts, result.held, result.failed, looks)
            plans.note_applied(tx, scope)

        await self._sync.journal.write(work, durable=False)
        return result

    async def _collided(self, scope: Scope) -> dict[CachePath, Local]:
        """What stands here now at the names that were found to collide."""
        paths = await self._sync.journal.read(lambda tx: noting.colliding(tx, scope))
        if not paths:
            return {}
        found = await self._sync.threads.io(lambda: look_at(self._sync.tree, paths, {}))
        return {path: local for path, (local, _) in found.items()}

    async def _plan(self, scope: Scope, paths: list[CachePath]) -> Plan:
        cache, colliding = self._bases.cache, await self._colliding(paths)
        chosen = [path for path in paths if path not in colliding] if colliding else paths
        bases = await self._sync.journal.read(lambda tx: rows.bases(tx, chosen))
        looks = await self._sync.threads.cpu(lambda: look_at(self._sync.tree, chosen, bases))
        plan = await self._sync.journal.read(lambda tx: plans.make_plan(tx, scope, looks))
        plan.cache = cache
        plan.held.update(dict.fromkeys(colliding, PathState.NAME_COLLISION))
        await self._sync.threads.io(lambda: nesting.hold_blocked(self._sync.tree, plan))
        return plan

    async def _colliding(self, paths: list[CachePath]) -> frozenset[CachePath]:
        """Names that this file system takes for one with another that is there, or comes first:
        they are not even looked at, for it would show the other's file (section 8)."""
        if not self._sync.tree.folds_names:
            return frozenset()
        there = await self._sync.journal.read(rows.all_base_paths)
        lost = await self._sync.threads.cpu(lambda: collisions(paths, there=there))
        return frozenset(lost)

    async def _guard(self, scope: Scope, plan: Plan, *, allow_deletes: bool) -> None:
        """The limits of section 7: what a halt is for."""
        if plan.went_back:
            detail = f"{len(plan.went_back)} paths vanished without a tombstone"
            await self._sync.reader.halt(scope, Halt.HEAD_WENT_BACK, detail)
        if too_many_deletes(len(plan.trash), plan.known) and not allow_deletes:
            detail = f"the head deletes {len(plan.trash)} of {plan.known} files here"
            await self._sync.reader.halt(scope, Halt.TOO_MANY_DELETES, detail)
        if plan.place and await self._low():
            raise Halted(
                f"{scope} is not pulled: less than {self._least_free // 2**20} MiB are free",
                Halt.LOW_SPACE.way_out,
                scope=scope,
                halt=Halt.LOW_SPACE.value,
            )

    async def _low(self) -> bool:
        return await self._sync.threads.io(self._sync.tree.free_bytes) < self._least_free

    # --- applying -----------------------------------------------------------------------------

    async def _apply(self, scope: Scope, plan: Plan, result: Pulled, patience: Patience) -> bool:
        """Do a plan's local part; True when some paths are to be planned again."""
        if plan.moves_base:
            await self._bases.change(lambda tx: apply_agreed(tx, scope, plan), seen_in=plan.cache)
        for path, kind in plan.conflicts.items():
            await self._conflicts.keep(scope, path, kind, plan.records.get(path))
            result.conflicts.append(path)
        for path, state in plan.held.items():
            if state is not PathState.CONFLICT:
                result.held[path] = state
            else:
                result.conflicts.append(path)
        unsafe = {*result.conflicts, *plan.held}
        return await self._place_all(scope, plan, result, unsafe, patience)

    async def _place_all(
        self,
        scope: Scope,
        plan: Plan,
        result: Pulled,
        unsafe: set[CachePath],
        patience: Patience,
    ) -> bool:
        """New files, replaced ones, pointers (the deeper ones first), then deletes.

        Pointers are fetched first: what is not in order holds back the directory that they name,
        and them (S8).
        """
        named = {path: entry for path, entry in plan.place.items() if is_pointer(path)}
        pointers = await self._fetch(named, result, patience)
        unsafe |= {*result.held, *result.failed}
        await self._hold_back(plan, pointers, result, unsafe)
        again = False
        for part in await self._sync.threads.cpu(lambda: batches(plan)):
            ready = await self._fetch(part, result, patience)
            unsafe |= {*result.held, *result.failed}
            again |= await self._place_some(scope, ready, plan, result, unsafe)
        for level in levels(pointers):
            await self._hold_back(plan, pointers, result, unsafe)
            ready = {path: pointers[path] for path in level if path in plan.place}
            again |= await self._place_some(scope, ready, plan, result, unsafe)
            for path in set(level) - ready.keys():
                await self._drop(pointers[path].name)
        for of_pointers in (True, False):
            if again:
                break
            await self._hold_back(plan, pointers, result, unsafe)
            again = await self._trash_some(scope, plan, result, unsafe, of_pointers=of_pointers)
        return again

    async def _fetch(
        self, entries: dict[CachePath, Entry], result: Pulled, patience: Patience
    ) -> dict[CachePath, Fetched]:
        fetched = await fetch(self._sync, entries, patience)
        result.failed.update(fetched.failed)
        result.held.update(fetched.held)
        return fetched.ready

    async def _place_some(
        self,
        scope: Scope,
        ready: dict[CachePath, Fetched],
        plan: Plan,
        result: Pulled,
        unsafe: set[CachePath],
    ) -> bool:
        placed = await self._place(list(ready.values()), plan.looks)
        unsafe |= {*placed.again, *placed.held}
        for path in ready:
            del plan.place[path]  # done with: it waits for nothing any more
        return await self._record(scope, placed, plan, ready, result)

    async def _trash_some(
        self,
        scope: Scope,
        plan: Plan,
        result: Pulled,
        unsafe: set[CachePath],
        *,
        of_pointers: bool,
    ) -> bool:
        """The deletes: those of pointers before those of the files that they may name."""
        deletes = {
            path: file
            for path, file in plan.trash.items()
            if file is not None and is_pointer(path) is of_pointers
        }
        if not deletes:
            return False
        placed = await self._trash(deletes)
        unsafe |= {*placed.again, *placed.held}
        for path in deletes:
            del plan.trash[path]
        again = await self._record(scope, placed, plan, {}, result)
        # What went may have been in the way of another name.
        return again or (bool(placed.gone) and PathState.NAME_COLLISION in plan.held.values())

    async def _hold_back(
        self,
        plan: Plan,
        pointers: dict[CachePath, Fetched],
        result: Pulled,
        unsafe: set[CachePath],
    ) -> None:
        """Take out of the plan what waits for a path that is not in order; while a pointer waits,
        what it names until then stays."""
        if not unsafe:
            return
        near = (*unsafe, *pointers)
        standing = await self._sync.threads.io(lambda: local_pointers(self._sync.tree, near))
        named = dict(standing)
        for path, one in pointers.items():
            target = pointer_target(path, one.head)
            if target is not None:
                named[path] = target
        waiting = held_back((*plan.place, *plan.trash), unsafe, named)
        stays = held_back(plan.trash, unsafe | waiting & standing.keys(), standing)
        for path in (waiting | stays) - unsafe:
            plan.place.pop(path, None)
            plan.trash.pop(path, None)
            result.held[path] = PathState.HELD_BACK

    async def _place(
        self,
        ready: list[Fetched],
        looks: dict[CachePath, tuple[Local, LocalFile | None]],
    ) -> Placed:
        """Sync the downloads to disk, journal the intents, rename."""
        if not ready:
            return Placed()
        saw = {r.path: looks[r.path][1] for r in ready}
        await self._sync.threads.io(self._sync.tree.sync)
        intents = [Placement(r.name, r.path, r.content.sha256, _digest(saw[r.path])) for r in ready]
        await self._sync.journal.write(lambda tx: local_ledger.begin_placements(tx, intents))

        def work() -> Placed:
            placer = Placer(self._sync.tree)
            for one in sorted(ready, key=lambda one: placing_order(one.path, saw[one.path])):
                placer.place(one, saw[one.path])
            self._sync.tree.sync()
            return placer.result

        return await self._sync.threads.io(work)

    async def _drop(self, name: str) -> None:
        await self._sync.threads.io(lambda: self._sync.tree.drop_tmp(name))

    async def _trash(self, deletes: dict[CachePath, LocalFile]) -> Placed:
        names = {path: self._sync.rng.uuid() for path in deletes}
        intents = [Placement(names[p], p, None, f.content.sha256) for p, f in deletes.items()]
        await self._sync.journal.write(lambda tx: local_ledger.begin_placements(tx, intents))

        def work() -> Placed:
            placer = Placer(self._sync.tree)
            for path in sorted(deletes, key=lambda path: placing_key(path, Placing.DELETED)):
                placer.trash(path, names[path], deletes[path])
            self._sync.tree.sync()
            return placer.result

        return await self._sync.threads.io(work)

    async def _record(
        self,
        scope: Scope,
        placed: Placed,
        plan: Plan,
        ready: dict[CachePath, Fetched],
        result: Pulled,
    ) -> bool:
        """Base, trash and intents in one transaction; no base of a cache that was replaced."""
        now, boot_id = self._sync.clock.now(), self._sync.clock.boot_id

        def work(tx: Transaction) -> None:
            if self._bases.cache == plan.cache:
                rows.put_bases(tx, scope, bases_of(placed.files))
                rows.drop_bases(tx, scope, placed.gone)
                local_ledger.leave_join(tx, (*placed.files, *placed.gone))
            for name, (path, sha256) in placed.trashed.items():
                local_ledger.note_trash(tx, Trashed(name, path, sha256, now, boot_id))
            local_ledger.clear_states(tx, (*placed.files, *placed.gone))
            done = [i.name for i in local_ledger.placements(tx) if i.path in placed_paths]
            local_ledger.end_placements(tx, done)

        placed_paths = {
            *ready,
            *placed.files,
            *placed.gone,
            *placed.again,
            *placed.held,
            *(path for path, _ in placed.trashed.values()),
        }
        await self._bases.change(work)
        for path, copy in placed.kept.items():
            await self._conflicts.keep_bytes(scope, path, copy)
        result.placed += len(placed.files)
        result.deleted += len(placed.gone)
        result.held.update(placed.held)
        if placed.no_space:
            raise LowSpace(
                f"the disk of the cache is full while pulling {scope}",
                "free some space, then pull again; nothing was lost",
                scope=scope,
            )
        return bool(placed.again)


def apply_agreed(tx: Transaction, scope: Scope, plan: Plan) -> None:
    """The part of a plan that needs no bytes moved: agreeing and dropping bases."""
    rows.put_bases(tx, scope, bases_of(plan.agree))
    rows.drop_bases(tx, scope, (*plan.drop, *plan.forget))
    local_ledger.end_agreed(tx, plan.agree)
    local_ledger.leave_join(tx, plan.drop)
    local_ledger.clear_states(tx, plan.drop)


def open_paths(tx: Transaction, scope: Scope) -> list[CachePath]:
    """What a pull works on: unapplied paths, and those that join (a tombstone may meet them)."""
    return sorted({*rows.unapplied_in(tx, scope), *local_ledger.joining_in(tx, scope)})


def _digest(file: LocalFile | None) -> Sha256 | None:
    return file.content.sha256 if file is not None else None
