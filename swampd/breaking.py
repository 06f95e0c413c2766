"""Looking at locks, and breaking one whose holder is not to be waited for (section 3, break).

Keeps L8: a break goes on exactly the record that was looked at, and only if it has the epoch that
the person named.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain import leases
from swampd.domain.leases import LockState
from swampd.errors import LockChanged, OutcomeUnknown
from swampd.locking.cas import Landed, Refused

if TYPE_CHECKING:
    from swampd.domain.leases import LockRecord, Sighting
    from swampd.domain.values import Epoch, Scope
    from swampd.workspace import Workspace

WAIT_S: Final = 10.0
"""How long it is tried to find out whether the break landed."""
LISTED_MOST: Final = 1000
log = structlog.get_logger()


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


async def break_lock(workspace: Workspace, scope: Scope, epoch: Epoch, *, now: bool) -> LockRecord:
    """Break the lock with this epoch; the record as it was.

    With `now` it is free at once, else acquirers still wait its ttl.  Raises LockChanged when it is
    not held with this epoch, OutcomeUnknown, StoreUnavailable.
    """
    book, clock = workspace.book, workspace.ports.clock
    seen = await book.look(scope)
    record = seen.record if seen is not None else None
    breakable = {LockState.HELD, LockState.BROKEN} if now else {LockState.HELD}
    if seen is None or record is None or record.epoch != epoch or record.state not in breakable:
        raise _changed(scope, epoch, record)
    change = leases.freed if now else leases.broken
    until = clock.now() + WAIT_S
    fate = await book.write(change(record, book.fresh_wid()), seen.token, lambda: True, until)
    if isinstance(fate, Refused):
        raise _changed(scope, epoch, None)
    if not isinstance(fate, Landed):
        raise OutcomeUnknown(
            f"no answer came to the break of {scope}",
            f"look again: `swampctl lock show {scope}`",
            scope=scope,
        )
    log.warning("lock_broken", scope=scope, epoch=epoch, now=now, holder=record.holder)
    return record


def age_s(record: LockRecord, wall_ms: int) -> float:
    """How old an acquisition is by its own word, for people only."""
    try:
        at = datetime.fromisoformat(record.acquired_at)
    except ValueError:
        return 0.0
    return max(0.0, wall_ms / 1000 - at.replace(tzinfo=at.tzinfo or UTC).timestamp())


def _changed(scope: Scope, epoch: Epoch, record: LockRecord | None) -> LockChanged:
    what = (
        f"it is {record.state.value}, epoch {record.epoch}"
        if record is not None
        else "its record has changed or is not there"
    )
    return LockChanged(
        f"{scope} is not held with epoch {epoch}: {what}",
        f"look at it: `swampctl lock show {scope}`",
        scope=scope,
        epoch=str(epoch),
    )
