"""How often what was done, counted in one thread and awaited in another."""

from __future__ import annotations

from collections import Counter
from threading import Condition
from typing import Final

LIMIT_S: Final = 60.0


class Tally:
    """Counts by name."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._news = Condition()

    def add(self, name: str) -> None:
        """One more."""
        with self._news:
            self._counts[name] += 1
            self._news.notify_all()

    def wait(self, name: str, times: int = 1) -> None:
        """Until it was so often; fails by name at the limit."""
        with self._news:
            if not self._news.wait_for(lambda: self._counts[name] >= times, LIMIT_S):
                raise AssertionError(f"in {LIMIT_S} s not {times} times {name}: {self._counts}")

    @property
    def counts(self) -> dict[str, int]:
        """How often so far."""
        with self._news:
            return {name: times for name, times in self._counts.items() if times}
