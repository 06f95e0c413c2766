"""Contents too large to hold in memory: sent in parts where the store can, brought up without us.

Keeps section 5.4: an upload's id is journalled before its first part is sent; the lease is asked
before each part (L7); *the digest of what was sent* is compared before the upload is completed, so
an object never holds other bytes than its metadata says.  What a crash, a lost answer or a lost
lease leaves of an upload is aborted: then it can never be completed, late requests included.

Limits: the answer to the beginning of an upload may be lost, and then nobody knows its id; and one
that a store never aborts is forgotten.  Its parts are seen by nobody; a lifecycle rule of the
bucket removes them.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from swampd.domain import leases
from swampd.domain.outcomes import Applied, Found, Rejected
from swampd.domain.values import RemoteKey
from swampd.errors import BadRequest, KeyRefused, SwampdError
from swampd.syncing.fetching import no_room
from swampd.syncing.patience import Patience
from swampd.waiting import passes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from swampd.domain.entries import Entry
    from swampd.domain.outcomes import WriteOutcome
    from swampd.domain.values import CachePath, Wid
    from swampd.ports import Body, PartStore, SealedFile, Transaction
    from swampd.syncing.context import Sync

MOST_PARTS: Final = 10_000
"""A service takes no more parts of one object; a larger one has larger parts."""
MEMORY: Final = 48 * 1024 * 1024
"""So many bytes of parts are on their way at once (each part about twice)."""
PATIENCE_S: Final = leases.lifetime_s(leases.MOST_TTL_MS)
"""So long one request of an upload waits for its store; mostly the lease lapses before."""
ABORTS: Final = 20
"""So often a store that answers otherwise is asked to abort an upload; then it is forgotten."""
T = TypeVar("T")
log = structlog.get_logger()


async def create(
    sync: Sync,
    demand: Callable[[], None],
    key: RemoteKey,
    body: Body,
    metadata: Mapping[str, str],
    before_completing: Callable[[], Awaitable[None]] | None = None,
) -> WriteOutcome:
    """Create-only write of any body: in parts if it is sealed and the store writes in parts.

    `demand` raises errors.LockLost once the right to send is gone.  `before_completing` is awaited
    right before what makes an object of the parts is sent, maybe long after the first of them.
    Raises errors.KeyRefused for more than the store takes, errors.BadRequest when the sealed copy
    is not what it was.
    """
    parts = sync.store.parts
    if isinstance(body, bytes):
        return await sync.store.create(key, body, metadata)
    if parts is None:
        check_size(sync, key, body.size)
        return await sync.store.create(key, body, metadata)
    return await _Upload(sync, demand, parts, key, before_completing).send(body, metadata)


def check_size(sync: Sync, key: RemoteKey, size: int) -> None:
    """Raise errors.KeyRefused for an object that the store does not take in one request."""
    most = sync.store.capabilities.most_bytes
    if most is not None and size > most:
        raise KeyRefused(
            f"{key} has {size} bytes, and {sync.store.name} takes at most {most} in one request",
            "make it smaller, or use a store that takes it",
            key=key,
        )


class _Upload:
    """One object in parts."""

    def __init__(
        self,
        sync: Sync,
        demand: Callable[[], None],
        parts: PartStore,
        key: RemoteKey,
        before_completing: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._before_completing = before_completing
        self._sync = sync
        self._demand = demand
        self._parts = parts
        self._key = key
        self._digest = hashlib.sha256()
        self._patience = Patience(sync.clock, sync.rng, PATIENCE_S)

    async def send(self, body: SealedFile, metadata: Mapping[str, str]) -> WriteOutcome:
        """Begin, send all parts, compare, complete."""
        upload = await self._parts.begin(self._key, metadata)
        mark = (upload, self._key)
        self._sync.uploads.add(mark)
        try:
            await self._sync.journal.write(lambda tx: _begin(tx, mark))
            sent = await self._send_parts(upload, body)
            if self._digest.hexdigest() != body.sha256:
                raise BadRequest(
                    f"the sealed copy {body.location} is not what was hashed any more",
                    "push again",
                    path=body.location,
                )
            outcome = await self._lasting(lambda: self._complete(upload, sent))
        finally:
            # From here on `abort_left` may have it.
            self._sync.uploads.discard(mark)
        if isinstance(outcome, Applied):
            await self._sync.journal.write(lambda tx: _end(tx, [mark]), durable=False)
        elif isinstance(outcome, Rejected):
            await abort_left(self._sync, mark)
        return outcome

    async def _complete(self, upload: str, sent: Sequence[str]) -> WriteOutcome:
        if self._before_completing is not None:
            await self._before_completing()
            self._demand()
        return await self._parts.complete(self._key, upload, sent)

    async def _lasting(self, request: Callable[[], Awaitable[T]]) -> T:
        """One request of this upload; a store that is away is waited for, so that no part that it
        has is sent again."""

        async def work() -> T:
            self._demand()
            return await request()

        return await self._patience.through(work)

    async def _send_parts(self, upload: str, body: SealedFile) -> list[str]:
        """Read in order, send side by side; what each part is called."""
        size = max(self._sync.sizes.part, -(-body.size // MOST_PARTS))
        gate = asyncio.Semaphore(max(1, MEMORY // (2 * size)))
        sent: dict[int, str] = {}

        async def one(number: int, part: bytes) -> None:
            try:
                sent[number] = await self._lasting(
                    lambda: self._parts.send(self._key, upload, number, part)
                )
            finally:
                gate.release()

        try:
            async with asyncio.TaskGroup() as group:
                for number, start in enumerate(range(0, body.size, size), 1):
                    await gate.acquire()
                    part = await self._read(body, start, size)
                    group.create_task(one(number, part))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [sent[number] for number in sorted(sent)]

    async def _read(self, body: SealedFile, start: int, size: int) -> bytes:
        def work() -> bytes:
            part = self._sync.tree.sealed_part(body, start, size)
            self._digest.update(part)
            return part

        return await self._sync.threads.io(work)


async def abort_left(sync: Sync, *these: tuple[str, str]) -> None:
    """Abort these uploads, or all in the journal that nobody here is at work on; the rest is left
    for the next time, and what can never be aborted is forgotten.  No right is needed: an upload is
    its sender's own, and shows nobody."""
    known = these or tuple(await sync.journal.read(_left))
    ended = [mark for mark in known if mark not in sync.uploads and await _abort(sync, mark)]
    for mark in ended:
        sync.aborts.pop(mark, None)
    if ended:
        await sync.journal.write(lambda tx: _end(tx, ended), durable=False)


async def _abort(sync: Sync, mark: tuple[str, str]) -> bool:
    """Is there nothing left to do for this upload?"""
    (upload, key), parts = mark, sync.store.parts
    if parts is None or not key.startswith(sync.keys.all):
        log.warning("upload_forgotten", key=key, upload=upload, error="another_store")
        return True
    try:
        await parts.abort(RemoteKey(key), upload)
    except SwampdError as error:
        log.warning("upload_left", key=key, error=error.code, detail=error.summary)
        if await _is_hopeless(sync, mark, error):
            log.warning("upload_forgotten", key=key, upload=upload, error=error.code)
            return True
        return False
    return True


async def _is_hopeless(sync: Sync, mark: tuple[str, str], error: SwampdError) -> bool:
    """Was this asked often enough of a store that is not away, so that the answer is about the
    upload (an id of another service, a right that is missing)?"""
    if passes(error):
        try:
            await sync.store.head(RemoteKey(mark[1]))
        except SwampdError:
            return False
    sync.aborts[mark] += 1
    return sync.aborts[mark] >= ABORTS


def _begin(tx: Transaction, mark: tuple[str, str]) -> None:
    tx.execute("INSERT OR IGNORE INTO upload VALUES (?, ?)", mark)


def _end(tx: Transaction, marks: list[tuple[str, str]]) -> None:
    tx.executemany("DELETE FROM upload WHERE upload = ? AND key = ?", marks)


def _left(tx: Transaction) -> list[tuple[str, str]]:
    return [(upload, key) for upload, key in tx.execute("SELECT upload, key FROM upload")]


@asynccontextmanager
async def staged_body(
    sync: Sync, wid: Wid, path: CachePath, entry: Entry
) -> AsyncIterator[Body | None]:
    """The bytes of a staged copy, in memory or, if they are many, in a sealed file that is removed
    after the block; None where the copy is not there whole.  Raises errors.LowSpace."""
    key = sync.keys.staged(wid)
    if entry.size <= sync.sizes.stream_above:
        found = await sync.store.get(key)
        whole = isinstance(found, Found) and await _is(sync, found.body, entry)
        yield found.body if whole and isinstance(found, Found) else None
        return
    name = sync.rng.uuid()
    try:
        try:
            whole = await _is_whole(sync, key, name, entry)
        except OSError as error:
            raise no_room(path, entry, error) from error
        yield sync.tree.seal_tmp(name, entry.size, entry.sha256) if whole else None
    finally:
        await sync.threads.io(lambda: sync.tree.drop_tmp(name))


async def _is(sync: Sync, body: bytes, entry: Entry) -> bool:
    """Are these the entry's bytes?"""

    def same() -> bool:
        return hashlib.sha256(body).hexdigest() == entry.sha256

    if len(body) != entry.size:
        return False
    return same() if len(body) <= sync.sizes.together else await sync.threads.cpu(same)


async def _is_whole(sync: Sync, key: RemoteKey, name: str, entry: Entry) -> bool:
    """Read an object into `tmp/<name>`: does it hold the entry's bytes?"""
    digest = hashlib.sha256()
    with sync.tree.write_tmp(name, x=False) as sink:

        def take(chunk: bytes) -> None:
            digest.update(chunk)
            sink(chunk)

        found = await sync.store.get(key, sink=take)
    return isinstance(found, Found) and digest.hexdigest() == entry.sha256
