"""The simulator as tests: the corpus and fresh seeds are clean, runs repeat, mutants are caught."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys

import pytest

from tests.sim.__main__ import FRESH_FROM, run_mutants, run_seeds
from tests.sim.corpus import CORPUS
from tests.sim.loop import Livelock, count_step, run
from tests.sim.mutants import MUTANTS
from tests.sim.runs import silence, simulate

FRESH = 200
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
def test_corpus_and_fresh_seeds_are_clean() -> None:
    broken = run_seeds((*CORPUS, *range(FRESH_FROM, FRESH_FROM + FRESH)))
    assert not broken, [(r.seed, r.violation) for r in broken]


def test_a_run_that_spins_ends() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - it is what must be found
            await asyncio.sleep(0)

    async def creep() -> None:
        while True:  # noqa: ASYNC110 - it is what must be found
            await asyncio.sleep(1e-6)

    async def hog() -> None:
        with contextlib.suppress(AssertionError):
            while True:
                count_step()
        await asyncio.sleep(0)

    for endless in (spin, creep, hog):
        with pytest.raises(Livelock):
            run(endless())


def test_a_seed_replayed_twice_gives_the_same_trace() -> None:
    silence()
    for seed in (3, 77):
        assert simulate(seed).digest == simulate(seed).digest


def test_a_seed_gives_the_same_trace_in_another_process() -> None:
    silence()
    code = "from tests.sim.runs import silence, simulate; silence(); print(simulate(77).digest)"
    other = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert other.stdout.strip() == simulate(77).digest


@pytest.mark.timeout(120)
def test_mutants_are_caught() -> None:
    assert run_mutants([m for m in MUTANTS if m.name in QUICK])
