"""What is to be done in a scope: the planner of section 6 over the journal and a local look.

One plan serves push and pull: push sends its own part, pull takes the other, both do what needs no
request (agreeing, dropping base).  Reads only; runs in one journal transaction, so it is one state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, assert_never

from swampd.domain import heads
from swampd.domain.entries import Entry
from swampd.domain.planning import Local, Opaque, Step, plan_path
from swampd.domain.states import ConflictKind, PathState
from swampd.domain.values import CachePath, Scope, Seq
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.syncing import ledger, local_ledger
from swampd.syncing.noting import NOT_COLLIDED, Collided

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from swampd.domain.entries import Record
    from swampd.indexing.rows import Base
    from swampd.ports import Transaction
    from swampd.syncing.local_ledger import Conflict
    from swampd.syncing.survey import LocalFile

DECIDED_ON_RECORD: Final = frozenset(
    {ConflictKind.BOTH_CHANGED, ConflictKind.BOTH_NEW, ConflictKind.JOIN_TOMBSTONE}
)
"""Conflicts whose other side is what the head says."""
SKIPPED: Final = "skipped "
SKIPPED_END: Final = "skipped!"
"""The keys in `meta` that begin with SKIPPED sort before it."""


@dataclass(slots=True)
class Plan:
    """The steps of a scope, by kind."""

    push: dict[CachePath, LocalFile] = field(default_factory=dict)
    bury: list[CachePath] = field(default_factory=list)
    """Deletes to be pushed as tombstones."""
    place: dict[CachePath, Entry] = field(default_factory=dict)
    trash: dict[CachePath, LocalFile | None] = field(default_factory=dict)
    """Local files to be moved to trash."""
    agree: dict[CachePath, LocalFile] = field(default_factory=dict)
    drop: list[CachePath] = field(default_factory=list)
    """Bases of paths that are gone on both sides."""
    forget: list[CachePath] = field(default_factory=list)
    """Bases of paths where a local edit won over a delete: dropped at once, then pushed."""
    conflicts: dict[CachePath, ConflictKind] = field(default_factory=dict)
    held: dict[CachePath, PathState] = field(default_factory=dict)
    beside: dict[CachePath, CachePath] = field(default_factory=dict)
    """Paths that cannot stand beside an entry of a head, with that one (section 4)."""
    unseen: set[CachePath] = field(default_factory=set)
    """Something in the directories above these will not travel, and the plan has no path for it."""
    went_back: list[CachePath] = field(default_factory=list)
    looks: dict[CachePath, tuple[Local, LocalFile | None]] = field(default_factory=dict)
    records: dict[CachePath, Record] = field(default_factory=dict)
    known: int = 0
    """How many paths the scope has a base for: what the limit on deletes is a part of."""
    cache: int = 0
    """The cache that was looked at (`Bases.cache`)."""
    generation: int = 0
    """That of base, when a push planned."""
    committing: bool = False
    """The fate of a commit of the scope was open then: only a claim can settle it."""
    collided: Collided = NOT_COLLIDED
    """What was shown then."""

    @property
    def needs_lease(self) -> bool:
        """Is there anything for which a push needs a lease?"""
        return self.sends or self.committing

    @property
    def sends(self) -> bool:
        """Is there anything for the store?"""
        return bool(self.push or self.bury)

    @property
    def moves_base(self) -> bool:
        """Is anything agreed on, or no longer, without a request or a file that moves?"""
        return bool(self.agree or self.drop or self.forget)

    def note_unseen(
        self, listed: Mapping[str, tuple[PathState, str]], children: Collection[Scope]
    ) -> None:
        """What a survey met and could not look at, or not even spell: no pointer goes out as if
        its directory were whole (S8)."""
        for path, (state, _) in listed.items():
            name = CachePath(path)
            if heads.masked(name, children):
                continue
            if state is PathState.UNREADABLE:
                self.held.setdefault(name, state)
                self.unseen.add(CachePath(f"{name}/?"))
            elif state is PathState.REFUSED_NAME:
                self.unseen.add(name)


def applied_seq(tx: Transaction, scope: Scope) -> Seq:
    """The seq of the last head of which everything was applied here."""
    for (seq,) in tx.execute("SELECT value FROM meta WHERE key = ?", (f"applied {scope}",)):
        return Seq(int(seq))
    return Seq(0)


def applied_is_noted(tx: Transaction, scope: Scope) -> bool:
    """Would `note_applied` change nothing?"""
    known = heads_ledger.known_head(tx, scope)
    if known is None or applied_seq(tx, scope) == known.head.seq:
        return True
    return bool(rows.unapplied_in(tx, scope))


def note_applied(tx: Transaction, scope: Scope) -> None:
    """If nothing of the head is open, it counts as applied."""
    known = heads_ledger.known_head(tx, scope)
    if known is None or rows.unapplied_in(tx, scope):
        return
    tx.execute(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"applied {scope}", str(known.head.seq))
    )


def skipped_in(tx: Transaction, scope: Scope) -> int:
    """What `note_skipped` noted last."""
    found = tx.execute("SELECT value FROM meta WHERE key = ?", (f"{SKIPPED}{scope}",))
    return next((int(value) for (value,) in found), 0)


def note_skipped(tx: Transaction, scope: Scope, count: int) -> None:
    """A scan of this scope met so many names that are never synced."""
    tx.execute("DELETE FROM meta WHERE key = ?", (f"{SKIPPED}{scope}",))
    if count:
        tx.execute("INSERT INTO meta VALUES (?, ?)", (f"{SKIPPED}{scope}", str(count)))


def skipped(tx: Transaction) -> int:
    """How many names are never synced, as the last scans of the scopes met them."""
    rows = tx.execute("SELECT value FROM meta WHERE key >= ? AND key < ?", (SKIPPED, SKIPPED_END))
    return sum(int(value) for (value,) in rows)


def make_plan(
    tx: Transaction,
    scope: Scope,
    looks: Mapping[CachePath, tuple[Local, LocalFile | None]],
) -> Plan:
    """The plan for these paths of a scope."""
    plan = Plan(looks=dict(looks))
    ((plan.known,),) = tx.execute("SELECT count(*) FROM base WHERE scope = ?", (scope,))
    if not looks:
        return plan
    known = heads_ledger.known_head(tx, scope)
    forgotten = known.head.forgotten_seq if known is not None else Seq(0)
    base_seq = applied_seq(tx, scope)
    uncommitted = ledger.uncommitted_paths(tx, scope)
    conflicted = {
        conflict.path: conflict
        for conflict in local_ledger.conflicts(tx, scope)
        if conflict.kind is not ConflictKind.NAME_COLLISION
    }
    joining = local_ledger.joining(tx)
    lost = local_ledger.in_state(tx, scope, PathState.MISSING)
    records, bases = rows.remotes(tx, looks), rows.bases(tx, looks)
    for path in sorted(looks):
        if path in uncommitted:
            plan.held[path] = PathState.UNCOMMITTED
            continue
        record, base = records.get(path), bases.get(path)
        if record is not None:
            plan.records[path] = record
        local, file = looks[path]
        step = plan_path(
            local,
            base.content if base is not None else None,
            record,
            joining=path in joining,
            base_seq=base_seq,
            forgotten_seq=forgotten,
        )
        if step is Step.AGREE and path in lost:
            step = Step.PUSH  # this host has what the store has lost: it brings it back (section 4)
        if path in conflicted and step is not Step.AGREE:
            _stay_in_conflict(plan, conflicted[path], record)
        else:
            _sort_in(plan, path, step, file, base, record)
    return plan


def _stay_in_conflict(plan: Plan, conflict: Conflict, record: Record | None) -> None:
    """Nothing of the path moves until a person has decided; what they decide on is the newest
    content of the other side, so a newer one is fetched (S2)."""
    seen = conflict.record.wid if conflict.record is not None else None
    theirs = record.wid if record is not None else None
    if theirs != seen and conflict.kind in DECIDED_ON_RECORD:
        plan.conflicts[conflict.path] = conflict.kind
    else:
        plan.held[conflict.path] = PathState.CONFLICT


def _sort_in(  # noqa: C901, PLR0912 - one branch for each step of a closed set
    plan: Plan,
    path: CachePath,
    step: Step,
    file: LocalFile | None,
    base: Base | None,
    record: Record | None,
) -> None:
    match step:
        case Step.NOTHING:
            if file is not None and base is not None and file.content == base.content:
                plan.agree[path] = file
        case Step.PUSH:
            if file is not None:
                plan.push[path] = file
        case Step.FORGET_AND_PUSH:
            plan.forget.append(path)
            if file is not None:
                plan.push[path] = file
        case Step.PUSH_TOMBSTONE:
            plan.bury.append(path)
        case Step.PLACE:
            if isinstance(record, Entry):
                plan.place[path] = record
        case Step.TRASH | Step.JOIN_TRASH:
            plan.trash[path] = file
        case Step.AGREE:
            if file is not None:
                plan.agree[path] = file
        case Step.DROP_BASE:
            plan.drop.append(path)
        case Step.CONFLICT:
            plan.conflicts[path] = _kind(base, record)
        case Step.WENT_BACK:
            plan.went_back.append(path)
        case Step.HOLD:
            local = plan.looks[path][0]
            plan.held[path] = (
                PathState(local.reason) if isinstance(local, Opaque) else PathState.BUSY
            )
        case _:
            assert_never(step)


def _kind(base: Base | None, record: Record | None) -> ConflictKind:
    if not isinstance(record, Entry):
        return ConflictKind.JOIN_TOMBSTONE
    return ConflictKind.BOTH_NEW if base is None else ConflictKind.BOTH_CHANGED
