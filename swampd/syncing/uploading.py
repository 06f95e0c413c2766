"""Uploading what a plan sends, before the commit (sections 4.1, 4.2 and 5.4).

Only create-only PUTs of paths that no head says anything of touch plain keys here; every other
change travels as a redo copy, in the head or staged.  *What is sent is what the plan saw*, else the
path is planned again, and after three tries it is busy.  Keeps S7 (nothing readable is overwritten
before the head that says so), S12.

A store that is away is waited for while the lease stands; what it has acknowledged is not sent
again, neither then nor by a later push (`sent.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from swampd.domain import leases
from swampd.domain.entries import INLINE_TOTAL, Entry, Record, Redo
from swampd.domain.metadata import PayloadMark
from swampd.domain.outcomes import Applied, Found, Missing, Rejected, Unknown
from swampd.domain.states import ConflictKind, PathState
from swampd.domain.values import CachePath, Token, Wid
from swampd.errors import KeyRefused, StoreUnavailable, SwampdError
from swampd.indexing import rows
from swampd.ports import Body, FileRead, ReadProblem, SealedFile
from swampd.syncing import large, ledger
from swampd.syncing.fetching import BODIES_AT_ONCE
from swampd.syncing.patience import Patience
from swampd.syncing.requests import Fresh, Plain, PlainKeys
from swampd.syncing.sent import Sent, all_sent
from swampd.syncing.survey import LocalFile, local_file
from swampd.waiting import Room, asked_s, for_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.outcomes import WriteOutcome
    from swampd.locking.lease import Lease
    from swampd.ports import Transaction
    from swampd.syncing.context import Sync

BATCH: Final = 256
"""So many intents are journalled in one transaction."""
BATCHES: Final = 2
"""While one is sent, the next is journalled and read."""
SENDINGS: Final = 4
"""So often one object is sent when the answers are unclear."""
READS: Final = 3
"""So often a file that changes under the reader is read (section 5.4)."""
READS_WITHIN_S: Final = 2.0
log = structlog.get_logger()


@dataclass(slots=True)
class Uploaded:
    """What became of the paths of a plan."""

    records: dict[CachePath, Record] = field(default_factory=dict)
    files: dict[CachePath, LocalFile] = field(default_factory=dict)
    conflicts: dict[CachePath, ConflictKind] = field(default_factory=dict)
    held: dict[CachePath, PathState] = field(default_factory=dict)
    reasons: dict[CachePath, str] = field(default_factory=dict)
    """Of the held ones, where there is more to say."""
    edited: dict[CachePath, LocalFile] = field(default_factory=dict)
    """What these hold now is not what the plan saw: they are to be planned again."""
    failed: dict[CachePath, str] = field(default_factory=dict)


class _Item(msgspec.Struct, frozen=True, gc=False):
    """One path to send: its file, the head's row for it, and its way."""

    path: CachePath
    file: LocalFile
    record: Record | None
    expected: Token | None
    """What its plain key is expected to hold."""
    fresh: bool
    """No head says anything of it: a create-only PUT of the plain key."""
    wid: Wid


_Read = tuple[Body | None, LocalFile] | ReadProblem
"""A file as it is now; no bytes where they are not what the plan saw."""


class Uploader:
    """Sends the files of one push under one lease."""

    def __init__(self, sync: Sync, lease: Lease, inline_used: int) -> None:
        """`inline_used`: bytes of inline copies that the head has already."""
        self._sync = sync
        self._lease = lease
        self._plain = PlainKeys(sync, lease)
        self._patience = Patience(
            sync.clock, sync.rng, leases.lifetime_s(lease.record.ttl_ms), lease.may_act
        )
        self._room = INLINE_TOTAL - inline_used
        self._memory = Room(BODIES_AT_ONCE)
        self._ahead: dict[CachePath, _Read] = {}
        """What was read before its turn."""
        self._result = Uploaded()
        self._outcomes: dict[CachePath, WriteOutcome] = {}
        """What became of fresh ones that were sent together, and are not done with that."""
        self._before: dict[CachePath, Sent] | None = None
        """What earlier pushes have sent, and no commit has named."""
        self._sent: list[Sent] = []
        """What is acknowledged of the batches under way, and not noted yet."""

    async def upload(self, files: Mapping[CachePath, LocalFile]) -> Uploaded:
        """Send these files, in batches; the result is of all calls.  Raises errors.LockLost."""
        if self._before is None:
            self._before = await self._sync.journal.read(all_sent)
        paths = list(files)

        async def one(start: int) -> None:
            batch = paths[start : start + BATCH]
            await self._send_batch(await self._read_items(batch, files))

        await for_each(range(0, len(paths), BATCH), one, BATCHES)
        return self._result

    async def _read_items(
        self, batch: list[CachePath], files: Mapping[CachePath, LocalFile]
    ) -> list[_Item]:
        return await self._sync.journal.read(lambda tx: self._items(tx, batch, files))

    def _items(
        self, tx: Transaction, batch: list[CachePath], files: Mapping[CachePath, LocalFile]
    ) -> list[_Item]:
        records = rows.remotes(tx, batch)
        near = rows.near_any(tx, batch)
        found: list[_Item] = []
        for path in batch:
            record = records.get(path)
            wid = Wid(self._sync.rng.uuid())
            expected = ledger.plain_token(tx, path, record) if record is not None else None
            fresh = record is None and path not in near
            found.append(_Item(path, files[path], record, expected, fresh, wid))
        return found

    async def _send_batch(self, items: list[_Item]) -> None:
        """Journal the intents of the plain keys, send, close what was answered."""
        fresh = [item for item in items if item.fresh]
        ids = await self._plain.begin(
            [self._plain.intent("put", i.path, i.wid, i.file.content.sha256) for i in fresh]
        )
        of = {item.path: i for item, i in zip(fresh, ids, strict=True)}
        answered: set[int] = set()
        sizes = self._sync.sizes

        async def one(item: _Item) -> None:
            intent = of.get(item.path)
            async with self._memory.hold(min(item.file.content.size, sizes.stream_above)):
                done = await self._send_item(item, intent)
            if done and intent is not None:
                answered.add(intent)

        # These are read before the first of them is sent; a larger one when its turn comes.
        small = [item for item in items if item.file.content.size <= sizes.together]
        try:
            self._ahead |= await self._read_some(small)
            answered |= await self._send_together([i for i in small if i.fresh], of)
            rest = [item for item in items if of.get(item.path) not in answered]
            await for_each(rest, one, self._sync.store.capabilities.side_by_side)
        finally:
            sent, self._sent = self._sent, []
            await self._plain.end(ids, answered, sent)

    async def _send_together(self, items: list[_Item], of: Mapping[CachePath, int]) -> set[int]:
        """Send those fresh ones that are read already, and were not sent before; the intents of
        those that are done with.  The others have their outcome noted, if they were sent."""
        together: list[tuple[_Item, LocalFile]] = []
        fresh: list[Fresh] = []
        for item in items:
            read = self._ahead.get(item.path)
            if isinstance(read, tuple) and isinstance(read[0], bytes) and not self._was_sent(item):
                together.append((item, read[1]))
                fresh.append(Fresh(item.path, read[0], self._mark(item)))
        requests = [of[item.path] for item, _ in together]
        answers = await self._plain.create_each(fresh, requests)
        done: set[int] = set()
        for (item, file), request, answer in zip(together, requests, answers, strict=True):
            if isinstance(answer, Applied) and answer.token is not None:
                self._done_fresh(item, file, item.wid, answer.token)
            elif isinstance(answer, KeyRefused):
                self._refused(item, answer)
            else:
                if answer is not None and not isinstance(answer, SwampdError):
                    self._outcomes[item.path] = answer
                continue
            done.add(request)
            del self._ahead[item.path]
        return done

    async def _send_item(self, item: _Item, intent: int | None) -> bool:
        """Send one path; True when its batch intent is answered."""
        read = await self._read(item)
        if read is None:
            return True
        body, file = read
        try:
            return await self._send_read(item, body, file, intent)
        finally:
            if isinstance(body, SealedFile):
                await self._sync.threads.io(lambda: self._drop_sealed((body,)))

    async def _send_read(
        self, item: _Item, body: Body, file: LocalFile, intent: int | None
    ) -> bool:
        try:
            if intent is not None:
                return await self._send_fresh(item, body, file, intent)
            await self._patience.through(lambda: self._send_redo(item, body, file, None))
        except KeyRefused as error:
            self._refused(item, error)
            return not item.fresh
        except StoreUnavailable as error:
            self._result.failed[item.path] = error.summary
            return not item.fresh
        return True

    def _refused(self, item: _Item, error: KeyRefused) -> None:
        """One bad key never fails the rest (section 8)."""
        log.warning("key_refused", path=item.path, detail=error.summary)
        self._result.held[item.path] = PathState.REFUSED_NAME
        self._result.reasons[item.path] = error.summary

    # --- reading ------------------------------------------------------------------------------

    async def _read(self, item: _Item) -> tuple[Body, LocalFile] | None:
        """The file's bytes, if they are still what the plan saw."""
        began = self._sync.clock.now()
        read = self._ahead.pop(item.path, None)
        tries = 0
        while True:
            tries += 1
            if read is None:
                read = (await self._read_some([item]))[item.path]
            if not isinstance(read, ReadProblem):
                body, file = read
                if body is not None:
                    return body, file
                self._result.edited[item.path] = file
                return None
            late = self._sync.clock.now() - began >= READS_WITHIN_S
            if tries >= READS or late or read is not ReadProblem.BUSY:
                break
            await self._sync.clock.sleep(READS_WITHIN_S / READS)
            read = None
        unreadable = read is ReadProblem.UNREADABLE
        self._result.held[item.path] = PathState.UNREADABLE if unreadable else PathState.BUSY
        return None

    async def _read_some(self, items: list[_Item]) -> dict[CachePath, _Read]:
        """Read these.  What is sealed of them and handed to nobody is removed."""
        found: dict[CachePath, _Read] = {}
        try:
            await self._sync.threads.io(lambda: self._read_now(items, found))
        except BaseException:
            sealed = [read[0] for read in found.values() if isinstance(read, tuple)]
            await self._sync.threads.io(lambda: self._drop_sealed(sealed))
            raise
        return found

    def _drop_sealed(self, bodies: Iterable[Body | None]) -> None:
        for body in bodies:
            if isinstance(body, SealedFile):
                self._sync.tree.drop_sealed(body)

    def _read_now(self, items: list[_Item], found: dict[CachePath, _Read]) -> None:
        """Read these; the bytes of one that is not what the plan saw are not kept."""
        now_ns = self._sync.tree.now_ns()
        reads = self._sync.tree.read_each((item.path for item in items), keep=True)
        for item, read in zip(items, reads, strict=True):
            if isinstance(read, FileRead):
                file = local_file(read, now_ns)
                same = file.content == item.file.content
                found[item.path] = (read.body if same else None), file
                self._drop_sealed(() if same else (read.body,))
            else:
                found[item.path] = read

    # --- a fresh path -------------------------------------------------------------------------

    async def _send_fresh(self, item: _Item, body: Body, file: LocalFile, intent: int) -> bool:
        """Create-only PUT; refused with the same bytes: adopt; refused otherwise: redo."""
        if self._before and self._was_sent(item):
            before = await self._sent_before(self._before[item.path])
            if before is not None:
                await self._take_found(item, body, file, before)
                return True
        mark = self._mark(item)
        try:
            outcome = self._outcomes.pop(item.path, None) or await self._patience.through(
                lambda: self._plain.create(item.path, body, mark, intent)
            )
        except KeyRefused as error:
            self._refused(item, error)
            return True
        if isinstance(outcome, Applied) and outcome.token is not None:
            self._done_fresh(item, file, item.wid, outcome.token)
            return True
        answered = not isinstance(outcome, Unknown)
        wait = self._patience.begin()
        while True:
            plain = await self._patience.through(lambda: self._plain.look(item.path))
            if plain is not None:
                await self._take_found(item, body, file, plain)
                return answered
            if not await wait.again():
                break
            again = await self._patience.through(
                lambda: self._plain.create_one(item.path, body, mark)
            )
            if isinstance(again, Applied) and again.token is not None:
                self._done_fresh(item, file, item.wid, again.token)
                return answered
        self._result.failed[item.path] = "the store gave no clear answer"
        return answered

    def _was_sent(self, item: _Item) -> bool:
        """By a push before this one, with an acknowledgement?"""
        return self._before is not None and item.path in self._before

    def _mark(self, item: _Item) -> PayloadMark:
        return PayloadMark(item.wid, self._lease.epoch, item.file.content.sha256)

    async def _sent_before(self, before: Sent) -> Plain | None:
        """What an earlier push has put at a plain key: as it was answered under this lease, else
        as a look shows it."""
        if before.is_under(self._lease):
            return Plain(before.token, PayloadMark(before.wid, before.epoch, before.sha256))
        return await self._patience.through(lambda: self._plain.look(before.path))

    async def _take_found(self, item: _Item, body: Body, file: LocalFile, plain: Plain) -> None:
        """The plain key of a fresh path holds something already."""
        if plain.mark is None:
            self._result.conflicts[item.path] = ConflictKind.FOREIGN_OBJECT
        elif plain.mark.sha256 == file.content.sha256:
            self._done_fresh(item, file, plain.mark.wid, plain.token)
        else:
            await self._patience.through(lambda: self._send_redo(item, body, file, plain.token))

    def _done_fresh(self, item: _Item, file: LocalFile, wid: Wid, token: Token) -> None:
        """Its plain key holds the content; that is remembered until a commit names it."""
        lease, sha256 = self._lease, file.content.sha256
        self._sent.append(Sent(item.path, wid, sha256, token, lease.epoch, lease.nonce))
        self._done(item, file, wid, token, None)

    # --- a path that the head knows -----------------------------------------------------------

    async def _send_redo(
        self, item: _Item, body: Body, file: LocalFile, token: Token | None
    ) -> None:
        """Keep the content in the head or staged until the plain key may be brought up."""
        expected = token if token is not None else item.expected
        size = file.content.size
        if isinstance(body, bytes) and size <= self._sync.sizes.inline and size <= self._room:
            self._room -= size
            self._done(item, file, item.wid, expected, Redo(inline=body))
            return
        await self._stage(item.wid, body)
        self._done(item, file, item.wid, expected, Redo(staged=item.wid))

    async def _stage(self, wid: Wid, body: Body) -> None:
        """Write staged content.  Its key is a fresh wid, so whatever is found there is ours; only
        all of it counts."""
        key = self._sync.keys.staged(wid)
        size = len(body) if isinstance(body, bytes) else body.size
        wait = self._patience.begin()
        for _ in range(SENDINGS):
            await self._sync.pace.turn(key)
            self._lease.demand()
            outcome = await large.create(self._sync, self._lease.demand, key, body, {})
            if isinstance(outcome, Applied):
                return
            if asked_s(outcome):
                await wait.again(outcome)
            found = await self._sync.store.head(key)
            if isinstance(outcome, Unknown):
                there = isinstance(found, Found)
                log.info("unknown_looked_at", key=key, there=there, unknown=1)
            if isinstance(found, Found) and found.size == size:
                return
            if isinstance(found, Missing) and isinstance(outcome, Rejected):
                break
        raise StoreUnavailable("the store gave no clear answer to a staged copy", "push again")

    def _done(
        self, item: _Item, file: LocalFile, wid: Wid, token: Token | None, redo: Redo | None
    ) -> None:
        content = file.content
        self._result.records[item.path] = Entry(
            content.size, content.sha256, file.stamp.mtime_ns, content.x, wid, token, redo
        )
        self._result.files[item.path] = file
