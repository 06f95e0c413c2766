"""What commands cost: the requests of a real daemon, counted at the server.

Every request of swampd names its operation (`swampd op/push-17.4242`).  What is looked at here
besides goes to the server under another name, and is not counted.  A command is counted until every
lock record reads `free`, or else what a daemon does behind the answer would cost nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tests.e2e.machines import finished, until
from tests.places.place import LOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.machines import Machine
    from tests.places.place import Place
    from tests.servers.access_log import Logged

SCOPE: Final = "data/bench/x"
MANY: Final = 1_000
"""New files of the push that has some."""
LIMIT_S: Final = 600.0
RENEWALS: Final = 2
OPERATION: Final = re.compile(r"swampd op/([a-z_]+)-(\d+\.\d+)")


class Server(Protocol):
    """A server that logs what it was asked."""

    def requests(self) -> list[Logged]:
        """Since `reset`."""

    def reset(self) -> None:
        """Count from here."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The requests of one command, or of one of its renewals."""

    name: str
    most: int
    """The budget."""
    by_kind: Mapping[str, Mapping[str, int]]
    """How many requests by kind of operation, and by method."""

    @property
    def by_method(self) -> dict[str, int]:
        """How many requests by method."""
        found: Counter[str] = Counter()
        for methods in self.by_kind.values():
            found.update(methods)
        return dict(sorted(found.items()))

    @property
    def total(self) -> int:
        """How many requests."""
        return sum(self.by_method.values())

    @property
    def is_within(self) -> bool:
        """Does it keep to its budget?"""
        return self.total <= self.most


def kinds(rows: list[Logged]) -> dict[str, dict[str, int]]:
    """Requests of swampd by kind of operation and by method."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        if operation := OPERATION.search(row.user_agent):
            found.setdefault(operation[1], Counter())[row.method] += 1
    return {kind: dict(sorted(methods.items())) for kind, methods in sorted(found.items())}


def until_free(place: Place) -> None:
    """Wait until no lock is held, as the store has it."""

    def is_free() -> bool:
        records = (place.find(key) for key in place.keys(LOCKS))
        return all(record and json.loads(record)["state"] == "free" for record in records)

    until(is_free, "all locks are free", LIMIT_S)


class Till:
    """Counts what one machine's commands cost, one after another."""

    def __init__(self, machine: Machine, place: Place, server: Server) -> None:
        self._machine = machine
        self._place = place
        self._server = server

    def prepare(self, files: int) -> None:
        """So many small files, 100 a directory, pushed; nobody holds a lock."""
        self._fill("f", files)
        self._run("push")
        until_free(self._place)

    def costs(self) -> Iterator[Cost]:
        """Of all that has a budget."""
        yield self._cost("push of nothing", 0, "push")
        yield self._cost("pull of nothing", 1, "pull")
        yield self._cost("first lock, push of 1, release", 14, *self._edit("0/f0", "declared"))
        yield self._cost("lock, push of 1, release", 8, *self._edit("0/f1", "held before"))
        yield self._cost("the same file again", 8, *self._edit("0/f1", "once more"))
        yield from self._renewals()
        self._fill("new", MANY)
        yield self._cost(f"push of {MANY:,} new", MANY + 8, "push", SCOPE)

    def _run(self, *words: str) -> None:
        done = self._machine.run(*words, limit_s=LIMIT_S)
        assert done.code == 0, done

    def _cost(self, name: str, most: int, *words: str) -> Cost:
        self._server.reset()
        self._run(*words)
        until_free(self._place)
        return Cost(name, most, kinds(self._server.requests()))

    def _renewals(self) -> Iterator[Cost]:
        """Those of a lock that is held for some of them."""
        done = self._machine.root / "renewed"
        script = f"while ! test -e {done}; do sleep 0.05; done"
        held = self._machine.start("lock", "run", SCOPE, "--ttl", "6s", "--", "sh", "-c", script)
        self._server.reset()
        try:
            until(lambda: len(self._each_renewal()) >= RENEWALS, "it is renewed")
        finally:
            done.touch()
            ended = finished(held)
        assert ended.code == 0, ended
        until_free(self._place)
        for methods in self._each_renewal()[:RENEWALS]:
            yield Cost("renewal", 1, {"renew": methods})

    def _each_renewal(self) -> list[dict[str, int]]:
        found: dict[str, Counter[str]] = {}
        for row in self._server.requests():
            operation = OPERATION.search(row.user_agent)
            if operation and operation[1] == "renew":
                found.setdefault(operation[2], Counter())[row.method] += 1
        return [dict(methods) for methods in found.values()]

    def _edit(self, name: str, content: str) -> tuple[str, ...]:
        script = f'echo "{content}" > "$SWAMP_SCOPE_PATH/{name}"'
        return ("lock", "run", SCOPE, "--", "sh", "-c", script)

    def _fill(self, name: str, count: int) -> None:
        root = self._machine.cache / SCOPE
        for number in range(count):
            if number % 100 == 0:
                (root / str(number // 100)).mkdir(parents=True, exist_ok=True)
            path = root / str(number // 100) / f"{name}{number}"
            path.write_bytes(b"content of %s %d" % (name.encode(), number))
