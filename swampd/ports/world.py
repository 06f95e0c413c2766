"""Time, chance and threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.domain.values import BootId

T = TypeVar("T")


class Clock(Protocol):
    """Local time.  No store's and no other machine's time decides anything (section 3)."""

    @property
    def boot_id(self) -> BootId:
        """The boot that `now` counts in."""

    def now(self) -> float:
        """Seconds on a clock that never goes back and runs in suspend."""

    def wall_ms(self) -> int:
        """The wall clock, for people and for the 90 days of tombstones only."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Rng(Protocol):
    """Chance."""

    def uuid(self) -> str:
        """A fresh id of 32 hex digits."""

    def uniform(self, low: float, high: float) -> float:
        """A number between."""


class Threads(Protocol):
    """Where blocking and CPU-bound work is done, bounded; in the simulator a seeded delay."""

    async def io(self, work: Callable[[], T]) -> T:
        """Run blocking work (file system)."""

    async def cpu(self, work: Callable[[], T]) -> T:
        """Run CPU-bound work (hashing of large files, plans): one at a time in the process."""
