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

import msgspec

from swampd.domain.outcomes import Found, Missing
from swampd.domain.states import PathState
from swampd.errors import KeyRefused, LowSpace, StoreDenied, StoreUnavailable, SwampdError
from swampd.ports import Scratch, Wanted
from swampd.syncing.patience import Patience
from swampd.waiting import Room, for_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.entries import Entry
    from swampd.domain.outcomes import Mismatch
    from swampd.domain.values import CachePath, Content, RemoteKey, Token
    from swampd.ports import Sink, Stamp
    from swampd.syncing.context import Sync

POINTER_BYTES: Final = 256
PATIENCE_S: Final = 30.0
"""So long downloads wait for a store that went away in the middle of them."""
AT_ONCE: Final = 256
"""So many small contents are asked for at once."""
BODIES_AT_ONCE: Final = 64 * 1024 * 1024
"""So many bytes of contents are in memory at once."""
TOGETHER: Final = 32
TOGETHER_BYTES: Final = 1024 * 1024
"""So many contents, or so many bytes of them, are written in one go."""


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """A verified download (or copy) in `tmp/<name>`, ready to be placed."""

    path: CachePath
    content: Content
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


async def fetch(
    sync: Sync, entries: Mapping[CachePath, Entry], patience: Patience | None = None
) -> Fetch:
    """Download these contents to `tmp/`, each verified by size and sha256.

    What the store did not give is in `failed`; one that is away is waited for first, with this
    patience.  Raises errors.LowSpace when the disk is full.
    """
    waiting = patience or Patience(sync.clock, sync.rng, PATIENCE_S)
    result = Fetch()
    landing = _Landing(sync, result)
    full: list[LowSpace] = []
    memory = Room(BODIES_AT_ONCE)

    async def one(path: CachePath) -> None:
        if full:
            return
        try:
            async with memory.hold(min(entries[path].size, sync.sizes.stream_above)):
                await waiting.through(lambda: _fetch_one(sync, path, entries[path], landing))
        except (StoreUnavailable, StoreDenied, KeyRefused) as error:
            result.failed[path] = error.summary
        except LowSpace as error:
            full.append(error)

    small = [path for path, entry in entries.items() if _is_small(sync, entry)]
    try:
        left = await _fetch_small(sync, small, entries, landing)
        rest = [path for path, entry in entries.items() if not _is_small(sync, entry)]
        await for_each([*left, *rest], one, sync.store.capabilities.side_by_side)
        await landing.write()
    except LowSpace as error:
        full.append(error)
    if full:
        names = [ready.name for ready in result.ready.values()]
        await sync.threads.io(lambda: _drop(sync, names))
        raise full[0]
    return result


def _drop(sync: Sync, names: Iterable[str]) -> None:
    for name in names:
        sync.tree.drop_tmp(name)


def _is_small(sync: Sync, entry: Entry) -> bool:
    """Is it one of those that are asked for many at once?"""
    inline = entry.redo is not None and entry.redo.inline is not None
    return entry.size <= sync.sizes.together and not inline


def _wanted(sync: Sync, path: CachePath, entry: Entry) -> Wanted:
    """The staged copy where there is one, else the plain key on condition of its token."""
    if entry.redo is not None and entry.redo.staged is not None:
        return Wanted(sync.keys.staged(entry.redo.staged))
    return Wanted(sync.keys.payload(path), entry.token)


async def _fetch_small(
    sync: Sync, paths: list[CachePath], entries: Mapping[CachePath, Entry], landing: _Landing
) -> list[CachePath]:
    """Get these many at once; those that the store did not answer are left, to be asked for one by
    one."""
    left: list[CachePath] = []
    for start in range(0, len(paths), AT_ONCE):
        some = paths[start : start + AT_ONCE]
        answers = await sync.store.get_each([_wanted(sync, p, entries[p]) for p in some])
        for path, answer in zip(some, answers, strict=True):
            if isinstance(answer, Found):
                await landing.take(path, entries[path], answer.body)
            elif isinstance(answer, SwampdError):
                left.append(path)
            else:
                landing.result.held[path] = _problem(answer)
    return left


async def _fetch_one(sync: Sync, path: CachePath, entry: Entry, landing: _Landing) -> None:
    """Get a content, from the head, a staged copy or the plain key, and hand it to the landing."""
    redo = entry.redo
    if redo is not None and redo.inline is not None:
        await landing.take(path, entry, redo.inline)
        return
    wanted = _wanted(sync, path, entry)
    if entry.size > sync.sizes.stream_above:
        await _stream(sync, wanted.key, wanted.if_token, (path, entry), landing.result)
        return
    found = await sync.store.get(wanted.key, if_token=wanted.if_token)
    if isinstance(found, Found):
        await landing.take(path, entry, found.body)
    else:
        landing.result.held[path] = _problem(found)


def _problem(found: Found | Missing | Mismatch) -> PathState:
    """What a path is in when this is what the store says of its object."""
    return PathState.MISSING if isinstance(found, Missing) else PathState.UNSETTLED


def no_room(path: CachePath, entry: Entry, error: OSError) -> LowSpace:
    """What the disk said when a content was written to `tmp/`."""
    return LowSpace(
        f"the cache could not take {entry.size} bytes of {path}: {error.strerror}",
        "free some space, then pull again; nothing was changed",
        path=path,
    )


# --- small contents -----------------------------------------------------------------------------


class _Landing:
    """Contents that have come: held until there are enough to be written in one go."""

    def __init__(self, sync: Sync, result: Fetch) -> None:
        self.result = result
        self._sync = sync
        self._waiting: list[tuple[CachePath, Entry, bytes]] = []
        self._bytes = 0

    async def take(self, path: CachePath, entry: Entry, body: bytes) -> None:
        """One more; one that is not what its entry says is not written.  Raises errors.LowSpace."""
        self._waiting.append((path, entry, body))
        self._bytes += len(body)
        if len(self._waiting) >= TOGETHER or self._bytes >= TOGETHER_BYTES:
            await self.write()

    async def write(self) -> None:
        """Verify and write what waits.  Raises errors.LowSpace."""
        taken, self._waiting, self._bytes = self._waiting, [], 0
        if taken:
            await self._sync.threads.io(lambda: self._write(taken))

    def _write(self, taken: list[tuple[CachePath, Entry, bytes]]) -> None:
        good: list[tuple[CachePath, Entry, Scratch]] = []
        for path, entry, body in taken:
            if len(body) == entry.size and hashlib.sha256(body).hexdigest() == entry.sha256:
                file = Scratch(self._sync.rng.uuid(), body, entry.x, entry.mtime_ns)
                good.append((path, entry, file))
            else:
                self.result.held[path] = PathState.UNSETTLED
        stamps = self._sync.tree.write_each_tmp(file for _, _, file in good)
        for path, entry, file in good:
            try:
                stamp = next(stamps)
            except OSError as error:
                raise no_room(path, entry, error) from error
            self.result.ready[path] = Fetched(
                path, entry.content, file.name, stamp, file.data[:POINTER_BYTES]
            )


# --- large contents -----------------------------------------------------------------------------


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


async def _stream(
    sync: Sync,
    key: RemoteKey,
    token: Token | None,
    wanted: tuple[CachePath, Entry],
    result: Fetch,
) -> None:
    """Get a content that is not held in memory: it goes into its file as it comes."""
    (path, entry), name = wanted, sync.rng.uuid()
    try:
        with sync.tree.write_tmp(name, x=entry.x) as sink:
            intake = _Intake(sink)
            found = await sync.store.get(key, if_token=token, sink=intake)
    except OSError as error:
        await sync.threads.io(lambda: sync.tree.drop_tmp(name))
        raise no_room(path, entry, error) from error
    problem = None if isinstance(found, Found) else _problem(found)
    if problem is None and (intake.sha256 != entry.sha256 or intake.size != entry.size):
        problem = PathState.UNSETTLED
    if problem is not None:
        await sync.threads.io(lambda: sync.tree.drop_tmp(name))
        result.held[path] = problem
        return
    stamp = await sync.threads.io(lambda: sync.tree.finish_tmp(name, entry.mtime_ns))
    result.ready[path] = Fetched(path, entry.content, name, stamp, intake.head)
