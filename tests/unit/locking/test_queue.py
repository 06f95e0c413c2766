"""The local queue: first come, first served, by the level rule."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from swampd.domain.levels import Want, any_exclude
from swampd.domain.scopes import ALL, ROOT
from swampd.domain.values import Scope
from swampd.locking.queue import LocalQueue, Turn

DATA = Scope("data")
DATA_A = Scope("data/a")
DATA_B = Scope("data/b")
LOGS = Scope("logs")
WANTS = st.builds(Want, st.sampled_from([ALL, ROOT, DATA, DATA_A, DATA_B, LOGS]), st.booleans())
ASKED = st.lists(st.lists(WANTS, min_size=1, max_size=3).map(tuple), max_size=8)


def gate(scope: Scope) -> Want:
    return Want(scope, tree=True)


def enter(queue: LocalQueue, owner: str, *wants: Want) -> Turn:
    turn = Turn(wants, owner, f"purpose of {owner}")
    queue.enter(turn)
    return turn


def granted(*turns: Turn) -> list[bool]:
    return [turn.granted.is_set() for turn in turns]


# --- first come, first served -----------------------------------------------------------------


def test_the_first_is_granted_at_once() -> None:
    queue = LocalQueue()
    turn = enter(queue, "a", gate(DATA))
    assert granted(turn) == [True]
    assert queue.active() == (turn,)
    assert queue.in_the_way(turn) is None


def test_who_wants_the_same_scope_waits_in_line() -> None:
    queue = LocalQueue()
    first, second, third = (enter(queue, owner, Want(DATA_A)) for owner in "abc")
    assert granted(first, second, third) == [True, False, False]
    assert queue.in_the_way(second) is first
    assert queue.in_the_way(third) is first
    queue.leave(first)
    assert granted(second, third) == [True, False]
    assert queue.in_the_way(third) is second
    queue.leave(second)
    assert granted(third) == [True]
    assert queue.active() == (third,)


def test_who_gives_up_waiting_is_in_nobodys_way() -> None:
    queue = LocalQueue()
    first = enter(queue, "a", Want(DATA_A))
    second = enter(queue, "b", gate(DATA))
    third = enter(queue, "c", Want(DATA_B))
    assert granted(first, second, third) == [True, False, False]
    queue.leave(second)
    assert granted(first, second, third) == [True, False, True]


def test_a_turn_that_has_not_lined_up_would_wait_for_whom_it_excludes() -> None:
    queue = LocalQueue()
    first = enter(queue, "a", Want(DATA))
    assert queue.in_the_way(Turn((Want(DATA),), "b", "")) is first
    assert queue.in_the_way(Turn((Want(LOGS),), "b", "")) is None


def test_leaving_twice_does_no_harm() -> None:
    queue = LocalQueue()
    first = enter(queue, "a", Want(DATA))
    second = enter(queue, "b", Want(DATA))
    queue.leave(first)
    queue.leave(first)
    assert queue.active() == (second,)


def test_a_granted_turn_stays_granted_while_others_come_and_go() -> None:
    queue = LocalQueue()
    first = enter(queue, "a", Want(DATA))
    queue.leave(enter(queue, "b", gate(ALL)))
    queue.move_up()
    assert queue.active() == (first,)


# --- the level rule ---------------------------------------------------------------------------


def test_who_wants_something_else_does_not_wait() -> None:
    queue = LocalQueue()
    wants = [Want(DATA), Want(DATA_A), Want(DATA_B), gate(LOGS), Want(ROOT)]
    turns = [enter(queue, f"owner of {want.scope}", want) for want in wants]
    assert granted(*turns) == [True] * 5


def test_a_gate_waits_for_everything_below_it() -> None:
    queue = LocalQueue()
    below = [enter(queue, "a", Want(DATA_A)), enter(queue, "b", Want(DATA_B))]
    above = enter(queue, "c", gate(DATA))
    for turn in below:
        assert granted(above) == [False]
        assert queue.in_the_way(above) is turn
        queue.leave(turn)
    assert granted(above) == [True]


def test_what_is_below_waits_for_a_gate() -> None:
    queue = LocalQueue()
    above = enter(queue, "a", gate(ALL))
    below = [enter(queue, "b", Want(DATA_A)), enter(queue, "c", gate(LOGS))]
    assert granted(*below) == [False, False]
    queue.leave(above)
    assert granted(*below) == [True, True]


def test_a_waiting_gate_is_not_passed_by_what_is_below_it() -> None:
    queue = LocalQueue()
    first = enter(queue, "a", Want(DATA_A))
    above = enter(queue, "b", gate(DATA))
    late = enter(queue, "c", Want(DATA_B))
    beside = enter(queue, "d", Want(LOGS))
    assert granted(first, above, late, beside) == [True, False, False, True]
    assert queue.in_the_way(late) is above
    queue.leave(first)
    assert granted(above, late) == [True, False]


def test_several_scopes_are_one_turn() -> None:
    queue = LocalQueue()
    first = enter(queue, "a", Want(LOGS))
    both = enter(queue, "b", Want(DATA), Want(LOGS))
    last = enter(queue, "c", Want(DATA))
    assert granted(first, both, last) == [True, False, False]
    queue.leave(first)
    assert granted(both, last) == [True, False]


# --- the same owner ---------------------------------------------------------------------------


def test_a_clients_own_gate_does_not_block_what_it_takes_below() -> None:
    queue = LocalQueue()
    above = enter(queue, "a", gate(DATA))
    below = enter(queue, "a", Want(DATA_A))
    assert granted(above, below) == [True, True]


def test_what_a_client_holds_does_not_block_its_own_gate_above() -> None:
    queue = LocalQueue()
    below = enter(queue, "a", Want(DATA_A))
    above = enter(queue, "a", gate(DATA))
    assert granted(below, above) == [True, True]


def test_a_clients_own_turns_on_one_scope_follow_each_other() -> None:
    queue = LocalQueue()
    first = enter(queue, "a", Want(LOGS), Want(DATA))
    second = enter(queue, "a", Want(DATA), Want(DATA_A))
    assert granted(first, second) == [True, False]
    assert queue.in_the_way(second) is first
    queue.leave(first)
    assert granted(second) == [True]


# --- who waits for what somebody has ----------------------------------------------------------


def test_only_somebody_else_who_still_waits_counts_as_waiting() -> None:
    queue = LocalQueue()
    first = enter(queue, "a", Want(DATA_A))
    assert not queue.waits_for((Want(DATA_A),), "b")
    second = enter(queue, "b", gate(DATA))
    assert queue.waits_for((Want(DATA_A),), "a")
    assert queue.waits_for((Want(DATA_B),), "a")
    assert not queue.waits_for((Want(LOGS),), "a")
    assert not queue.waits_for((Want(DATA_A),), "b")
    queue.leave(first)
    assert granted(second) == [True]
    assert not queue.waits_for((Want(DATA_A),), "a")


# --- whatever is asked ------------------------------------------------------------------------


@given(ASKED, st.data())
def test_no_two_clients_ever_have_what_excludes_each_other(
    asked: list[tuple[Want, ...]], data: st.DataObject
) -> None:
    queue = LocalQueue()
    turns = [enter(queue, f"client {number}", *wants) for number, wants in enumerate(asked)]
    while turns:
        for one, other in itertools.combinations(queue.active(), 2):
            assert not any_exclude(one.wants, other.wants)
        gone = data.draw(st.sampled_from(turns))
        turns.remove(gone)
        queue.leave(gone)
    assert queue.active() == ()


@given(ASKED)
def test_everybody_gets_a_turn_when_those_who_have_one_end_it(
    asked: list[tuple[Want, ...]],
) -> None:
    queue = LocalQueue()
    waiting = [enter(queue, f"client {number}", *wants) for number, wants in enumerate(asked)]
    while waiting:
        active = queue.active()
        assert waiting[0] in active
        for turn in active:
            waiting.remove(turn)
            queue.leave(turn)
