"""Known-bad engines that the simulator must catch: each a small patch, in test code only.

A mutant is caught when some seed within its limit breaks an invariant; the unmutated engine
passes the same seeds of the same workload.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from swampd import waiting
from swampd.domain import heads, leases, planning, pointers
from swampd.domain.entries import Entry, Tombstone
from swampd.domain.leases import LockState, Sighting
from swampd.domain.outcomes import Rejected
from swampd.domain.planning import Present, Step
from swampd.errors import PushFailed
from swampd.indexing import rows
from swampd.locking import cas, recovery, taking
from swampd.locking import lease as lease_module
from swampd.locking.lease import Lease
from swampd.syncing import (
    bases,
    committing,
    local_ledger,
    placing,
    plans,
    pulling,
    pushing,
    requests,
    survey,
    uploading,
)
from swampd.syncing import ledger as syncing_ledger
from tests.sim import store, tree, world
from tests.sim.workloads import (
    BREAKERS,
    DEATHS,
    LATE,
    NORMAL,
    OUTAGES,
    OWN_PATHS,
    PACED,
    POWER_CUTS,
    RESENDS,
    Workload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken engine; it must be caught within so many seeds of its workload, which is one in
    which its fault has many occasions."""

    name: str
    family: str
    apply: Callable[[], Any]
    seeds: int
    load: Workload = NORMAL


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


def heartbeat_unchanged() -> Any:
    """A renewal writes the same bytes again."""

    def renewed(record: Any, _wid: Any, *, doubt_is_over: bool = False) -> Any:
        del doubt_is_over
        return record

    return _patched((leases, "renewed", renewed))


def no_doubt_on_takeover() -> Any:
    """Who takes over says nothing of the requests that the holder before may have under way."""
    real = leases.acquired

    def acquired(previous: Any, *args: Any) -> Any:
        record = real(previous, *args)
        known = previous.in_doubt if previous is not None else None
        return msgspec.structs.replace(record, in_doubt=known)

    return _patched((leases, "acquired", acquired))


def no_doubt_on_release() -> Any:
    """Who releases says nothing of its own unanswered requests."""
    real = leases.released

    def released(record: Any, wid: Any, *, unanswered: bool) -> Any:
        del unanswered
        return real(record, wid, unanswered=False)

    return _patched((leases, "released", released))


def kept_across_reboot() -> Any:
    """A restart keeps its leases without asking whether it is still the same boot."""
    real = recovery._renew

    async def renew(book: Any, ports: Any, one: Any) -> Any:
        return await real(book, ports, replace(one, boot_id=ports.clock.boot_id))

    return _patched((recovery, "_renew", renew))


def clock_stops_in_suspend() -> Any:
    """The clock of a machine stands still while it sleeps."""
    real = world.SimClock.now

    def now(self: Any) -> float:
        node = self._life.node
        asleep: float = node.slept(node.world.time) * self._rate
        return real(self) - asleep

    return _patched((world.SimClock, "now", now))


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
    real = syncing_ledger.mirrored

    def mirrored(tx: Any, path: Any) -> Any:
        seen, record = real(tx, path), rows.remote(tx, path)
        if seen is not None or record is None:
            return seen
        return syncing_ledger.Mirrored(record.wid, getattr(record, "token", None), sure=True)

    return _patched((syncing_ledger, "mirrored", mirrored))


def recent_ignored() -> Any:
    """A writer whose reply was lost does not look for itself among the recent commits."""
    return _patched((heads, "names_commit", lambda _head, _wid: False))


def resend_rejection_believed() -> Any:
    """Rejected on a second sending is taken for the fate of the first."""
    read_back, send_once = cas.Writer._read_back, cas.Writer._send_once
    said: dict[bytes, object] = {}

    async def send(self: Any, write: Any) -> Any:
        said[write.body] = answer = await send_once(self, write)
        return answer

    async def read(self: Any, write: Any, pause: float) -> Any:
        if isinstance(said.get(write.body), Rejected):
            return cas.Refused(None), pause
        return await read_back(self, write, pause)

    return _patched((cas.Writer, "_send_once", send), (cas.Writer, "_read_back", read))


def commit_intent_not_journalled() -> Any:
    """What a commit is about to make true is in memory only."""
    return _patched(
        (syncing_ledger, "begin_commit", lambda _tx, _intent: None),
        (syncing_ledger, "is_open", lambda _tx, _wid: True),
    )


def unknown_reported_failed() -> Any:
    """A commit without an answer is reported as failed."""
    return _patched((committing, "OutcomeUnknown", PushFailed))


def half_applied_head() -> Any:
    """A push counts the head that it wrote as applied, with all that others had put in it."""

    def note_applied(tx: Any, scope: Any) -> None:
        for path in rows.unapplied_in(tx, scope):
            tx.execute("DELETE FROM unapplied WHERE path = ?", (path,))

    return _patched((plans, "note_applied", note_applied))


def tombstones_dropped() -> Any:
    """A delete takes the entry out of the head, and leaves no tombstone."""
    real = heads.committed

    def committed(head: Any, stamp: Any, changes: Any) -> Any:
        after = real(head, stamp, changes)
        delta = {p: r for p, r in after.delta.items() if isinstance(r, Entry)}
        return msgspec.structs.replace(after, delta=delta)

    return _patched((heads, "committed", committed))


def intents_closed_by_hope() -> Any:
    """A request whose answer never came counts as answered."""

    async def is_sure(_self: object, _path: object) -> bool:
        return True

    return _patched((requests.PlainKeys, "is_sure", is_sure))


def fresh_after_tombstone() -> Any:
    """A path that was deleted is created anew on its plain key, before the commit."""
    real = uploading.Uploader._items

    def items(self: Any, tx: Any, batch: Any, files: Any) -> Any:
        found = real(self, tx, batch, files)
        return [replace(i, fresh=i.fresh or isinstance(i.record, Tombstone)) for i in found]

    return _patched((uploading.Uploader, "_items", items))


# --- local --------------------------------------------------------------------------------------


def delete_by_absence() -> Any:
    """An emptied or restored cache is taken for what the user wants."""

    async def check(_self: object) -> bool:
        return True

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


def placements_not_journalled() -> Any:
    """Files are renamed in the cache, and no journal says which."""
    return _patched((local_ledger, "begin_placements", lambda _tx, _placements: None))


def not_synced_before_rename() -> Any:
    """Downloads are renamed over files before their bytes are on the disk."""

    def sync(self: Any) -> None:
        self._undo.clear()

    return _patched((tree.SimTree, "sync", sync))


def pointers_first() -> Any:
    """Pointers are placed like other files, and before them."""

    def nothing(_path: Any) -> bool:
        return False

    def order(path: Any, _saw: Any) -> tuple[bool, str]:
        return not pointers.is_pointer(path), path

    return _patched(
        (pulling, "is_pointer", nothing),
        (placing, "is_pointer", nothing),
        (placing, "placing_order", order),
        (pulling, "placing_order", order),
    )


def unpaced() -> Any:
    """Keys are written as fast as it goes."""

    async def turn(_self: object, _key: str) -> None:
        return None

    return _patched((waiting.Pace, "turn", turn))


MUTANTS = (
    Mutant("steal_at_once", "lease", steal_at_once, 20),
    Mutant("no_second_look", "lease", no_second_look, 40),
    Mutant("renew_after_lapse", "lease", renew_after_lapse, 20),
    Mutant("broken_is_free", "lease", broken_is_free, 20, BREAKERS),
    Mutant("heartbeat_unchanged", "lease", heartbeat_unchanged, 5),
    Mutant("no_doubt_on_takeover", "lease", no_doubt_on_takeover, 10),
    Mutant("no_doubt_on_release", "lease", no_doubt_on_release, 20, LATE),
    Mutant("kept_across_reboot", "lease", kept_across_reboot, 20, POWER_CUTS),
    Mutant("unpaced", "lease", unpaced, 5, PACED),
    Mutant("clock_stops_in_suspend", "lease", clock_stops_in_suspend, 20),
    Mutant("epoch_stays", "lease", epoch_stays, 10),
    Mutant("commit_without_cas", "payload", commit_without_cas, 40),
    Mutant("sent_without_look", "payload", sent_without_look, 10),
    Mutant("tombstone_without_head", "payload", tombstone_without_head, 60),
    Mutant("redo_dropped_unseen", "payload", redo_dropped_unseen, 60),
    Mutant("recent_ignored", "payload", recent_ignored, 40, OWN_PATHS),
    Mutant("resend_rejection_believed", "payload", resend_rejection_believed, 80, RESENDS),
    Mutant("commit_intent_not_journalled", "payload", commit_intent_not_journalled, 40, OWN_PATHS),
    Mutant("unknown_reported_failed", "payload", unknown_reported_failed, 40, OUTAGES),
    Mutant("half_applied_head", "payload", half_applied_head, 10),
    Mutant("tombstones_dropped", "payload", tombstones_dropped, 10),
    Mutant("intents_closed_by_hope", "payload", intents_closed_by_hope, 40, LATE),
    Mutant("fresh_after_tombstone", "payload", fresh_after_tombstone, 40, LATE),
    Mutant("delete_by_absence", "local", delete_by_absence, 40),
    Mutant("pull_over_edits", "local", pull_over_edits, 20),
    Mutant("check_then_rename", "local", check_then_rename, 30, DEATHS),
    Mutant("size_only", "local", size_only, 20),
    Mutant("base_before_commit", "local", base_before_commit, 40, OUTAGES),
    Mutant("placements_not_journalled", "local", placements_not_journalled, 30, DEATHS),
    Mutant("not_synced_before_rename", "local", not_synced_before_rename, 80),
    Mutant("pointers_first", "local", pointers_first, 40),
)
