"""What a crash point is: an operation on a port, before or after it, and how the daemon ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WID: Final = re.compile(r"[0-9a-f]{32}")
_ODD: Final = re.compile(r"<locals>\.|[<> ]")


class When(Enum):
    """On which side of the operation."""

    BEFORE = "before"
    """It has not begun."""
    AFTER = "after"
    """It is done, and the engine does not know: of a request the answer never came."""
    LATE = "late"
    """A write is sent, and lands when the next daemon is at work already."""


class How(Enum):
    """How a daemon ends, and what its machine forgets."""

    KILLED = "killed"
    """The process alone: whatever it did is done."""
    POWER = "power"
    """The machine: all that was not synced is undone, names and relaxed commits of the journal.
    Where all is on the disk the next boot alone differs from a kill, and only what is under way to
    the store goes by that: such an end is for a write that lands late."""
    POWER_NAMES = "power_names"
    """The machine: names survive, the bytes behind them do not; nor do relaxed commits."""
    POWER_JOURNAL = "power_journal"
    """The machine: relaxed commits survive, what was done in the cache does not."""


def plain(text: str) -> str:
    """A name without what chance made in it, and without what a shell would read."""
    return _ODD.sub("", _WID.sub("WID", text)) or "-"


LOOKS: Final = {
    "tree": frozenset({"marker", "readdir", "lstat", "open", "read", "look", "touch"})
    | {"write", "utime"},
    "store": frozenset({"get", "get?", "head", "list"}),
    "journal": frozenset[str](),
}
"""Operations of each port that change nothing, or what is in a scratch file: once it is there, a
start clears it unread."""
A_WHILE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Left:
    """What there would be after an end here, as numbers that grow with each change of it."""

    tree: int
    journal: int
    others: int
    """What the store has, and what somebody was told."""
    time: float

    def is_as(self, earlier: Left) -> bool:
        """The same, and the leases hardly older?"""
        same = (self.tree, self.journal, self.others)
        before = (earlier.tree, earlier.journal, earlier.others)
        return same == before and self.time - earlier.time < A_WHILE_S


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a daemon could end, and what each end leaves."""

    operation: str
    when: When
    ends: Mapping[How, Left]


def different(passed: Iterable[Moment]) -> Iterator[tuple[Moment, How]]:
    """Of ends that leave the same the first; a write that lands late is like no other."""
    last: dict[How, Left] = {}
    for moment in passed:
        for how, left in moment.ends.items():
            if moment.when is When.LATE:
                yield moment, how
            elif how not in last or not left.is_as(last[how]):
                last[how] = left
                yield moment, how


def is_look(operation: str) -> bool:
    """Does it change nothing?"""
    port, _, what = operation.partition(":")[0].partition(".")
    return what in LOOKS[port]


@dataclass(frozen=True, slots=True)
class Point:
    """One end of a daemon in one scenario."""

    scenario: str
    operation: str
    when: When
    how: How

    @property
    def name(self) -> str:
        """What replays it."""
        return f"{self.scenario}:{self.operation}:{self.when.value}:{self.how.value}"

    @classmethod
    def parse(cls, name: str) -> Point:
        """The point of this name.  Raises ValueError."""
        scenario, _, rest = name.partition(":")
        operation, when, how = rest.rsplit(":", 2)
        return cls(scenario, operation, When(when), How(how))
