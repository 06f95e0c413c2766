"""What the engine says of itself while it runs: its log, heard and not printed."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

FIELDS: Final = ("reason", "halt", "kind", "fate", "hidden", "marker")
"""What is kept of an event, besides its name."""


class Ear:
    """A processor that counts events by name, and by name and each field of a closed set."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Another run begins."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """(event, ""), and (event, "field=value")."""
        self.losses: list[tuple[str, int, str]] = []
        """(scope, epoch, reason) of each lease that was told to be lost."""

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Count it; it goes nowhere."""
        name = event["event"]
        self.counts[name, ""] += 1
        for field in FIELDS:
            if field in event:
                self.counts[name, f"{field}={event[field]}"] += 1
        if name == "lease_lost":
            self.losses.append((event["scope"], event["epoch"], event["reason"]))
        raise structlog.DropEvent


EAR: Final = Ear()


def silence(*, for_good: bool = True) -> None:
    """The log goes nowhere but to the ear; for good is faster, and cannot be taken back."""
    structlog.configure(
        processors=[EAR],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=for_good,
    )
