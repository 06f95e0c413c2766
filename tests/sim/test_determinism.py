"""One seed is one run: the same trace, byte for byte, again, elsewhere, however strings hash.

What it rests on: tasks hash by creation order and calls come in order (`loop.py`, `test_loop.py`),
all chance is the seed's, and nothing in the engine walks over a set without sorting it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from tests.sim.hearing import silence
from tests.sim.runs import simulate
from tests.sim.workloads import LOADS, Workload

SEEDS = (77,)
HASH_SEEDS = ("0", "4711")
ELSEWHERE = """
import sys
from tests.sim.test_determinism import told
print(told(sys.argv[1]))
"""


def told(name: str) -> str:
    """The digest of everything that these seeds of a workload show."""
    silence()
    load = next(load for load in LOADS if load.name == name)
    seen = hashlib.sha256()
    for seed in SEEDS:
        result = simulate(seed, load)
        seen.update("\n".join(result.trace).encode())
        seen.update(repr((sorted(result.counts.items()), result.requests)).encode())
    return seen.hexdigest()


def _told_elsewhere(name: str, hash_seed: str) -> str:
    other = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", ELSEWHERE, name],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    return other.stdout.strip()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_a_seed_gives_the_same_trace_again_and_elsewhere_and_under_any_hashing(
    load: Workload,
) -> None:
    first = told(load.name)
    assert told(load.name) == first
    assert {_told_elsewhere(load.name, each) for each in HASH_SEEDS} == {first}
