"""What people are shown of locks: all that are not free, and how old each is by its own word."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from swampd.domain.leases import LockRecord, Sighting
    from swampd.domain.values import Scope
    from swampd.workspace import Workspace

LISTED_MOST: Final = 1000


async def look_at_all(workspace: Workspace) -> tuple[list[tuple[Scope, Sighting]], int]:
    """All locks that are not free, and how many were left out.

    Raises StoreUnavailable, StoreDenied, SchemaTooNew.
    """
    book = workspace.book
    found: list[tuple[Scope, Sighting]] = []
    listed = sorted(await book.listed())
    for scope in listed[:LISTED_MOST]:
        seen = await book.look(scope)
        if seen is not None and not seen.is_free:
            found.append((scope, seen))
    return found, max(0, len(listed) - LISTED_MOST)


def age_s(record: LockRecord, wall_ms: int) -> float:
    """How old an acquisition is by its own word, for people only."""
    try:
        at = datetime.fromisoformat(record.acquired_at)
    except ValueError:
        return 0.0
    return max(0.0, wall_ms / 1000 - at.replace(tzinfo=at.tzinfo or UTC).timestamp())
