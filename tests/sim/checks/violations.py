"""How a broken invariant is told."""

from __future__ import annotations

import hashlib
from typing import NoReturn


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


def fail(invariant: str, detail: str) -> NoReturn:
    """Report a broken invariant."""
    raise Violation(invariant, detail)


def digest(body: bytes) -> str:
    """sha256, as entries have it."""
    return hashlib.sha256(body).hexdigest()
