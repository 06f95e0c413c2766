"""Downloading the contents that a pull places (section 4, a reader; section 6, pull).

A reader takes the redo copy where there is one, else the plain key on condition of its token.
Refused or missing: the head is read again; still so, the path is `unsettled` or `missing` and keeps
its old local state.  Missing is never a delete (S4).  What the store will not give of one path is
that path's trouble, never its scope's (section 8).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from swampd.domain.outcomes import Found, Missing
from swampd.domain.states import PathState
from swampd.errors import KeyRefused, LowSpace, StoreDenied, StoreUnavailable
from swampd.syncing.patience import Patience
from swampd.waiting import for_each

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.domain.entries import Entry
    from swampd.domain.values import CachePath
    from swampd.ports import Sink, Stamp
    from swampd.syncing.context import Sync

POINTER_BYTES: Final = 256
PATIENCE_S: Final = 30.0
"""So long downloads wait for a store that went away in the middle of them."""
STREAM_ABOVE: Final = 16 * 1024 * 1024
"""Contents of more bytes are never held in memory."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A verified download in `tmp/<name>`, ready to be placed."""

    path: CachePath
    entry: Entry
    name: str
    stamp: Stamp
    head: bytes
    """The first bytes, enough for the text of a pointer."""


@dataclass(slots=True)
class Fetch:
    """What became of the downloads."""

    ready: dict[CachePath, Fetched] = field(default_factory=dict)
    held: dict[CachePath, PathState] = field(default_factory=dict)
    failed: dict[CachePath, str] = field(default_factory=dict)
    """Why the store did not give them."""


class _Intake:
    """Counts and hashes what goes into a file."""

    def __init__(self, write: Sink) -> None:
        self._write = write
        self._hash = hashlib.sha256()
        self.size = 0
        self.head = b""

    def __call__(self, chunk: bytes) -> None:
        if len(self.head) < POINTER_BYTES:
            self.head = (self.head + chunk)[:POINTER_BYTES]
        self._hash.update(chunk)
        self.size += len(chunk)
        self._write(chunk)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


async def fetch(
    sync: Sync, entries: Mapping[CachePath, Entry], patience: Patience | None = None
) -> Fetch:
    """Download these contents to `tmp/`, each verified by size and sha256.

    What the store did not give is in `failed`; one that is away is waited for first, with this
    patience.  Raises errors.LowSpace when the disk is full.
    """
    waiting = patience or Patience(sync.clock, sync.rng, PATIENCE_S)
    result = Fetch()
    full: list[LowSpace] = []

    async def one(path: CachePath) -> None:
        if full:
            return
        try:
            await waiting.through(lambda: _fetch_one(sync, path, entries[path], result))
        except (StoreUnavailable, StoreDenied, KeyRefused) as error:
            result.failed[path] = error.summary
        except LowSpace as error:
            full.append(error)

    await for_each(entries, one, sync.store.capabilities.side_by_side)
    if full:
        names = [ready.name for ready in result.ready.values()]
        await sync.threads.io(lambda: _drop(sync, names))
        raise full[0]
    return result


def _drop(sync: Sync, names: list[str]) -> None:
    for name in names:
        sync.tree.drop_tmp(name)


async def _fetch_one(sync: Sync, path: CachePath, entry: Entry, result: Fetch) -> None:
    name = sync.rng.uuid()
    try:
        intake, problem = await _take_in(sync, path, entry, name)
    except OSError as error:
        await sync.threads.io(lambda: sync.tree.drop_tmp(name))
        raise LowSpace(
            f"the cache could not take {entry.size} bytes of {path}: {error.strerror}",
            "free some space, then pull again; nothing was changed",
            path=path,
        ) from error
    if problem is None and (intake.sha256 != entry.sha256 or intake.size != entry.size):
        problem = PathState.UNSETTLED
    if problem is not None:
        await sync.threads.io(lambda: sync.tree.drop_tmp(name))
        result.held[path] = problem
        return
    stamp = await sync.threads.io(lambda: sync.tree.finish_tmp(name, entry.mtime_ns))
    result.ready[path] = Fetched(path, entry, name, stamp, intake.head)


async def _take_in(
    sync: Sync, path: CachePath, entry: Entry, name: str
) -> tuple[_Intake, PathState | None]:
    """Bring the content into `tmp/<name>`: from the head, from a staged copy or the plain key."""
    redo = entry.redo
    if redo is not None and redo.inline is not None:
        inline = redo.inline
        return await sync.threads.io(lambda: _write(sync, name, entry, inline)), None
    key, token = sync.keys.payload(path), entry.token
    if redo is not None and redo.staged is not None:
        key, token = sync.keys.staged(redo.staged), None
    if entry.size > STREAM_ABOVE:
        with sync.tree.write_tmp(name, x=entry.x) as sink:
            intake = _Intake(sink)
            found = await sync.store.get(key, if_token=token, sink=intake)
    else:
        found = await sync.store.get(key, if_token=token)
        data = found.body if isinstance(found, Found) else b""
        intake = await sync.threads.io(lambda: _write(sync, name, entry, data))
    if isinstance(found, Found):
        return intake, None
    return intake, PathState.MISSING if isinstance(found, Missing) else PathState.UNSETTLED


def _write(sync: Sync, name: str, entry: Entry, data: bytes) -> _Intake:
    with sync.tree.write_tmp(name, x=entry.x) as sink:
        intake = _Intake(sink)
        intake(data)
    return intake
