"""How fast the simulator is: seeds a second of one core, and CPU time a request to the store.

One measured seed is two daemons and sixty things that users do (an edit, or a command; what a
command does by the way is part of it), then all that every run has: late requests land, everybody
wants every lock, comes to rest and does nothing, all checks are made.  CPU time of this process,
not the clock on the wall: a machine is shared.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from tests.sim.runs import Size, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE: Final = Size(nodes=2, operations=60)
WARM_UP: Final = 2
"""So many seeds run before those that count: caches of SQLite, of regular expressions, of code."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One seed."""

    seed: int
    cpu_s: float
    requests: int


def measure(seeds: Sequence[int]) -> list[Measured]:
    """Run these seeds in this process, after a few that warm it up."""
    for seed in seeds[:WARM_UP]:
        simulate(seed, size=SIZE)
    return [_measure(seed) for seed in seeds]


def _measure(seed: int) -> Measured:
    began = time.process_time()
    result = simulate(seed, size=SIZE)
    took = time.process_time() - began
    if result.violation is not None:
        raise AssertionError(f"seed {seed}: {result.violation}")
    return Measured(seed, took, result.requests)


def report(measured: Sequence[Measured]) -> str:
    """What is said of them."""
    cpu_s = sum(one.cpu_s for one in measured)
    requests = sum(one.requests for one in measured)
    each = sorted(one.cpu_s * 1e6 / one.requests for one in measured)
    return (
        f"{len(measured)} seeds: {len(measured) / cpu_s:.1f} seeds/s/core,"
        f" {requests / len(measured):.0f} requests a seed,"
        f" {cpu_s * 1e6 / requests:.0f} us of CPU a request (median {median(each):.0f})"
    )
