"""Whatever can be wrong has a way out that a person can follow."""

from __future__ import annotations

import re

import pytest

from swampd.domain.states import (
    CONFLICT_WAYS_OUT,
    HALT_WAYS_OUT,
    PATH_WAYS_OUT,
    ConflictKind,
    Halt,
    PathState,
)

MEMBERS = [*Halt, *PathState, *ConflictKind]
COMMANDS = {"status", "lock", "push", "pull", "conflicts", "daemon"}


@pytest.mark.parametrize("member", MEMBERS, ids=str)
def test_every_member_has_a_way_out(member: Halt | PathState | ConflictKind) -> None:
    assert member.way_out


def test_there_is_no_way_out_of_nothing() -> None:
    assert set(HALT_WAYS_OUT) == set(Halt)
    assert set(PATH_WAYS_OUT) == set(PathState)
    assert set(CONFLICT_WAYS_OUT) == set(ConflictKind)


@pytest.mark.parametrize("member", MEMBERS, ids=str)
def test_a_way_out_names_only_commands_that_there_are(
    member: Halt | PathState | ConflictKind,
) -> None:
    assert set(re.findall(r"swampctl (\w+)", member.way_out)) <= COMMANDS


@pytest.mark.parametrize("kinds", [Halt, PathState, ConflictKind])
def test_values_are_the_words_that_status_shows(
    kinds: type[Halt | PathState | ConflictKind],
) -> None:
    assert all(member.value == member.name.lower() for member in kinds)
