"""Random work on several machines: users edit, push, pull, lock, decide, break; daemons are killed
and stopped.  Real processes, one thread a user; the seed makes the choices, not the schedule."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.machines import Machine, Result

SHARED: Final = ("data/x/a", "data/x/b", "data/y/a", "data/top", "out/log", "out/deep/er", "root")
SCOPES: Final = ("data", "data/x", "data/y", "out", ".")
COUNTER: Final = "count/n"
STEP: Final = (
    f'n=$(cat "$SWAMP_CACHE/{COUNTER}"); echo $((n + 1)) > "$SWAMP_CACHE/{COUNTER}.new"'
    f' && mv "$SWAMP_CACHE/{COUNTER}.new" "$SWAMP_CACHE/{COUNTER}"'
)
EXPECTED: Final = frozenset({0, 1, 2, 3, 4, 6, 11, 13})
"""How a command may end while daemons die: what it says is one of the errors of the product."""
LIMIT_S: Final = 120.0


@dataclass
class Story:
    """What was done, and what was promised."""

    counts: Counter[str] = field(default_factory=Counter)
    promised: dict[str, bytes] = field(default_factory=dict)
    """Path that one user alone writes -> the content of their last acknowledged push."""
    steps: int = 0
    """Steps of the counter that were acknowledged,"""
    tried: int = 0
    """and those that were begun."""
    odd: list[str] = field(default_factory=list)
    """Commands that ended as none may."""
    guard: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, result: Result) -> None:
        """Count the end of a command."""
        with self.guard:
            self.counts[f"{what} {result.code}"] += 1
            if result.code not in EXPECTED or "Traceback" in result.err or "internal" in result.err:
                self.odd.append(f"{what}: {result}")


class RandomUser:
    """One user of one machine."""

    def __init__(self, machine: Machine, number: int, seed: int, story: Story) -> None:
        self._machine = machine
        self._story = story
        self._rng = random.Random(f"{seed} {machine.name} {number}")
        self._own = f"own/{machine.name}{number}"
        self._serial = 0

    def act(self) -> None:
        """Do one thing."""
        acts: dict[Callable[[], None], int] = {
            self._edit: 40,
            self._delete: 5,
            self._rename: 3,
            self._push_own: 15,
            self._push: 12,
            self._pull: 12,
            self._step: 6,
            self._resolve: 5,
            self._break: 1,
            self._locked: 4,
        }
        (act,) = self._rng.choices(list(acts), list(acts.values()))
        act()

    def _run(self, what: str, *words: str) -> Result:
        result = self._machine.run(*words, limit_s=LIMIT_S)
        self._story.note(what, result)
        return result

    def _content(self) -> bytes:
        self._serial += 1
        size = self._rng.choice((0, 1, 30, 3000, 200_000))
        return f"{self._own} {self._serial} ".encode() + self._rng.randbytes(size)

    # --- files --------------------------------------------------------------------------------

    def _edit(self) -> None:
        path = self._rng.choice(SHARED)
        with suppress(OSError):  # a directory where a file was
            self._machine.write(path, self._content())

    def _delete(self) -> None:
        with suppress(OSError):
            (self._machine.cache / self._rng.choice(SHARED)).unlink()

    def _rename(self) -> None:
        source, target = self._rng.sample(SHARED, 2)
        cache = self._machine.cache
        with suppress(OSError):
            (cache / target).parent.mkdir(parents=True, exist_ok=True)
            (cache / source).rename(cache / target)

    # --- commands -----------------------------------------------------------------------------

    def _push_own(self) -> None:
        """Nobody else writes here: what was acknowledged stays until the next."""
        content = self._content()
        self._machine.write(self._own, content)
        if self._run("push own", "push", "own").code == 0:
            self._story.promised[self._own] = content

    def _push(self) -> None:
        self._run("push", "push", *self._some_scope(), "--allow-deletes")

    def _pull(self) -> None:
        self._run("pull", "pull", *self._some_scope(), "--allow-deletes")

    def _some_scope(self) -> tuple[str, ...]:
        return () if self._rng.random() < 0.4 else (self._rng.choice(SCOPES),)

    def _step(self) -> None:
        """One step of a counter, under its lock."""
        with self._story.guard:
            self._story.tried += 1
        run = ("lock", "run", "count", "--wait", "60s", "--ttl", "5s", "--", "sh", "-c", STEP)
        if self._run("step", *run).code == 0:
            with self._story.guard:
                self._story.steps += 1
        else:
            self._run("undo", "conflicts", "resolve", "--theirs", COUNTER)

    def _locked(self) -> None:
        scope = self._rng.choice(SCOPES[:4])
        edit = f'date +%N > "$SWAMP_CACHE/{scope}/locked"'
        self._run("locked", "lock", "run", scope, "--wait", "20s", "--", "sh", "-c", edit)

    def _resolve(self) -> None:
        side = self._rng.choice(("--ours", "--theirs", "--both"))
        for path in self._rng.sample(SHARED, 3):
            self._run("resolve", "conflicts", "resolve", side, path)

    def _break(self) -> None:
        scope = self._rng.choice(SCOPES)
        shown = self._run("show", "lock", "show", scope, "--json")
        if shown.code == 0 and (epoch := shown.json.get("epoch")):
            self._run("break", "lock", "break", scope, "--epoch", str(epoch))


class Trouble:
    """Daemons die and stand still."""

    def __init__(self, machines: list[Machine], seed: int, story: Story) -> None:
        self._machines = machines
        self._rng = random.Random(f"{seed} trouble")
        self._story = story

    def act(self) -> None:
        """Kill one, or stop it for a while."""
        machine, rng = self._rng.choice(self._machines), self._rng
        time.sleep(rng.uniform(0.5, 6.0))
        with suppress(OSError, ValueError, KeyError):
            if rng.random() < 0.6:
                machine.signal(signal.SIGKILL)
                self._story.counts["killed"] += 1
                return
            machine.signal(signal.SIGSTOP)
            self._story.counts["stopped"] += 1
            time.sleep(rng.uniform(0.2, 8.0))
            machine.signal(signal.SIGCONT)


def go_on(act: Callable[[], None], until: float, broken: list[BaseException]) -> None:
    """Act again and again; what breaks ends everybody's work."""
    while time.monotonic() < until and not broken:
        try:
            act()
        except BaseException as error:
            broken.append(error)
            raise
