"""Known-bad engines that the simulator must catch: each a small patch, in test code only.

A mutant is caught when some seed within its limit breaks an invariant; `expected` names the ones
that speak of its fault.  The unmutated engine passes the same seeds.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from swampd.domain import leases, planning
from swampd.domain.leases import LockState, Sighting
from swampd.domain.planning import Present, Step
from swampd.indexing import rows
from swampd.locking import lease as lease_module
from swampd.locking import taking
from swampd.locking.lease import Lease
from swampd.syncing import (
    bases,
    committing,
    placing,
    plans,
    pushing,
    requests,
    survey,
    uploading,
)
from swampd.syncing import ledger as syncing_ledger
from tests.sim import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken engine."""

    name: str
    family: str
    apply: Callable[[], Any]
    seeds: int
    """It must be caught within so many seeds."""


@contextmanager
def _patched(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    before = [(where, name, where.__dict__[name]) for where, name, _ in changes]
    for where, name, value in changes:
        setattr(where, name, value)
    try:
        yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)


# --- leases -------------------------------------------------------------------------------------


def steal_at_once() -> Any:
    """A holder is not waited out."""
    return _patched((Sighting, "may_be_taken", lambda _self, _now: True))


def no_second_look() -> Any:
    """A child does not look at its ancestors after its own write."""

    async def look(*_args: object) -> None:
        return None

    return _patched((taking.Taker, "_look_above", look))


def renew_after_lapse() -> Any:
    """A lease that lapsed goes on when a renewal is answered late."""

    def alive(self: Lease) -> bool:
        return self.loss in (None, lease_module.Loss.LAPSED) and all(
            gate.alive() for gate in self.under
        )

    return _patched((Lease, "alive", alive))


def broken_is_free() -> Any:
    """A broken lock is taken as free at once."""

    def is_free(self: Sighting) -> bool:
        return self.record is not None and self.record.state is not LockState.HELD

    return _patched((Sighting, "is_free", property(is_free)))


def epoch_stays() -> Any:
    """An acquisition does not raise the epoch."""
    real = leases.acquired

    def acquired(*args: Any) -> Any:
        record = real(*args)
        lower = max(record.epoch - 1, 1)
        return msgspec.structs.replace(record, epoch=lower)

    return _patched((leases, "acquired", acquired))


# --- heads and payload --------------------------------------------------------------------------


def commit_without_cas() -> Any:
    """Heads are written whatever is there."""
    real = store.SimStore.replace

    async def replace(self: Any, key: Any, body: Any, token: Any, metadata: Any) -> Any:
        if "/heads/" in key:
            return await self.put(key, body, metadata)
        return await real(self, key, body, token, metadata)

    return _patched((store.SimStore, "replace", replace))


def sent_without_look() -> Any:
    """What is sent is what is there now, not what the plan saw, under the plan's digest."""
    real = uploading.Uploader._read

    async def read(self: Any, item: Any) -> Any:
        found = await real(self, item)
        return (b"other bytes", item.file) if found is not None else None

    return _patched((uploading.Uploader, "_read", read))


def tombstone_without_head() -> Any:
    """A plain key is deleted before the head says that it is gone."""
    real = committing.commit

    async def early(sync: Any, b: Any, lease: Any, known: Any, records: Any, files: Any) -> Any:
        for path, record in records.items():
            if not hasattr(record, "content"):
                await sync.store.delete(sync.keys.payload(path))
        return await real(sync, b, lease, known, records, files)

    return _patched((pushing, "commit", early))


def redo_dropped_unseen() -> Any:
    """Redo copies are settled on nothing but hope."""
    real = committing.settlements

    def settle(tx: Any, scope: Any, besides: Any) -> Any:
        for path, record in rows.pending_in(tx, scope).items():
            token = getattr(record, "token", None)
            seen = syncing_ledger.Mirrored(record.wid, token, sure=True)
            if syncing_ledger.mirrored(tx, path) is None:
                syncing_ledger.note_mirrored(tx, path, seen)
        return real(tx, scope, besides)

    return _patched((committing, "settlements", settle))


# --- local --------------------------------------------------------------------------------------


def delete_by_absence() -> Any:
    """An emptied or restored cache is taken for what the user wants."""

    async def check(_self: object) -> None:
        return None

    return _patched((bases.Bases, "check", check))


def pull_over_edits() -> Any:
    """A pull places the head's content over whatever is there."""
    real = planning.plan_path

    def plan(local: Any, base: Any, remote: Any, **flags: Any) -> Step:
        step = real(local, base, remote, **flags)
        return Step.PLACE if step is Step.CONFLICT and isinstance(local, Present) else step

    return _patched((plans, "plan_path", plan), (placing.Placer, "_came_out", _drop_it))


def check_then_rename() -> Any:
    """What an exchange takes out is dropped without a look."""
    return _patched((placing.Placer, "_came_out", _drop_it))


def _drop_it(self: Any, name: str, _path: Any, _saw: Any) -> bool:
    self._tree.drop_tmp(name)
    return True


def size_only() -> Any:
    """A file of the same size counts as unchanged."""
    real = survey._look

    def look(tree: Any, row: Any, known: Any, now_ns: int, result: Any) -> None:
        base = known.get(row.path)
        if base is None or row.stamp is None or row.stamp.size != base.content.size:
            real(tree, row, known, now_ns, result)

    return _patched((survey, "_look", look))


def intents_closed_by_hope() -> Any:
    """A request whose answer never came counts as answered."""

    async def is_sure(_self: object, _path: object) -> bool:
        return True

    return _patched((requests.PlainKeys, "is_sure", is_sure))


def base_before_commit() -> Any:
    """Base moves when the upload is done, not when the commit is."""
    real = committing.commit

    async def early(sync: Any, b: Any, lease: Any, known: Any, records: Any, files: Any) -> Any:
        def agree(tx: Any) -> None:
            for path, file in files.items():
                rows.put_base(tx, lease.scope, path, file.as_base)

        await b.change(agree)
        return await real(sync, b, lease, known, records, files)

    return _patched((pushing, "commit", early))


MUTANTS = (
    Mutant("steal_at_once", "lease", steal_at_once, 20),
    Mutant("no_second_look", "lease", no_second_look, 40),
    Mutant("renew_after_lapse", "lease", renew_after_lapse, 20),
    Mutant("broken_is_free", "lease", broken_is_free, 60),
    Mutant("epoch_stays", "lease", epoch_stays, 10),
    Mutant("commit_without_cas", "payload", commit_without_cas, 40),
    Mutant("sent_without_look", "payload", sent_without_look, 10),
    Mutant("tombstone_without_head", "payload", tombstone_without_head, 60),
    Mutant("redo_dropped_unseen", "payload", redo_dropped_unseen, 60),
    Mutant("delete_by_absence", "local", delete_by_absence, 40),
    Mutant("pull_over_edits", "local", pull_over_edits, 20),
    Mutant("check_then_rename", "local", check_then_rename, 100),
    Mutant("size_only", "local", size_only, 20),
    Mutant("base_before_commit", "local", base_before_commit, 60),
)
