"""What a crash point is: an operation on a port, before or after it, and how the daemon ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

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
    """The machine: all that was not synced is undone, names and relaxed commits of the journal."""
    POWER_NAMES = "power_names"
    """The machine: names survive, the bytes behind them do not; nor do relaxed commits."""
    POWER_JOURNAL = "power_journal"
    """The machine: relaxed commits survive, what was done in the cache does not."""


def plain(text: str) -> str:
    """A name without what chance made in it, and without what a shell would read."""
    return _ODD.sub("", _WID.sub("WID", text)) or "-"


LOOKS: Final = frozenset({"marker", "readdir", "lstat", "open", "read", "look", "touch"})
"""Steps in the cache that change nothing."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a daemon could end, and the ways that differ there."""

    operation: str
    when: When
    hows: tuple[How, ...]
    time: float

    def is_as(self, earlier: Moment) -> bool:
        """Would this end be the same as the one that was possible just before: at the same
        instant, with nothing done in between?"""
        if (self.time, self.hows) != (earlier.time, earlier.hows):
            return False
        if self.when is When.BEFORE:
            return earlier.when is When.AFTER
        return self.operation == earlier.operation and _is_look(self.operation)


def _is_look(operation: str) -> bool:
    port, _, what = operation.partition(":")[0].partition(".")
    return port == "tree" and what in LOOKS


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
