"""What lies in the private area and is of no use, or that no journal speaks of after a crash.

A rename into `trash/` or `conflicts/` comes before the journal's word of it.  Where a crash fell
between the two, the bytes would stay for ever, and a user's that nobody expected would never be
shown.  Of a conflict that is over the journal knows the copy until it is gone.  Keeps S2 and S6.

Limits: what was taken out of a name is told from a user's edit by the intents that are still open;
a copy of the head's content that the head has meanwhile left is shown as kept bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain.entries import Entry
from swampd.domain.paths import PathProblem, parse_cache_path
from swampd.domain.values import CachePath
from swampd.indexing import rows
from swampd.ports import FileRead, Kind, ReadProblem, Seen
from swampd.syncing import local_ledger
from swampd.syncing.local_ledger import Trashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.values import Sha256
    from swampd.ports import Transaction
    from swampd.syncing.conflicts import ConflictKeeper
    from swampd.syncing.context import Sync
    from swampd.syncing.local_ledger import Placement

CONFLICTS: Final = ".swampd/conflicts"
"""Where conflict copies are, relative to the root, as journals name them."""
NUMBER: Final = re.compile(r"\.[0-9]+$")
log = structlog.get_logger()


async def list_trash(sync: Sync, conflicts: ConflictKeeper, intents: Iterable[Placement]) -> None:
    """What is in trash goes like the rest of it.  What an unfinished placement took out, and is not
    what its plan saw, is kept as a conflict copy."""
    known = {row.name for row in await sync.journal.read(local_ledger.trashed)}
    for name in sorted(set(await sync.threads.io(sync.tree.trash)) - known):
        intent = next((one for one in intents if name.startswith(one.name)), None)
        await _list_trashed(sync, conflicts, name, intent)


async def _list_trashed(
    sync: Sync, conflicts: ConflictKeeper, name: str, intent: Placement | None
) -> None:
    read = await sync.threads.io(lambda: sync.tree.hash_trash(name))
    path = intent.path if intent is not None else CachePath(name)
    digest = read.sha256 if isinstance(read, FileRead) else None
    if intent is not None and digest != intent.old_sha256:
        copy = await sync.threads.io(lambda: sync.tree.trash_to_conflicts(name, path))
        await conflicts.keep_bytes(None, path, copy)
    elif digest is not None:
        row = Trashed(name, path, digest, sync.clock.now(), sync.clock.boot_id)
        await sync.journal.write(lambda tx: local_ledger.note_trash(tx, row))


async def drop_copies(sync: Sync) -> None:
    """Remove the copies of conflicts that are over."""
    async with sync.copies:
        places = await sync.journal.read(local_ledger.dropped_copies)
        if places:
            gone = await sync.threads.io(lambda: _drop(sync, places))
            await sync.journal.write(lambda tx: local_ledger.note_gone(tx, gone))


def _drop(sync: Sync, places: Mapping[str, Sha256 | None]) -> list[str]:
    """Those that are gone.  One that cannot go now is tried again, and fails nobody else."""
    gone = []
    for place, sha256 in places.items():
        try:
            if _is_still(sync, place, sha256):
                sync.tree.drop_conflict(place)
            gone.append(place)
        except OSError as error:
            log.info("copy_not_dropped", place=place, detail=str(error))
    # The journal forgets them for good: a power cut must not bring them back.
    sync.tree.sync()
    return gone


def _is_still(sync: Sync, place: str, sha256: Sha256 | None) -> bool:
    """Is this the copy that is to go?  When it was gone already its name may have been taken by
    bytes that somebody has to see (S2)."""
    read = sync.tree.read(CachePath(place), keep=False)
    if isinstance(read, FileRead):
        return sha256 is None or read.sha256 == sha256
    if read in (ReadProblem.GONE, ReadProblem.NOT_A_FILE):
        return False
    raise OSError(f"it is {read.value}")


async def list_copies(sync: Sync, conflicts: ConflictKeeper) -> None:
    """A conflict copy that no conflict names: one of the head's content, or of what was agreed
    before, is dropped; a pull fetches it again where it is needed.  Any other is shown."""
    known = {one.copy for one in await sync.journal.read(local_ledger.conflicts)}
    for place in await sync.threads.io(lambda: _copies(sync)):
        if place not in known:
            await _list_copy(sync, conflicts, place)


async def _list_copy(sync: Sync, conflicts: ConflictKeeper, place: str) -> None:
    path = await sync.journal.read(lambda tx: _path_of(tx, place))
    read = await sync.threads.io(lambda: sync.tree.read(CachePath(place), keep=False))
    if path is None or not isinstance(read, FileRead):
        log.warning("conflict_copy_unlisted", place=place)
        return
    agreed = await sync.journal.read(lambda tx: _agreed(tx, path))
    if read.sha256 in agreed:
        await sync.threads.io(lambda: sync.tree.drop_conflict(place))
    else:
        await conflicts.keep_bytes(None, path, place)


def _path_of(tx: Transaction, place: str) -> CachePath | None:
    """What a copy was kept of: the path in its place, or that without the number which a second
    copy has, where only that one is known."""
    name = place.removeprefix(f"{CONFLICTS}/")
    paths = [parse_cache_path(one) for one in (name, NUMBER.sub("", name))]
    usable = [path for path in paths if not isinstance(path, PathProblem)]
    known = (path for path in usable if rows.remote(tx, path) or rows.base(tx, path))
    return next(known, usable[0] if usable else None)


def _agreed(tx: Transaction, path: CachePath) -> set[Sha256]:
    """Contents of a path that are no news of a user here: that of the head, that of base."""
    record, base = rows.remote(tx, path), rows.base(tx, path)
    known = {base.content.sha256} if base is not None else set()
    return known | ({record.content.sha256} if isinstance(record, Entry) else set())


def _copies(sync: Sync) -> list[str]:
    found = sync.tree.scan(CONFLICTS, lambda _: False)
    return sorted(row.path for row in found if isinstance(row, Seen) and row.kind is Kind.FILE)
