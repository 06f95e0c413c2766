"""`python -m tests.sim`: run seeds and mutants, on every core.

python -m tests.sim --seeds 2000 --mutants      what `make sim` does
python -m tests.sim --seed 17                   replay one seed, printing its trace
python -m tests.sim --mutant size_only          one mutant
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.sim.corpus import CORPUS
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.runs import Result, silence, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable

FRESH_FROM = 10_000


def run_seed(seed: int) -> Result:
    """One seed, its trace kept only when it broke something."""
    result = simulate(seed)
    if result.violation is None:
        result.trace = []
    return result


def run_mutant(name: str) -> tuple[str, int | None, str | None]:
    """The number of seeds after which a mutant is caught, and by which invariant."""
    mutant = next(m for m in MUTANTS if m.name == name)
    with mutant.apply():
        for count, seed in enumerate(range(FRESH_FROM, FRESH_FROM + mutant.seeds), 1):
            result = simulate(seed)
            if result.violation is not None:
                return name, count, result.invariant
    return name, None, None


def run_seeds(seeds: Iterable[int]) -> list[Result]:
    """Run these seeds on every core; the broken ones."""
    broken: list[Result] = []
    counts: Counter[str] = Counter()
    began, done = time.monotonic(), 0
    with multiprocessing.Pool(os.cpu_count(), initializer=silence) as pool:
        for result in pool.imap_unordered(run_seed, seeds, chunksize=4):
            done += 1
            counts.update(result.counts)
            if result.violation is not None:
                broken.append(result)
                print(f"seed {result.seed}: {result.violation}", flush=True)
    took = time.monotonic() - began
    print(f"{done} seeds, {len(broken)} broken, {done / took:.1f} seeds/s")
    print(", ".join(f"{what} {count}" for what, count in sorted(counts.items())))
    return broken


def run_mutants(mutants: Iterable[Mutant]) -> bool:
    """Run these mutants; True when all are caught within their seeds."""
    caught = True
    with multiprocessing.Pool(os.cpu_count(), initializer=silence) as pool:
        for name, count, invariant in pool.imap(run_mutant, [m.name for m in mutants]):
            said = f"caught by {invariant} after {count} seeds" if count else "NOT CAUGHT"
            print(f"mutant {name}: {said}", flush=True)
            caught = caught and count is not None
    return caught


def replay(seed: int) -> int:
    """One seed twice: its trace, and whether the second run gave the same."""
    silence()
    first, second = simulate(seed), simulate(seed)
    print("\n".join(first.trace))
    print(f"seed {seed}: {first.violation or 'clean'}; digest {first.digest}")
    if first.digest != second.digest:
        print("the second run differs")
        return 1
    return 1 if first.violation else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--first", type=int, default=FRESH_FROM)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--mutant")
    asked = parser.parse_args()
    if asked.seed is not None:
        return replay(asked.seed)
    fine = True
    if asked.seeds:
        seeds = (*CORPUS, *range(asked.first, asked.first + asked.seeds))
        broken = run_seeds(seeds)
        for result in broken:
            print(f"replay: python -m tests.sim --seed {result.seed}")
        fine = not broken
    chosen = [m for m in MUTANTS if asked.mutants or m.name == asked.mutant]
    if chosen:
        fine = run_mutants(chosen) and fine
    print("sim: clean" if fine else "sim: BROKEN")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
