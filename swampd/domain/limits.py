"""How many deletes in one push or pull are too many to be meant (section 7, `max_delete`; S4)."""

from __future__ import annotations

from typing import Final

LEAST_DELETES: Final = 20
"""Fewer deletes than this are never too many, however small the scope is."""
MOST_PERCENT: Final = 50
"""More than so many of a hundred known files are too many."""


def too_many_deletes(deletes: int, known: int) -> bool:
    """True when more than half of the `known` files of a scope, and at least 20, would go: the
    scope halts (`too_many_deletes`) until a person says `--allow-deletes`."""
    return deletes >= LEAST_DELETES and deletes * 100 > known * MOST_PERCENT
