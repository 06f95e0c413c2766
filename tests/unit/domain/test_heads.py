"""Heads: what a claim, a commit and a settlement change, and what stays."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import heads, sizes
from swampd.domain.entries import Entry, Record, Redo, Tombstone
from swampd.domain.heads import Child, Head, HeadKind, ManifestRef, Stamp
from swampd.domain.values import CachePath, DatastoreId, Epoch, Nonce, Scope, Seq, Sha256, Wid

STORE = DatastoreId("d" * 32)
DATA = Scope("data")
X = CachePath("data/x")
Y = CachePath("data/y")
SHA = Sha256("a" * 64)
ENTRY = Entry(3, SHA, 5, x=False, wid=Wid("e" * 32), token=None)
INLINE = msgspec.structs.replace(ENTRY, redo=Redo(inline=b"abc"))
STAGED = msgspec.structs.replace(ENTRY, redo=Redo(staged=Wid("f" * 32)))
TOMBSTONE = Tombstone(Wid("0" * 32), SHA, Seq(4), 6, swept=False)
DAY_MS = 24 * 3600 * 1000


def wid(number: int) -> Wid:
    return Wid(f"{number:032x}")


def stamp(number: int) -> Stamp:
    return Stamp(Epoch(number), Nonce(f"nonce {number}"), wid(number), f"daemon {number}")


FRESH = heads.fresh(STORE, DATA, stamp(1))


def after_commits(count: int, head: Head = FRESH) -> Head:
    for number in range(count):
        head = heads.committed(head, stamp(100 + number), {})
    return head


def size_of(rows: dict[CachePath, Record]) -> int:
    return len(msgspec.json.encode(rows))


def delta_of(size: int) -> dict[CachePath, Record]:
    """Rows of exactly so many bytes of JSON."""
    delta: dict[CachePath, Record] = {}
    for number in itertools.count():
        path = CachePath(f"data/{number:06}")
        more: dict[CachePath, Record] = {**delta, path: ENTRY}
        if size_of(more) > size:
            break
        delta = more
    *_, last = delta
    padding = size - size_of(delta)
    del delta[last]
    return {**delta, CachePath(last + "x" * padding): ENTRY}


def refs(*sizes: int) -> tuple[ManifestRef, ...]:
    return tuple(ManifestRef(wid(number), 1, size, SHA) for number, size in enumerate(sizes))


def who(head: Head) -> tuple[Epoch, Nonce, Wid, str]:
    return (head.epoch, head.nonce, head.wid, head.writer)


# --- writes of a head -------------------------------------------------------------------------


def test_a_head_is_created_as_the_claim() -> None:
    assert FRESH.kind is HeadKind.CLAIM
    assert who(FRESH) == (1, "nonce 1", wid(1), "daemon 1")
    assert (FRESH.schema, FRESH.datastore_id, FRESH.scope) == (1, STORE, DATA)
    assert (FRESH.seq, FRESH.recent, FRESH.forgotten_seq) == (0, (), 0)
    assert (FRESH.children, FRESH.manifests, FRESH.delta) == ({}, (), {})


@pytest.mark.parametrize("kind", [HeadKind.CLAIM, HeadKind.DECLARE, HeadKind.SETTLE])
def test_only_a_commit_raises_seq(kind: HeadKind) -> None:
    head = heads.committed(FRESH, stamp(2), {X: ENTRY})
    again = heads.restamped(head, stamp(3), kind)
    assert again.kind is kind
    assert who(again) == (3, "nonce 3", wid(3), "daemon 3")
    assert again.seq == head.seq
    assert again.recent == head.recent
    assert again.delta == head.delta


def test_a_commit_raises_seq_by_one_and_adds_its_changes() -> None:
    head = heads.committed(FRESH, stamp(2), {X: ENTRY, Y: ENTRY})
    head = heads.committed(head, stamp(3), {Y: TOMBSTONE})
    assert head.kind is HeadKind.COMMIT
    assert head.seq == 2
    assert who(head) == (3, "nonce 3", wid(3), "daemon 3")
    assert head.delta == {X: ENTRY, Y: TOMBSTONE}
    assert head.recent == (wid(3), wid(2))


def test_the_head_before_a_commit_stays_what_it_was() -> None:
    before = heads.committed(FRESH, stamp(2), {X: ENTRY})
    heads.committed(before, stamp(3), {Y: ENTRY})
    assert before.delta == {X: ENTRY}
    assert before.seq == 1


def test_a_settlement_writes_rows_but_is_no_commit() -> None:
    head = heads.committed(FRESH, stamp(2), {X: INLINE, Y: TOMBSTONE})
    settled = heads.settled(head, stamp(3), {X: ENTRY})
    assert settled.kind is HeadKind.SETTLE
    assert settled.delta == {X: ENTRY, Y: TOMBSTONE}
    assert (settled.seq, settled.recent) == (head.seq, head.recent)
    assert who(settled) == (3, "nonce 3", wid(3), "daemon 3")


@pytest.mark.parametrize("kind", HeadKind)
def test_what_children_have_leaves_the_delta_with_any_write(kind: HeadKind) -> None:
    child = {Scope("data/a"): Child(None)}
    masked = {CachePath("data/a/x"): INLINE}
    head = msgspec.structs.replace(FRESH, children=child, delta={X: INLINE, **masked})
    assert heads.restamped(head, stamp(2), kind).delta == {X: INLINE}
    assert heads.committed(head, stamp(2), {Y: ENTRY}).delta == {X: INLINE, Y: ENTRY}
    assert heads.settled(head, stamp(2), {Y: ENTRY}).delta == {X: INLINE, Y: ENTRY}


# --- what a head remembers --------------------------------------------------------------------


@given(st.integers(0, 40))
def test_a_head_remembers_its_last_16_commits_newest_first(count: int) -> None:
    head = after_commits(count)
    commits = [wid(100 + number) for number in range(count)]
    assert head.seq == count
    assert head.recent == tuple(reversed(commits[-16:]))


@given(st.integers(0, 40))
def test_a_commit_is_found_until_it_is_too_long_ago_to_tell(others: int) -> None:
    base = after_commits(3)
    mine = heads.committed(base, stamp(7), {})
    later = after_commits(others, mine)
    assert heads.names_commit(later, wid(7)) == (others < 16)
    if not heads.names_commit(later, wid(7)):
        assert heads.forgets_commit(later, base.seq)


@given(st.integers(0, 40))
def test_a_commit_that_never_was_is_told_for_15_commits(others: int) -> None:
    base = after_commits(3)
    later = after_commits(others, base)
    assert not heads.names_commit(later, wid(7))
    assert heads.forgets_commit(later, base.seq) == (others >= 16)


def test_a_claim_is_no_commit() -> None:
    assert not heads.names_commit(FRESH, FRESH.wid)


@pytest.mark.parametrize(
    ("highest", "back"),
    [
        ((5, 9), False),
        ((4, 8), False),
        ((4, 9), False),
        ((5, 8), False),
        ((6, 9), True),
        ((5, 10), True),
        ((6, 8), True),
        ((4, 10), True),
    ],
)
def test_a_head_whose_epoch_or_seq_is_lower_than_it_was_went_back(
    highest: tuple[int, int],
    back: bool,  # noqa: FBT001
) -> None:
    head = msgspec.structs.replace(FRESH, epoch=Epoch(5), seq=Seq(9))
    assert heads.went_back(head, (Epoch(highest[0]), Seq(highest[1]))) is back


@given(st.lists(st.sampled_from(HeadKind), max_size=8), st.integers(0, 7))
def test_no_later_head_went_back(kinds: list[HeadKind], since: int) -> None:
    history = [FRESH]
    for number, kind in enumerate(kinds, 2):
        if kind is HeadKind.COMMIT:
            history.append(heads.committed(history[-1], stamp(number), {}))
        else:
            history.append(heads.restamped(history[-1], stamp(number), kind))
    seen = history[min(since, len(history) - 1)]
    assert not heads.went_back(history[-1], (seen.epoch, seen.seq))


# --- children ---------------------------------------------------------------------------------


def test_only_children_whose_head_was_seen_are_pending_no_more() -> None:
    a, b, c = Scope("data/a"), Scope("data/b"), Scope("data/c")
    children = {a: Child(wid(1)), b: Child({}), c: Child(wid(3))}
    head = msgspec.structs.replace(FRESH, children=children)
    seen = heads.with_seen_children(head, {a, b, Scope("data/unknown")})
    assert seen.children == {a: Child(None), b: Child(None), c: Child(wid(3))}
    assert heads.with_seen_children(head, ()) == head
    assert head.children == children


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        ("data/a/x", True),
        ("data/a/b/c", True),
        ("data/a", False),
        ("data/ab/x", False),
        ("data/x", False),
    ],
)
def test_a_parent_says_nothing_of_what_is_below_a_child(
    path: str,
    masked: bool,  # noqa: FBT001
) -> None:
    children = [Scope("data/b"), Scope("data/a")]
    assert heads.masked(CachePath(path), children) is masked
    assert not heads.masked(CachePath(path), [])


# --- manifests --------------------------------------------------------------------------------


def test_a_delta_up_to_its_limit_stays() -> None:
    assert size_of(delta_of(heads.DELTA_LIMIT)) == heads.DELTA_LIMIT
    assert heads.overflow(FRESH) == {}
    full = msgspec.structs.replace(FRESH, delta=delta_of(heads.DELTA_LIMIT))
    assert heads.overflow(full) == {}


def test_a_delta_over_its_limit_becomes_a_manifest() -> None:
    delta = delta_of(heads.DELTA_LIMIT + 1)
    assert heads.overflow(msgspec.structs.replace(FRESH, delta=delta)) == delta


def test_entries_with_an_inline_copy_stay_in_the_delta() -> None:
    loose = {**delta_of(heads.DELTA_LIMIT), X: STAGED, Y: TOMBSTONE}
    inline: dict[CachePath, Record] = {CachePath("data/inline"): INLINE}
    head = msgspec.structs.replace(FRESH, delta={**inline, **loose})
    assert heads.overflow(head) == loose


def test_inline_copies_alone_never_make_a_manifest() -> None:
    large = msgspec.structs.replace(ENTRY, redo=Redo(inline=b"x" * sizes.SIZES.inline))
    inline: dict[CachePath, Record] = {CachePath(f"data/{n}"): large for n in range(16)}
    assert size_of(inline) > heads.DELTA_LIMIT
    head = msgspec.structs.replace(FRESH, delta={**inline, X: ENTRY})
    assert heads.overflow(head) == {}


def test_an_empty_inline_copy_is_one_too() -> None:
    empty = msgspec.structs.replace(ENTRY, size=0, redo=Redo(inline=b""))
    head = msgspec.structs.replace(FRESH, delta={**delta_of(heads.DELTA_LIMIT + 1), X: empty})
    assert X not in heads.overflow(head)


@pytest.mark.parametrize(
    ("newest", "older", "count"),
    [
        (100, (), 0),
        (100, (200,), 0),
        (100, (199,), 1),
        (0, (100,), 0),
        (100, (100, 400), 1),
        (100, (100, 399), 2),
        (100, (1000, 1), 0),
        (100, (1, 1, 1), 3),
        (100, (150, 499, 1500, 4500), 2),
    ],
)
def test_neighbours_are_merged_while_the_newer_is_larger_than_half_the_older(
    newest: int, older: tuple[int, ...], count: int
) -> None:
    assert heads.neighbours_to_merge(newest, refs(*older)) == count


SIZES = st.integers(1, 1 << 40)


@given(SIZES, st.lists(SIZES, max_size=8))
def test_what_is_merged_is_what_the_rule_says(newest: int, older: list[int]) -> None:
    count = heads.neighbours_to_merge(newest, refs(*older))
    sums = [newest + sum(older[:taken]) for taken in range(len(older) + 1)]
    assert all(sums[taken] * 2 > older[taken] for taken in range(count))
    assert count == len(older) or sums[count] * 2 <= older[count]


@given(st.lists(SIZES, max_size=60))
def test_there_are_few_manifests_however_often_one_is_added(sizes: list[int]) -> None:
    manifests: tuple[ManifestRef, ...] = ()
    for size in sizes:
        count = heads.neighbours_to_merge(size, manifests)
        merged = size + sum(ref.bytes for ref in manifests[:count])
        manifests = (*refs(merged), *manifests[count:])
    for newer, older in itertools.pairwise(manifests):
        assert newer.bytes * 2 <= older.bytes
    assert len(manifests) <= 47  # each at least twice its neighbour, all at most 60 x 2^40


# --- tombstones -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("swept", "age_ms", "forgotten"),
    [
        (True, 90 * DAY_MS + 1, True),
        (True, 90 * DAY_MS, False),
        (True, 0, False),
        (True, -DAY_MS, False),
        (False, 90 * DAY_MS + 1, False),
        (False, 0, False),
    ],
)
def test_a_tombstone_is_forgotten_when_it_is_swept_and_older_than_90_days(
    swept: bool,  # noqa: FBT001
    age_ms: int,
    forgotten: bool,  # noqa: FBT001
) -> None:
    now_ms = 1_700_000_000_000
    tombstone = msgspec.structs.replace(TOMBSTONE, at=now_ms - age_ms, swept=swept)
    assert heads.may_forget(tombstone, now_ms) is forgotten


def test_an_entry_is_never_forgotten() -> None:
    assert not heads.may_forget(ENTRY, 1 << 60)
