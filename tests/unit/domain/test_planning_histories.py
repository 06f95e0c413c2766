"""Random histories of two replicas and one head, over the planner alone.

A replica is a tree, a base and the conflicts it has met; a head is changed by one commit at a time.
Whatever people do, and whenever the replicas push and pull: they converge (S1), a version that
nobody has seen and replaced is in the tree or in a conflict copy (S2), one that was replaced does
not come back (S3), and doing it again writes nothing (S11).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from swampd.domain.entries import Entry, Tombstone
from swampd.domain.planning import Absent, Local, Opaque, Present, Step, plan_path
from swampd.domain.values import Content, Seq, Sha256, Wid

WID: Final = Wid("0" * 32)
OPEN: Final = {Step.PLACE, Step.TRASH, Step.JOIN_TRASH, Step.FORGET_AND_PUSH, Step.DROP_BASE}
"""As long as one of these is to be done, the head does not count as applied."""


def content(version: int) -> Content:
    return Content(version, Sha256(f"{version:064x}"))


def entry(version: int) -> Entry:
    return Entry(version, content(version).sha256, 0, x=False, wid=WID, token=None)


@dataclass
class Head:
    """What a store holds of one scope."""

    records: dict[str, Entry | Tombstone] = field(default_factory=dict)
    seq: int = 0
    forgotten_seq: int = 0

    def commit(self, changes: dict[str, int | None], bases: dict[str, int]) -> None:
        if not changes:
            return
        self.seq += 1
        for path, version in changes.items():
            if version is not None:
                self.records[path] = entry(version)
            else:
                sha256 = content(bases[path]).sha256
                self.records[path] = Tombstone(WID, sha256, Seq(self.seq), 0, swept=True)

    def forget(self) -> None:
        """Ninety days later."""
        for path, record in list(self.records.items()):
            if isinstance(record, Tombstone):
                self.forgotten_seq = max(self.forgotten_seq, record.seq)
                del self.records[path]

    def tree(self) -> dict[str, int]:
        return {path: r.size for path, r in self.records.items() if isinstance(r, Entry)}


@dataclass
class Replica:
    """One cache with its journal; versions are contents that nobody else ever writes."""

    local: dict[str, int] = field(default_factory=dict)
    base: dict[str, int] = field(default_factory=dict)
    base_seq: int = 0
    joining: set[str] = field(default_factory=set)
    conflicts: dict[str, Entry | Tombstone] = field(default_factory=dict)
    """What stood in the head when the conflict was met."""

    def look(self, path: str) -> Local:
        version = self.local.get(path)
        return Absent() if version is None else Present(content(version))

    def plan(self, head: Head, blind: str | None = None) -> dict[str, Step]:
        paths = {*self.local, *self.base, *head.records} - self.conflicts.keys()
        return {
            path: plan_path(
                Opaque("unreadable") if path == blind else self.look(path),
                content(self.base[path]) if path in self.base else None,
                head.records.get(path),
                joining=path in self.joining,
                base_seq=Seq(self.base_seq),
                forgotten_seq=Seq(head.forgotten_seq),
            )
            for path in sorted(paths)
        }

    def agree(self, path: str, version: int | None) -> None:
        self.joining.discard(path)
        if version is None:
            self.base.pop(path, None)
        else:
            self.base[path] = version

    def applied(self, head: Head, blind: str | None) -> None:
        steps = set(self.plan(head, blind).values())
        if not self.conflicts and not steps & (OPEN | {Step.HOLD, Step.CONFLICT}):
            self.base_seq = head.seq


@dataclass
class World:
    """Two replicas, one head, and what an all-knowing witness writes down."""

    head: Head = field(default_factory=Head)
    replicas: tuple[Replica, Replica] = field(default_factory=lambda: (Replica(), Replica()))
    versions: int = 0
    replaced: set[int] = field(default_factory=set)
    """Versions that an edit, a delete or a decision replaced which had seen them."""
    copies: set[int] = field(default_factory=set)
    """Conflict copies; nobody ever clears them here."""

    def fresh(self) -> int:
        self.versions += 1
        return self.versions

    # --- what people do ---

    def edit(self, replica: Replica, path: str, version: int | None = None) -> None:
        seen = replica.local.get(path, replica.base.get(path))
        if seen is not None:
            self.replaced.add(seen)
        replica.local[path] = self.fresh() if version is None else version

    def delete(self, replica: Replica, path: str) -> None:
        version = replica.local.pop(path, None)
        if version is not None and replica.base.get(path) != version:
            self.replaced.add(version)

    def resolve_ours(self, replica: Replica, path: str) -> None:
        """The local file is an edit of theirs from now on."""
        theirs = replica.conflicts.pop(path, None)
        if theirs is None:
            return
        replica.agree(path, theirs.size if isinstance(theirs, Entry) else None)
        if isinstance(theirs, Entry):
            self.replaced.add(theirs.size)
        if path in replica.local:
            self.edit(replica, path)

    def resolve_theirs(self, replica: Replica, path: str) -> None:
        """The local file counts as seen by them; the next pull replaces it."""
        if path in replica.conflicts:
            del replica.conflicts[path]
            replica.agree(path, replica.local.get(path))
            if path in replica.local:
                self.replaced.add(replica.local[path])

    def wipe(self, replica: Replica) -> None:
        """The journal is lost, the cache stays: join mode."""
        replica.base.clear()
        replica.conflicts.clear()
        replica.joining = set(replica.local)
        replica.base_seq = 0

    # --- what swampd does ---

    def pull(self, replica: Replica, blind: str | None = None) -> None:
        for path, step in replica.plan(self.head, blind).items():
            record = self.head.records.get(path)
            match step:
                case Step.PLACE:
                    assert isinstance(record, Entry)
                    replica.local[path] = record.size
                    replica.agree(path, record.size)
                case Step.TRASH | Step.JOIN_TRASH:
                    del replica.local[path]
                    replica.agree(path, None)
                case Step.FORGET_AND_PUSH:
                    del replica.base[path]
                case _:
                    self.note(replica, path, step)
        replica.applied(self.head, blind)

    def push(self, replica: Replica, blind: str | None = None) -> None:
        changes: dict[str, int | None] = {}
        for path, step in replica.plan(self.head, blind).items():
            match step:
                case Step.PUSH | Step.FORGET_AND_PUSH:
                    changes[path] = replica.local[path]
                case Step.PUSH_TOMBSTONE:
                    changes[path] = None
                    self.replaced.add(replica.base[path])
                case _:
                    self.note(replica, path, step)
        self.head.commit(changes, replica.base)
        for path, version in changes.items():
            replica.agree(path, version)
        replica.applied(self.head, blind)

    def note(self, replica: Replica, path: str, step: Step) -> None:
        """What push and pull both do: nothing here moves a file or sends one."""
        assert step is not Step.WENT_BACK
        if step is Step.AGREE:
            replica.agree(path, replica.local[path])
        elif step is Step.DROP_BASE:
            replica.agree(path, None)
        elif step is Step.CONFLICT:
            record = self.head.records[path]
            replica.conflicts[path] = record
            if isinstance(record, Entry):
                self.copies.add(record.size)

    def sync_all(self) -> None:
        for replica in self.replicas:
            self.pull(replica)
            self.push(replica)
            self.pull(replica)

    def quiesce(self) -> None:
        """Edits stop, every conflict is resolved: both replicas sync until nothing is to do."""
        for _ in range(4):
            self.sync_all()
            for replica in self.replicas:
                for path in sorted(replica.conflicts):
                    self.resolve_ours(replica, path)


# --- histories --------------------------------------------------------------------------------

PATHS: Final = st.sampled_from(["a", "a", "b", "c"])
WHO: Final = st.sampled_from([0, 1])
SYNC: Final = st.tuples(st.sampled_from(["pull", "push"]), WHO, st.none() | PATHS)
USER: Final = st.tuples(
    st.sampled_from(["edit", "edit", "delete", "resolve_ours", "resolve_theirs"]), WHO, PATHS
)
FORGET: Final = st.just(("forget", 0, None))
WIPE: Final = st.tuples(st.just("wipe"), WHO, st.none())
Event = tuple[str, int, str | None]


def happen(world: World, event: Event) -> None:
    what, who, path = event
    replica = world.replicas[who]
    if what == "forget":
        world.head.forget()
    elif what == "wipe":
        world.wipe(replica)
    else:
        getattr(world, what)(replica, path)


def settled() -> World:
    """Both replicas have the same two files."""
    world = World()
    for path in ("a", "b"):
        world.edit(world.replicas[0], path)
    world.sync_all()
    return world


def run(events: list[Event]) -> World:
    world = settled()
    for event in events:
        happen(world, event)
    world.quiesce()
    return world


def assert_converged(world: World) -> None:
    for replica in world.replicas:
        assert not replica.conflicts
        assert replica.local == world.head.tree()
        assert replica.base == replica.local
        assert set(replica.plan(world.head).values()) <= {Step.NOTHING}
    seq = world.head.seq
    world.sync_all()
    assert world.head.seq == seq


def assert_nothing_lost(world: World) -> None:
    there = {*world.head.tree().values(), *world.copies, *world.replaced}
    assert set(range(1, world.versions + 1)) <= there


@settings(max_examples=300)
@given(st.lists(SYNC | USER | FORGET, max_size=30))
def test_replicas_converge_without_loss_or_resurrection(events: list[Event]) -> None:
    world = run(events)
    assert_converged(world)
    assert_nothing_lost(world)
    assert not world.replaced & set(world.head.tree().values())


@settings(max_examples=300)
@given(st.lists(SYNC | USER | FORGET | WIPE, max_size=30))
def test_a_lost_journal_loses_no_version(events: list[Event]) -> None:
    world = run(events)
    assert_converged(world)
    assert_nothing_lost(world)


REPEATED: Final = st.tuples(st.just("write"), WHO, PATHS, st.integers(1, 3))
OTHERS: Final = SYNC | USER | FORGET | WIPE


@settings(max_examples=300)
@given(st.lists(REPEATED | OTHERS.map(lambda event: (*event, 0)), max_size=30))
def test_replicas_converge_when_contents_come_back(
    events: list[tuple[str, int, str | None, int]],
) -> None:
    world = settled()
    for what, who, path, version in events:
        if what == "write" and path is not None:
            world.edit(world.replicas[who], path, version)
        else:
            happen(world, (what, who, path))
    world.quiesce()
    assert_converged(world)


# --- single histories -------------------------------------------------------------------------


def test_two_edits_of_one_version_are_both_kept() -> None:
    world = World()
    one, other = world.replicas
    world.edit(one, "a")
    world.sync_all()
    world.edit(one, "a")
    world.edit(other, "a")
    world.push(one)
    world.push(other)
    assert world.head.tree() == {"a": 2}
    assert other.local == {"a": 3}
    assert world.copies == {2}


def test_an_edit_wins_over_a_delete_that_had_not_seen_it() -> None:
    world = World()
    one, other = world.replicas
    world.edit(one, "a")
    world.sync_all()
    world.delete(one, "a")
    world.push(one)
    world.edit(other, "a")
    world.sync_all()
    world.pull(one)
    assert one.local == other.local == {"a": 2}


def test_a_file_deleted_while_a_replica_was_away_for_long_does_not_come_back() -> None:
    world = World()
    one, other = world.replicas
    world.edit(one, "a")
    world.sync_all()
    world.delete(one, "a")
    world.push(one)
    world.head.forget()
    world.sync_all()
    assert other.local == {}
    assert world.head.tree() == {}


def test_a_cache_that_lost_its_journal_and_its_files_deletes_nothing() -> None:
    world = World()
    one, other = world.replicas
    world.edit(one, "a")
    world.sync_all()
    other.local.clear()
    world.wipe(other)
    world.sync_all()
    assert one.local == other.local == {"a": 1}


def test_a_cache_that_lost_its_journal_does_not_bring_back_what_was_deleted() -> None:
    world = World()
    one, other = world.replicas
    world.edit(one, "a")
    world.sync_all()
    world.delete(one, "a")
    world.push(one)
    world.wipe(other)
    world.sync_all()
    assert one.local == other.local == {}


def test_a_cache_that_lost_its_journal_keeps_an_edit_of_what_was_deleted() -> None:
    world = World()
    one, other = world.replicas
    world.edit(one, "a")
    world.sync_all()
    world.delete(one, "a")
    world.push(one)
    world.edit(other, "a")
    world.wipe(other)
    world.sync_all()
    assert other.local == {"a": 2}
    assert other.conflicts.keys() == {"a"}
    world.quiesce()
    assert one.local == other.local == {"a": 3}


def test_a_head_that_lost_a_path_without_a_trace_is_seen() -> None:
    world = World()
    one, _ = world.replicas
    world.edit(one, "a")
    world.push(one)
    world.head.records.clear()
    assert one.plan(world.head) == {"a": Step.WENT_BACK}
