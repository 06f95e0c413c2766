"""How many deletes in one push or pull are too many to be an accident (section 7)."""

from __future__ import annotations

from typing import Final

LEAST_DELETES: Final = 20
MOST_PART: Final = 0.5


def too_many_deletes(deletes: int, known: int) -> bool:
    """True when more than half of the known files, and at least 20 of them, would go."""
    return deletes >= LEAST_DELETES and deletes > known * MOST_PART
