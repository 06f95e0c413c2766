"""What was swapped out of the cache: kept for a while, looked at again, then gone (section 6).

A process may still write to a file that it opened before the swap: such bytes become a conflict
copy.  Keeps S2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from swampd.ports import FileRead
from swampd.syncing import local_ledger

if TYPE_CHECKING:
    from swampd.syncing.conflicts import ConflictKeeper
    from swampd.syncing.context import Sync
    from swampd.syncing.local_ledger import Trashed

PATIENCE_S: Final = 600.0
"""What could not be read whole for so long after it was swapped out is kept as a conflict copy."""


async def empty_trash(sync: Sync, conflicts: ConflictKeeper, least_age_s: float) -> None:
    """Remove what has been in trash for `least_age_s` seconds (of this boot) and is unchanged."""
    now, boot_id = sync.clock.now(), sync.clock.boot_id
    for row in await sync.journal.read(local_ledger.trashed):
        if row.boot_id != boot_id or now - row.at >= least_age_s:
            await _end(sync, conflicts, row)


async def _end(sync: Sync, conflicts: ConflictKeeper, row: Trashed) -> None:
    read = await sync.threads.io(lambda: sync.tree.hash_trash(row.name))
    if isinstance(read, FileRead) and read.sha256 != row.sha256:
        copy = await sync.threads.io(lambda: sync.tree.trash_to_conflicts(row.name, row.path))
        await conflicts.keep_bytes(None, row.path, copy)
    else:
        await sync.threads.io(lambda: sync.tree.drop_trash(row.name))
    await sync.journal.write(lambda tx: local_ledger.drop_trash(tx, row.name))
