"""Lock records: how they change hands, and how long a waiter waits."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import leases
from swampd.domain.leases import (
    Acquisition,
    Identity,
    LockRecord,
    LockState,
    Sighting,
)
from swampd.domain.outcomes import Found
from swampd.domain.scopes import Covers
from swampd.domain.values import BootId, Epoch, Nonce, Scope, Token, Wid

DATA = Scope("data")
ME = Identity("me@host", "host", 11, "daemon", BootId("boot"), "1.0")
OTHER = Identity("other@host", "elsewhere", 12, "daemon 2", BootId("boot 2"), "1.1")
MINE = Acquisition(
    DATA, Covers.TREE, Nonce("mine"), Wid("1" * 32), 30_000, "2024-01-01T00:00:00Z", "run"
)
THEIRS = Acquisition(
    DATA, Covers.OWN, Nonce("theirs"), Wid("2" * 32), 10_000, "2023-01-01T00:00:00Z", "push"
)
NEXT = Wid("3" * 32)
HELD = leases.acquired(None, Epoch(4), OTHER, THEIRS)
FREE = leases.released(HELD, NEXT, unanswered=False)

EPOCHS = st.integers(0, 2**40).map(Epoch)
DOUBTS = st.none() | EPOCHS
RECORDS = st.builds(
    msgspec.structs.replace,
    st.just(HELD),
    epoch=EPOCHS,
    in_doubt=DOUBTS,
    beat=st.integers(0, 9),
    state=st.sampled_from(LockState),
    covers=st.sampled_from(Covers),
    ttl_ms=st.integers(leases.LEAST_TTL_MS, leases.MOST_TTL_MS),
)
TTLS = st.integers(leases.LEAST_TTL_MS, leases.MOST_TTL_MS)


def changed(before: LockRecord, after: LockRecord) -> set[str]:
    """The names of the fields that differ."""
    return {
        name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)
    }


def acquire(previous: LockRecord | None, known: int = 0) -> LockRecord:
    return leases.acquired(previous, Epoch(known), ME, MINE)


# --- acquiring --------------------------------------------------------------------------------


def test_an_acquired_record_says_who_holds_what() -> None:
    assert acquire(None) == LockRecord(
        scope=DATA,
        state=LockState.HELD,
        covers=Covers.TREE,
        epoch=Epoch(1),
        nonce=Nonce("mine"),
        wid=Wid("1" * 32),
        beat=0,
        ttl_ms=30_000,
        in_doubt=None,
        holder="me@host",
        hostname="host",
        pid=11,
        daemon="daemon",
        boot_id=BootId("boot"),
        version="1.0",
        acquired_at="2024-01-01T00:00:00Z",
        purpose="run",
    )


def test_nothing_of_the_holder_before_stays_but_its_epoch() -> None:
    taken = acquire(HELD)
    fresh = acquire(None)
    assert changed(fresh, taken) == {"epoch", "in_doubt"}


@given(st.none() | RECORDS, EPOCHS)
def test_each_acquisition_has_a_higher_epoch_than_anybody_has_seen(
    previous: LockRecord | None, known: Epoch
) -> None:
    record = leases.acquired(previous, known, ME, MINE)
    assert record.epoch > known
    assert previous is None or record.epoch > previous.epoch
    assert record.epoch == max(known, 0 if previous is None else previous.epoch) + 1


@given(RECORDS, EPOCHS)
def test_in_doubt_is_carried_to_the_next_holder(previous: LockRecord, known: Epoch) -> None:
    record = leases.acquired(previous, known, ME, MINE)
    if previous.in_doubt is not None:
        assert record.in_doubt is not None
        assert record.in_doubt >= previous.in_doubt


@given(RECORDS)
def test_taking_over_leaves_the_holder_before_in_doubt(previous: LockRecord) -> None:
    record = acquire(previous)
    if previous.state is LockState.FREE:
        assert record.in_doubt == previous.in_doubt
    else:
        assert record.in_doubt is not None
        assert record.in_doubt >= previous.epoch


def test_a_missing_record_leaves_nobody_in_doubt() -> None:
    assert acquire(None, 9).in_doubt is None


@given(EPOCHS)
def test_a_damaged_record_leaves_what_is_known_of_it_in_doubt(known: Epoch) -> None:
    record = acquire(None, known)
    after = leases.after_damage(record, known)
    assert changed(record, after) == {"in_doubt"}
    assert after.in_doubt == known
    assert after.epoch > known


@given(DOUBTS, EPOCHS)
def test_of_two_doubts_the_higher_stands(known: Epoch | None, epoch: Epoch) -> None:
    result = leases.doubt(known, epoch)
    assert result in {known, epoch}
    assert result >= epoch
    assert known is None or result >= known


# --- renewing, releasing, breaking ------------------------------------------------------------


@given(RECORDS)
def test_a_renewal_is_the_same_acquisition_in_other_bytes(record: LockRecord) -> None:
    renewed = leases.renewed(record, NEXT)
    assert changed(record, renewed) <= {"wid", "beat"}
    assert renewed.wid == NEXT
    assert renewed.beat == record.beat + 1


@given(RECORDS)
def test_a_renewal_by_one_who_waited_a_horizon_ends_the_doubt(record: LockRecord) -> None:
    renewed = leases.renewed(record, NEXT, doubt_is_over=True)
    assert renewed.in_doubt is None
    assert changed(record, renewed) <= {"wid", "beat", "in_doubt"}


@given(RECORDS)
def test_a_release_keeps_epoch_nonce_and_doubt(record: LockRecord) -> None:
    released = leases.released(record, NEXT, unanswered=False)
    assert released.state is LockState.FREE
    assert released.wid == NEXT
    assert changed(record, released) <= {"wid", "state"}


@given(RECORDS)
def test_a_release_with_unanswered_requests_leaves_its_epoch_in_doubt(record: LockRecord) -> None:
    released = leases.released(record, NEXT, unanswered=True)
    assert released.state is LockState.FREE
    assert released.in_doubt == leases.doubt(record.in_doubt, record.epoch)
    assert changed(record, released) <= {"wid", "state", "in_doubt"}


@given(RECORDS)
def test_a_break_keeps_epoch_and_nonce_and_leaves_them_in_doubt(record: LockRecord) -> None:
    broken = leases.broken(record, NEXT)
    assert broken.state is LockState.BROKEN
    assert broken.wid == NEXT
    assert broken.in_doubt == leases.doubt(record.in_doubt, record.epoch)
    assert changed(record, broken) <= {"wid", "state", "in_doubt"}


@given(RECORDS)
def test_who_frees_anothers_record_leaves_it_in_doubt(record: LockRecord) -> None:
    freed = leases.freed(record, NEXT)
    assert freed.state is LockState.FREE
    assert freed.wid == NEXT
    assert freed.in_doubt == leases.doubt(record.in_doubt, record.epoch)
    assert changed(record, freed) <= {"wid", "state", "in_doubt"}


@given(RECORDS)
def test_what_was_broken_or_freed_is_in_doubt_for_whoever_comes_next(record: LockRecord) -> None:
    for left in (leases.broken(record, NEXT), leases.freed(record, NEXT)):
        in_doubt = acquire(left).in_doubt
        assert in_doubt is not None
        assert in_doubt >= record.epoch


# --- how long ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl_ms", "margin", "lifetime", "renewal", "patience"),
    [
        (2_000, 0.2, 1.8, 0.6, 2.24),
        (10_000, 1.0, 9.0, 3.0, 11.2),
        (30_000, 2.0, 28.0, 28 / 3, 32.6),
        (120_000, 2.0, 118.0, 118 / 3, 124.4),
    ],
)
def test_the_times_of_a_lease(
    ttl_ms: int, margin: float, lifetime: float, renewal: float, patience: float
) -> None:
    assert leases.margin_s(ttl_ms) == pytest.approx(margin)
    assert leases.lifetime_s(ttl_ms) == pytest.approx(lifetime)
    assert leases.renewal_s(ttl_ms) == pytest.approx(renewal)
    assert leases.patience_s(ttl_ms) == pytest.approx(patience)


@given(TTLS)
def test_a_waiter_outwaits_every_holder_whose_clock_is_2_percent_slow(ttl_ms: int) -> None:
    assert leases.patience_s(ttl_ms) > leases.lifetime_s(ttl_ms) * 1.02
    assert leases.patience_s(ttl_ms) >= ttl_ms / 1000 * 1.02


@given(st.integers(-(2**62), 2**62))
def test_no_record_makes_a_waiter_hurry_or_wait_for_ever(ttl_ms: int) -> None:
    shortest = leases.patience_s(leases.LEAST_TTL_MS)
    longest = leases.patience_s(leases.MOST_TTL_MS)
    assert shortest <= leases.patience_s(ttl_ms) <= longest


@given(TTLS)
def test_a_lease_can_be_renewed_before_it_ends(ttl_ms: int) -> None:
    assert 0 < leases.renewal_s(ttl_ms) * 2 < leases.lifetime_s(ttl_ms) < ttl_ms / 1000


def test_a_lease_ends_long_before_the_horizon() -> None:
    assert leases.patience_s(leases.MOST_TTL_MS) * 2 < leases.HORIZON_S


# --- waiting ----------------------------------------------------------------------------------


def found(tag: str) -> Found:
    return Found(Token(tag), 0)


def seen(record: LockRecord | None, since: float = 0.0) -> Sighting:
    return Sighting(Token("a"), record, since)


def test_only_a_free_record_is_free() -> None:
    assert seen(FREE).is_free
    assert not seen(HELD).is_free
    assert not seen(leases.broken(HELD, NEXT)).is_free
    assert not seen(None).is_free


@pytest.mark.parametrize(
    ("state", "covers", "gate"),
    [
        (LockState.HELD, Covers.TREE, True),
        (LockState.BROKEN, Covers.TREE, True),
        (LockState.FREE, Covers.TREE, False),
        (LockState.HELD, Covers.OWN, False),
        (LockState.BROKEN, Covers.OWN, False),
        (LockState.FREE, Covers.OWN, False),
    ],
)
def test_a_gate_stands_until_it_is_free(
    state: LockState,
    covers: Covers,
    gate: bool,  # noqa: FBT001
) -> None:
    assert seen(msgspec.structs.replace(HELD, state=state, covers=covers)).is_gate is gate


def test_a_damaged_record_is_a_gate_held_for_the_default_ttl() -> None:
    damaged = seen(None, since=5.0)
    assert damaged.is_gate
    assert not damaged.is_free
    patience = leases.patience_s(leases.DEFAULT_TTL_MS)
    assert not damaged.may_be_taken(5.0 + patience - 0.001)
    assert damaged.may_be_taken(5.0 + patience + 0.001)


@given(RECORDS, st.floats(0, 10**6))
def test_a_record_is_taken_over_only_after_its_own_ttl(record: LockRecord, since: float) -> None:
    sighting = seen(record, since)
    patience = leases.patience_s(record.ttl_ms)
    assert not sighting.may_be_taken(since)
    assert not sighting.may_be_taken(since + patience - 0.001)
    assert sighting.may_be_taken(since + patience + 0.001)


def test_the_wait_begins_after_the_first_read() -> None:
    first = leases.sight(None, found("a"), HELD, 7.0)
    assert first == Sighting(Token("a"), HELD, 7.0)


def test_the_same_token_lets_the_wait_go_on() -> None:
    first = leases.sight(None, found("a"), HELD, 7.0)
    assert leases.sight(first, found("a"), HELD, 9.0) is first


def test_a_new_token_restarts_the_wait() -> None:
    first = leases.sight(None, found("a"), HELD, 0.0)
    patience = leases.patience_s(HELD.ttl_ms)
    renewed = leases.renewed(HELD, NEXT)
    second = leases.sight(first, found("b"), renewed, patience)
    assert second == Sighting(Token("b"), renewed, patience)
    assert first.may_be_taken(patience)
    assert not second.may_be_taken(patience)
    assert leases.sight(second, found("a"), HELD, 2 * patience).since == 2 * patience
