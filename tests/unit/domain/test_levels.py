"""The level rule: which two locks exclude each other, and in which order several are taken."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import levels, scopes
from swampd.domain.levels import Want
from swampd.domain.scopes import ALL, ROOT, Covers
from swampd.domain.values import Scope

DATA = Scope("data")
DATA_A = Scope("data/a")
DATA_B = Scope("data/b")
LOGS = Scope("logs")
LOGS_A = Scope("logs/a")
SCOPES = st.sampled_from([ALL, ROOT, DATA, DATA_A, DATA_B, LOGS, LOGS_A, Scope("database/a")])
WANTS = st.builds(Want, SCOPES, st.booleans())
LISTS = st.lists(WANTS, max_size=5)


def gate(scope: Scope) -> Want:
    return Want(scope, tree=True)


# --- what a client takes ----------------------------------------------------------------------


def test_a_want_says_what_its_record_covers() -> None:
    assert Want(DATA).covers is Covers.OWN
    assert gate(DATA).covers is Covers.TREE


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        (ALL, Covers.TREE),
        (DATA, Covers.TREE),
        (ROOT, Covers.OWN),
        (DATA_A, Covers.OWN),
        (Scope("data/a/b"), Covers.OWN),
    ],
)
def test_a_client_takes_a_gate_where_there_may_be_scopes_below(
    scope: Scope, covers: Covers
) -> None:
    assert levels.client_want(scope).scope == scope
    assert levels.client_want(scope).covers is covers


# --- who excludes whom ------------------------------------------------------------------------


@given(WANTS, WANTS)
def test_exclusion_is_mutual(one: Want, other: Want) -> None:
    assert levels.exclude(one, other) == levels.exclude(other, one)


@given(SCOPES, st.booleans(), st.booleans())
def test_two_wants_of_one_scope_exclude_each_other(
    scope: Scope,
    one: bool,  # noqa: FBT001
    other: bool,  # noqa: FBT001
) -> None:
    assert levels.exclude(Want(scope, one), Want(scope, other))


@given(SCOPES, WANTS)
def test_a_gate_excludes_what_is_below_it_and_nothing_beside_it(scope: Scope, other: Want) -> None:
    below = scopes.is_below(other.scope, scope)
    above = other.tree and scopes.is_below(scope, other.scope)
    same = other.scope == scope
    assert levels.exclude(gate(scope), other) == (same or below or above)


@given(SCOPES, SCOPES)
def test_own_locks_of_two_scopes_never_exclude_each_other(one: Scope, other: Scope) -> None:
    assert levels.exclude(Want(one), Want(other)) == (one == other)


def test_a_gate_on_everything_excludes_every_lock() -> None:
    assert all(
        levels.exclude(gate(ALL), Want(scope)) for scope in (ALL, ROOT, DATA, DATA_A, LOGS_A)
    )


def test_a_gate_does_not_cover_what_only_begins_like_it() -> None:
    assert not levels.exclude(gate(DATA), Want(Scope("database/a")))
    assert not levels.exclude(gate(DATA), gate(ROOT))


@given(LISTS, LISTS)
def test_several_exclude_several_when_one_excludes_one(
    some: list[Want], others: list[Want]
) -> None:
    pairs = itertools.product(some, others)
    expected = any(levels.exclude(one, other) for one, other in pairs)
    assert levels.any_exclude(iter(some), iter(others)) == expected
    assert levels.any_exclude(others, some) == expected


# --- the order --------------------------------------------------------------------------------


def test_locks_are_taken_everything_first_and_then_sorted() -> None:
    # "!" and "-" sort before "*" and "." as strings: it is the rule that puts `*` first.
    wants = [Want(DATA_A), Want(Scope("!")), gate(DATA), Want(ROOT), gate(ALL), Want(Scope("-"))]
    expected = [ALL, Scope("!"), Scope("-"), ROOT, DATA, DATA_A]
    assert [want.scope for want in levels.in_order(wants)] == expected


@given(LISTS)
def test_the_order_does_not_depend_on_how_it_was_asked(wants: list[Want]) -> None:
    assert levels.in_order(wants) == levels.in_order(reversed(wants))


@given(LISTS)
def test_each_scope_is_taken_once_as_a_gate_if_anybody_asks_so(wants: list[Want]) -> None:
    ordered = levels.in_order(wants)
    assert len({want.scope for want in ordered}) == len(ordered)
    assert {want.scope for want in ordered} == {want.scope for want in wants}
    for want in ordered:
        assert want.tree == (gate(want.scope) in wants)


@given(LISTS)
def test_a_gate_comes_before_what_is_below_it(wants: list[Want]) -> None:
    for earlier, later in itertools.combinations(levels.in_order(wants), 2):
        assert not scopes.is_below(earlier.scope, later.scope)


# --- asking for more while holding ------------------------------------------------------------


@pytest.mark.parametrize(
    ("wants", "held", "refused"),
    [
        ([], [gate(DATA)], False),
        ([gate(DATA)], [], False),
        ([gate(DATA)], [gate(LOGS)], True),
        ([gate(LOGS)], [gate(DATA)], False),
        ([gate(DATA)], [gate(DATA)], False),
        ([gate(ALL)], [gate(LOGS), Want(DATA_A)], True),
        ([gate(DATA)], [Want(DATA_A)], True),
        ([gate(DATA), Want(DATA_A)], [Want(DATA_B)], True),
        ([gate(DATA), Want(DATA_B)], [gate(ALL)], False),
        ([Want(Scope("!"))], [gate(ALL)], False),
        ([Want(DATA_A)], [Want(DATA_B)], True),
        ([gate(LOGS), gate(DATA)], [gate(LOGS)], True),
        ([gate(DATA)], [Want(DATA_A), gate(LOGS)], True),
        ([Want(DATA)], [Want(DATA_A)], True),
    ],
)
def test_who_holds_something_never_waits_for_what_sorts_before_it(
    wants: list[Want],
    held: list[Want],
    refused: bool,  # noqa: FBT001
) -> None:
    assert levels.sorts_before_held(iter(wants), iter(held)) is refused


@given(st.sets(SCOPES, min_size=2, max_size=2), st.booleans())
def test_of_two_clients_that_want_each_others_scope_only_one_may_wait(
    both: set[Scope],
    trees: bool,  # noqa: FBT001
) -> None:
    one, other = (Want(scope, trees) for scope in sorted(both))
    waits = [
        not levels.sorts_before_held([one], [other]),
        not levels.sorts_before_held([other], [one]),
    ]
    assert sorted(waits) == [False, True]
