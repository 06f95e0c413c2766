"""What was swapped out of the cache: kept for a while, looked at again, then gone (section 6).

A process may still write to a file that it opened before the swap: such bytes become a conflict
copy.  Only what was read whole and is the same is removed: one that cannot be read stays, and what
still cannot after a long time is kept as a conflict copy too.  Keeps S2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from swampd.ports import FileRead, ReadProblem
from swampd.syncing import local_ledger

if TYPE_CHECKING:
    from swampd.syncing.conflicts import ConflictKeeper
    from swampd.syncing.context import Sync
    from swampd.syncing.local_ledger import Trashed

PATIENCE_S: Final = 600.0
"""What could not be read whole for so long after it was swapped out is kept as a conflict copy."""
log = structlog.get_logger()


async def empty_trash(sync: Sync, conflicts: ConflictKeeper, least_age_s: float) -> None:
    """Remove what has been in trash for `least_age_s` seconds (of this boot) and is unchanged."""
    now, boot_id = sync.clock.now(), sync.clock.boot_id
    for row in await sync.journal.read(local_ledger.trashed):
        if row.boot_id != boot_id or now - row.at >= least_age_s:
            await _end(sync, conflicts, row)


async def _end(sync: Sync, conflicts: ConflictKeeper, row: Trashed) -> None:
    read = await sync.threads.io(lambda: sync.tree.hash_trash(row.name))
    if isinstance(read, FileRead) and read.sha256 == row.sha256:
        await sync.threads.io(lambda: sync.tree.drop_trash(row.name))
    elif read is not ReadProblem.GONE:
        if not isinstance(read, FileRead) and await _has_time(sync, row):
            log.info("trash_waits", path=row.path, reason=read.value)
            return
        copy = await sync.threads.io(lambda: sync.tree.trash_to_conflicts(row.name, row.path))
        await conflicts.keep_bytes(None, row.path, copy)
    await sync.journal.write(lambda tx: local_ledger.drop_trash(tx, row.name))


async def _has_time(sync: Sync, row: Trashed) -> bool:
    """May it wait for another look?  What came out in another boot has its time from now on."""
    now, boot_id = sync.clock.now(), sync.clock.boot_id
    if row.boot_id == boot_id:
        return now - row.at < PATIENCE_S
    anew = replace(row, at=now, boot_id=boot_id)
    await sync.journal.write(lambda tx: local_ledger.note_trash(tx, anew))
    return True
