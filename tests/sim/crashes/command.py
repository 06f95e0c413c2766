"""`python -m tests.sim --crash-points` and `--crash-point NAME`."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from typing import TYPE_CHECKING

from tests.sim.crashes.points import Point
from tests.sim.crashes.running import Ran, crash, record
from tests.sim.crashes.scenarios import BY_NAME, SCENARIOS
from tests.sim.hearing import silence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.sim.crashes.scenario import Scenario


def enumerate_points(scenarios: Iterable[Scenario] = SCENARIOS) -> list[Point]:
    """All points of these scenarios.  Raises AssertionError where one is broken by itself, or does
    not come to what it is there for."""
    points = []
    for scenario in scenarios:
        ran = record(scenario)
        if ran.violation is not None:
            raise AssertionError(f"{scenario.name}, without a crash: {ran.violation}")
        for wanted in scenario.shows:
            if not any(point.operation.startswith(wanted) for point in ran.points):
                raise AssertionError(f"{scenario.name} does not come to {wanted}")
        points.extend(ran.points)
    return points


def share_of(points: list[Point], count: int, seed: int = 0) -> list[Point]:
    """So many of the points, by chance, in their order; all of them for 0."""
    if not 0 < count < len(points):
        return points
    chosen = sorted(random.Random(seed).sample(range(len(points)), count))
    return [points[number] for number in chosen]


def run_points(count: int, seed: int) -> bool:
    """Run a share of all points on every core; True when none is broken."""
    with multiprocessing.Pool(os.cpu_count(), initializer=silence) as pool:
        points, passed = [], 0
        for scenario, ran in zip(SCENARIOS, pool.imap(_record, BY_NAME), strict=True):
            passed += ran.passed
            print(f"crash points of {scenario.name}: {ran.passed}, {len(ran.points)} different")
            if ran.violation is not None:
                print(f"{scenario.name}, without a crash: {ran.violation}")
                return False
            points.extend(ran.points)
        chosen = share_of(points, count, seed)
        part = f", a share of them (seed {seed})" if len(chosen) < len(points) else ""
        print(
            f"crash points: {passed} in {len(SCENARIOS)} scenarios, {len(points)} of them different"
        )
        print(f"crash points: {len(chosen)} run{part}", flush=True)
        began, broken = time.monotonic(), 0
        names = [point.name for point in chosen]
        for done, ran in enumerate(pool.imap_unordered(_crash, names, chunksize=4), 1):
            if done % 500 == 0:
                print(f"{done} points run", flush=True)
            if ran.violation is not None:
                broken += 1
                print(f"{ran.violation}\nreplay: {ran.replay}", flush=True)
    took = time.monotonic() - began
    print(f"crash points: {len(chosen)} run, {broken} broken, {len(chosen) / took:.1f} points/s")
    return not broken


def replay(name: str) -> int:
    """One point twice: its trace, and whether the second run gave the same."""
    silence()
    point = Point.parse(name)
    first, second = crash(point), crash(point)
    print("\n".join(first.trace))
    print(f"{name}: {first.violation or 'clean'}; digest {first.digest}")
    if first.digest != second.digest:
        print("the second run differs")
        return 1
    return 1 if first.violation else 0


def _record(name: str) -> Ran:
    return _without_trace(record(BY_NAME[name]))


def _crash(name: str) -> Ran:
    return _without_trace(crash(Point.parse(name)))


def _without_trace(ran: Ran) -> Ran:
    ran.trace = []
    return ran
