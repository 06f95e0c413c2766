"""The simulator as tests: the corpus and fresh seeds are clean, mutants are caught."""

from __future__ import annotations

import pytest

from tests.sim.__main__ import FRESH_FROM, run_mutant
from tests.sim.corpus import AIMED, CORPUS
from tests.sim.runs import simulate
from tests.sim.workloads import LOADS

FRESH = 60
PARTS = 12
"""So that the tests' workers share them."""
QUICK = (
    "steal_at_once",
    "broken_is_free",
    "kept_across_reboot",
    "tombstones_dropped",
    "half_applied_head",
    "delete_by_absence",
    "size_only",
)


@pytest.mark.timeout(280)
@pytest.mark.parametrize("part", range(PARTS))
def test_corpus_and_fresh_seeds_are_clean(part: int) -> None:
    for seed in (*CORPUS, *range(FRESH_FROM, FRESH_FROM + FRESH))[part::PARTS]:
        result = simulate(seed)
        assert result.violation is None, f"python -m tests.sim --seed {seed}: {result.violation}"


@pytest.mark.parametrize("name", AIMED)
def test_seeds_of_a_workload_that_once_broke_something_are_clean(name: str) -> None:
    load = next(load for load in LOADS if load.name == name)
    for seed in AIMED[name]:
        result = simulate(seed, load)
        assert result.violation is None, f"--load {name} --seed {seed}: {result.violation}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", QUICK)
def test_a_mutant_is_caught(name: str) -> None:
    _, count, _ = run_mutant(name)
    assert count is not None
