"""After a crash: what unfinished placements did, told from their journalled intents (section 6).

A rename that was done is an agreement with the head of that time, though nobody noted it: without
base, what this daemon placed or removed would look like the user's doing when the head has moved on
meanwhile.  What a person decided to have placed is an edit, and agreed with nobody.  Keeps S2, S3
and S4.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from swampd.domain.planning import Absent
from swampd.indexing import rows
from swampd.ports import FileRead, Kind, ReadProblem
from swampd.syncing import local_ledger
from swampd.syncing.leftovers import drop_copies, list_copies, list_trash
from swampd.syncing.local_ledger import Trashed
from swampd.syncing.scoping import scope_of
from swampd.syncing.survey import look_at

if TYPE_CHECKING:
    from swampd.ports import FileTree, Transaction
    from swampd.syncing.bases import Bases
    from swampd.syncing.conflicts import ConflictKeeper
    from swampd.syncing.context import Sync
    from swampd.syncing.local_ledger import Placement

log = structlog.get_logger()


async def roll_forward(sync: Sync, bases: Bases, conflicts: ConflictKeeper) -> None:
    """Finish what is left of placements, clear `tmp/`, and list what no journal speaks of.

    The fresh download: dropped, the path is planned again.  What was swapped out: to trash if it
    is what the plan saw, else kept as a conflict copy, never dropped; so is what cannot be read
    whole, as a file that is written to.

    Nothing of it in a cache that the journal does not speak of: the right disk may be away, and
    come back with what was left on it.
    """
    if not await bases.is_ours():
        log.info("not_rolled_forward")
        return
    await drop_copies(sync)
    intents = await sync.journal.read(local_ledger.placements)
    for intent in intents:
        await _keep_what_came_out(sync, conflicts, intent)
        if not intent.decided:
            await _note_what_was_done(sync, bases, intent)
    await sync.threads.io(lambda: sync.tree.clear_tmp(()))
    await list_trash(sync, conflicts, intents)
    await list_copies(sync, conflicts)
    # Last: should this be cut off too, the next start finds them.
    if intents:
        names = [intent.name for intent in intents]
        await sync.journal.write(lambda tx: local_ledger.end_placements(tx, names))


def _finish_swap(tree: FileTree, intent: Placement) -> None:
    """Without EXCHANGE a swap that was cut off may have left nothing at the name, which would look
    like a delete (S4)."""
    if tree.exchange_supported:
        return
    with suppress(OSError):
        if tree.stat_tmp(intent.name) is not None and tree.stat(intent.path) is None:
            tree.exchange(intent.name, intent.path)  # ABSENT, unless it was cut off


async def _keep_what_came_out(sync: Sync, conflicts: ConflictKeeper, intent: Placement) -> None:
    await sync.threads.io(lambda: _finish_swap(sync.tree, intent))
    read = await sync.threads.io(lambda: sync.tree.hash_tmp(intent.name))
    if read is ReadProblem.GONE:
        return
    if isinstance(read, FileRead) and read.sha256 == intent.fresh_sha256:
        return
    if read is ReadProblem.NOT_A_FILE and await _is_directory(sync, intent.name):
        return  # it came out instead of a file: clearing leaves it
    if isinstance(read, FileRead) and read.sha256 == intent.old_sha256:
        await sync.threads.io(lambda: sync.tree.tmp_to_trash(intent.name))
        now, boot_id = sync.clock.now(), sync.clock.boot_id
        trashed = Trashed(intent.name, intent.path, read.sha256, now, boot_id)
        await sync.journal.write(lambda tx: local_ledger.note_trash(tx, trashed))
    else:
        copy = await sync.threads.io(lambda: sync.tree.tmp_to_conflicts(intent.name, intent.path))
        await conflicts.keep_bytes(None, intent.path, copy)


async def _is_directory(sync: Sync, name: str) -> bool:
    seen = await sync.threads.io(lambda: sync.tree.stat_tmp(name))
    return seen is not None and seen.kind is Kind.DIRECTORY


async def _note_what_was_done(sync: Sync, bases: Bases, intent: Placement) -> None:
    """The name holds what was to be placed, or nothing where something was to go: agreed."""
    looks = await sync.threads.io(lambda: look_at(sync.tree, [intent.path], {}))
    local, file = looks[intent.path]

    removed = intent.fresh_sha256 is None and isinstance(local, Absent)
    placed = file is not None and file.content.sha256 == intent.fresh_sha256

    def work(tx: Transaction) -> None:
        scope = scope_of(tx, intent.path)
        if removed:
            rows.drop_base(tx, scope, intent.path)
        elif placed and file is not None:
            rows.put_base(tx, scope, intent.path, file.as_base)
        if removed or placed:
            local_ledger.leave_join(tx, (intent.path,))

    await bases.change(work)
