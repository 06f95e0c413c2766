"""Fresh seeds of all workloads.

What each chunk exercised of the protocol's rules is written to a directory, and judged when all
have run (`python -m tests.sim --judge-rules DIRECTORY`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.sim import seeds
from tests.sim.hearing import silence
from tests.sim.runs import simulate
from tests.sim.workloads import LOADS, NORMAL

NORMAL_CHUNKS = 4
CHUNK = 250
AIMED = 20
RULES = "SWAMPD_RULES"
CHUNKS = [
    *((NORMAL, number * CHUNK, CHUNK) for number in range(NORMAL_CHUNKS)),
    *((load, 0, AIMED) for load in LOADS if load is not NORMAL),
]


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("name", "first", "count"),
    [(load.name, first, count) for load, first, count in CHUNKS],
)
def test_fresh_seeds_are_clean(name: str, first: int, count: int) -> None:
    silence(for_good=False)
    load = next(load for load in LOADS if load.name == name)
    base, reached, broken = seeds.base(), Counter[str](), []
    for seed in range(base + first, base + first + count):
        result = simulate(seed, load, count_rules=True)
        reached.update(result.rules)
        if result.violation is not None:
            broken.append(f"python -m tests.sim --load {name} --seed {seed}: {result.violation}")
    if RULES in os.environ:
        (Path(os.environ[RULES]) / f"{name}-{first}.json").write_text(json.dumps(reached))
    assert not broken
