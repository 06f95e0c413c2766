"""`python -m tests.sim`: run seeds and mutants, on every core.

python -m tests.sim --seeds 600 --aimed 10 --mutants --crash-points
                                                what `make sim` does
python -m tests.sim --seeds 600 --first 17      the same seeds again
python -m tests.sim --seed 17                   replay one seed, printing its trace
python -m tests.sim --mutant size_only          one mutant
python -m tests.sim --load late --seeds 50      another workload (see `workloads.py`)
python -m tests.sim --aimed 50                  so many seeds of each workload that aims
python -m tests.sim --mutants --write           all mutants, and their table into docs/mutants.md
python -m tests.sim --crash-points              every crash point (`crashes/`)
python -m tests.sim --crash-points 500 --share 7   so many of them, chosen by this seed
python -m tests.sim --crash-point NAME          replay one, printing its trace
python -m tests.sim --throughput 50             how fast it is, in CPU time of one core

Runs of seeds end with how often each rule was exercised (`rules.py`); with `--require-rules` it is
an error when one was not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.sim import rules, seeds
from tests.sim.corpus import AIMED, CORPUS
from tests.sim.crashes import command as crashes
from tests.sim.hearing import silence
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.runs import Result, simulate
from tests.sim.throughput import measure, report
from tests.sim.workloads import LOADS, NORMAL, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FRESH_FROM = 10_000
REACHED: Counter[str] = Counter()
"""How often each rule was exercised by all the seeds of this process."""
TABLE = Path(__file__).parents[2] / "docs" / "mutants.md"
ABOUT = """\
# Mutants: engines that are broken on purpose

Written by `python -m tests.sim --mutants --write`. Each is a small patch in `tests/sim/mutants/`;
the simulator catches it when some invariant breaks within the seeds that it is given, and the
engine as it is breaks none in the same seeds. *Seeds* is the number needed, of how many it is
given; *workload* is one of `tests/sim/workloads.py`.

"""


def run_seed(asked: tuple[int, str]) -> Result:
    """One seed of a workload, its trace kept only when it broke something."""
    seed, name = asked
    result = simulate(seed, _load(name), count_rules=True)
    if result.violation is None:
        result.trace = []
    return result


def run_mutant(name: str) -> tuple[str, int | None, str | None]:
    """The number of seeds after which a mutant is caught, and by which invariant."""
    mutant = next(m for m in MUTANTS if m.name == name)
    with mutant.apply():
        for count, seed in enumerate(range(FRESH_FROM, FRESH_FROM + mutant.seeds), 1):
            result = simulate(seed, mutant.load)
            if result.violation is not None:
                return name, count, result.invariant
    return name, None, None


def _load(name: str) -> Workload:
    return next(load for load in LOADS if load.name == name)


def run_seeds(chosen: Iterable[int], load: Workload = NORMAL) -> list[Result]:
    """Run these seeds on every core; the broken ones."""
    broken: list[Result] = []
    counts: Counter[str] = Counter()
    began, done = time.monotonic(), 0
    asked = [(seed, load.name) for seed in chosen]
    with multiprocessing.Pool(os.cpu_count(), initializer=silence) as pool:
        for result in pool.imap_unordered(run_seed, asked, chunksize=2):
            done += 1
            counts.update(result.counts)
            REACHED.update(result.rules)
            if result.violation is not None:
                broken.append(result)
                print(f"seed {result.seed}: {result.violation}", flush=True)
    took = time.monotonic() - began
    print(f"{load.name}: {done} seeds, {len(broken)} broken, {done / took:.1f} seeds/s")
    print(", ".join(f"{what} {count}" for what, count in sorted(counts.items())))
    for result in broken:
        print(f"replay: python -m tests.sim --load {load.name} --seed {result.seed}")
    return broken


def run_aimed(chosen: range) -> bool:
    """Run these seeds, and the known ones, of each workload that aims."""
    broken = [
        result
        for load in LOADS
        if load is not NORMAL
        for result in run_seeds((*AIMED.get(load.name, ()), *chosen), load)
    ]
    return not broken


def run_mutants(mutants: Iterable[Mutant], *, write: bool = False) -> bool:
    """Run these mutants; True when all are caught within their seeds, and the engine itself breaks
    nothing in the same seeds of the workloads that aim."""
    chosen = {mutant.name: mutant for mutant in mutants}
    fine = True
    caught: dict[str, tuple[int | None, str | None]] = {}
    needed: Counter[str] = Counter()
    with multiprocessing.Pool(os.cpu_count(), initializer=silence) as pool:
        for name, count, invariant in pool.imap_unordered(run_mutant, chosen):
            said = f"caught by {invariant} after {count} seeds" if count else "NOT CAUGHT"
            load = chosen[name].load.name
            print(f"mutant {name}: {said} ({load}, of {chosen[name].seeds})", flush=True)
            fine = fine and count is not None
            caught[name] = (count, invariant)
            needed[load] = max(needed[load], count or 0)
    for load, count in needed.items():
        fine = not run_seeds(range(FRESH_FROM, FRESH_FROM + count), _load(load)) and fine
    rows = list(_table_of(chosen, caught))
    print("\n".join(rows))
    if write:
        TABLE.write_text(ABOUT + "\n".join(rows) + "\n")
    return fine


def _table_of(
    chosen: Mapping[str, Mutant], caught: Mapping[str, tuple[int | None, str | None]]
) -> Iterator[str]:
    """A table in Markdown: what is broken, what caught it, and what that took."""
    yield "| mutant | what it does | invariant | seeds | workload |"
    yield "|---|---|---|---|---|"
    for name, mutant in chosen.items():
        count, invariant = caught[name]
        did = " ".join((mutant.apply.__doc__ or "").split()).removesuffix(".")
        seeds = f"{count or 'NOT CAUGHT'} of {mutant.seeds}"
        yield f"| `{name}` | {did} | {invariant or '-'} | {seeds} | {mutant.load.name} |"


def print_rules(*, require: bool) -> bool:
    """How often each rule was exercised; False when one was not and all are required."""
    print("\n".join(rules.table(REACHED)))
    missing = rules.unreached(REACHED)
    if missing:
        print(f"not exercised: {', '.join(missing)}")
    return not (require and missing)


def replay(seed: int, load: Workload) -> int:
    """One seed twice: its trace, and whether the second run gave the same."""
    silence()
    first, second = simulate(seed, load), simulate(seed, load)
    print("\n".join(first.trace))
    print(f"seed {seed}: {first.violation or 'clean'}; digest {first.digest}")
    if first.digest != second.digest:
        print("the second run differs")
        return 1
    return 1 if first.violation else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--first", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--aimed", type=int, default=0)
    parser.add_argument("--load", default=NORMAL.name, choices=[load.name for load in LOADS])
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--mutant")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--require-rules", action="store_true")
    parser.add_argument("--crash-points", type=int, nargs="?", const=0)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--crash-point")
    parser.add_argument("--throughput", type=int, nargs="?", const=50)
    parser.add_argument("--judge-rules", type=Path)
    return parser.parse_args()


def main() -> int:
    """The command line."""
    asked = _asked()
    load = _load(asked.load)
    if asked.seed is not None:
        return replay(asked.seed, load)
    if asked.crash_point is not None:
        return crashes.replay(asked.crash_point)
    if asked.throughput:
        silence()
        print(report(measure(range(FRESH_FROM, FRESH_FROM + asked.throughput))))
        return 0
    if asked.judge_rules is not None:
        return judge_rules(asked.judge_rules)
    return run_asked(asked, load)


def judge_rules(directory: Path) -> int:
    """Was every rule exercised by the chunks that left their counts here?"""
    for path in directory.iterdir():
        REACHED.update(json.loads(path.read_text()))
    return 0 if print_rules(require=True) else 1


def run_asked(asked: argparse.Namespace, load: Workload) -> int:
    """Run everything that was asked for."""
    fine = True
    first = asked.first if asked.first is not None else seeds.base()
    if asked.seeds or asked.aimed:
        print(f"fresh seeds from {first} (--first {first} runs them again)", flush=True)
    if asked.seeds:
        corpus = CORPUS if load is NORMAL else ()
        fine = not run_seeds((*corpus, *range(first, first + asked.seeds)), load)
    if asked.aimed:
        fine = run_aimed(range(first, first + asked.aimed)) and fine
    if asked.seeds or asked.aimed:
        fine = print_rules(require=asked.require_rules) and fine
    chosen = [m for m in MUTANTS if asked.mutants or m.name == asked.mutant]
    if chosen:
        fine = run_mutants(chosen, write=asked.write) and fine
    if asked.crash_points is not None:
        fine = crashes.run_points(asked.crash_points, asked.share) and fine
    print("sim: clean" if fine else "sim: BROKEN")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
