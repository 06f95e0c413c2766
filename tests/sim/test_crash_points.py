"""Crash points as tests: a share of each scenario is clean, points repeat, broken engines show.

`make sim` runs all of them.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from tests.sim.crashes.command import enumerate_points, share_of
from tests.sim.crashes.corpus import KNOWN
from tests.sim.crashes.points import How, Point, When
from tests.sim.crashes.running import crash
from tests.sim.crashes.scenarios import BY_NAME, SCENARIOS
from tests.sim.mutants import MUTANTS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.sim.crashes.scenario import Scenario

SHARE = 1
"""So many points of each scenario."""
BITES = (
    ("placements_not_journalled", "pull_all_kinds", "tree.rename_new:data/", "S14"),
    ("not_synced_before_rename", "pull_all_kinds", "tree.exchange:data/", "S8"),
    ("base_before_commit", "push_all_kinds", "journal.commit:Bases.change.both", "S1"),
)
"""A broken engine, and where it shows: in this scenario, right after these operations."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_share_of_the_points_of_a_scenario_is_clean(scenario: Scenario) -> None:
    for point in share_of(enumerate_points([scenario]), SHARE):
        ran = crash(point)
        assert ran.violation is None, f"{ran.replay}: {ran.violation}"


@pytest.mark.parametrize("name", KNOWN)
def test_a_point_that_once_broke_something_is_clean(name: str) -> None:
    ran = crash(Point.parse(name))
    assert ran.violation is None, f"{ran.replay}: {ran.violation}"


@pytest.mark.parametrize(("mutant", "scenario", "operation", "invariant"), BITES)
def test_a_broken_engine_is_caught_and_the_sound_one_is_not(
    mutant: str, scenario: str, operation: str, invariant: str
) -> None:
    broken = next(one for one in MUTANTS if one.name == mutant)
    assert invariant in _broken_right_after(scenario, operation, broken.apply())
    assert _broken_right_after(scenario, operation, nullcontext()) == set()


def _broken_right_after(
    scenario: str, operation: str, engine: AbstractContextManager[None]
) -> set[str | None]:
    """Which invariants break when the daemon ends right after operations that begin so."""
    with engine:
        points = [
            point
            for point in enumerate_points([BY_NAME[scenario]])
            if point.operation.startswith(operation) and point.when is When.AFTER
        ]
        assert points
        return {ran.invariant for ran in map(crash, points) if ran.violation is not None}


def test_a_point_that_is_replayed_ends_the_same() -> None:
    name = "push_all_kinds:store.replace:_control/swampd/heads/data.json#1:late:power"
    point = Point.parse(name)
    assert point.name == name
    assert (point.when, point.how) == (When.LATE, How.POWER)
    first, second = crash(point), crash(point)
    assert first.violation is None
    assert first.digest == second.digest


def test_a_point_that_is_not_reached_is_told() -> None:
    point = Point("release", "store.get:nowhere#1", When.BEFORE, How.KILLED)
    ran = crash(point)
    assert ran.invariant == "replay"
    assert ran.replay == f"python -m tests.sim --crash-point '{point.name}'"
