"""The chance port on the kernel's random numbers."""

from __future__ import annotations

from os import urandom
from random import SystemRandom  # noqa: TID251 - here chance becomes a port


class SystemRng:
    """A `ports.Rng` that nobody can predict or repeat; safe across fork."""

    def __init__(self) -> None:
        self._random = SystemRandom()

    def uuid(self) -> str:
        """A fresh id of 32 hex digits."""
        return urandom(16).hex()

    def uniform(self, low: float, high: float) -> float:
        """A number between."""
        return self._random.uniform(low, high)
