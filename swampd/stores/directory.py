"""A store in a folder: on a disk, a share, or a path that something else copies.

Each object is a file at its key, so a person can read it, and any tool can copy it; a copy made
with `cp -a` is the same store.  Keeps section 2 between threads, processes and after `kill -9` at
any point, and S10; how is told in `folder`.

Limits: what `flock` and rename promise is what the file system keeps; a share that does not pass
locks on to other machines is not noticed.  A key that is also the folder of another is refused
(errors.KeyRefused).  An operation whose caller is cancelled goes on in its thread and may land.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from swampd.domain.outcomes import Mismatch, Unchanged
from swampd.ports import StoreCapabilities
from swampd.stores.bodies import chunks
from swampd.stores.each import Leave, share_out
from swampd.stores.folder import listing, reading
from swampd.stores.folder.calls import Calls
from swampd.stores.folder.faults import translate
from swampd.stores.folder.lock import StoreLock
from swampd.stores.folder.paths import place_of
from swampd.stores.folder.root import Root
from swampd.stores.folder.writing import When, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from swampd.domain.outcomes import Found, Missing, Page, WriteOutcome
    from swampd.domain.values import RemoteKey, Token
    from swampd.errors import SwampdError
    from swampd.ports import (
        Body,
        Creation,
        Lacking,
        MaySend,
        Read,
        Sink,
        Threads,
        Wanted,
    )
    from swampd.stores.folder.writing import Condition

T = TypeVar("T")

CAPABILITIES: Final = StoreCapabilities(conditional_delete=True, server_copy=True)


class DirectoryStore:
    """One connection to the store in a folder.  Makes nothing until its first write."""

    def __init__(self, folder: Path, threads: Threads, calls: Calls | None = None) -> None:
        self._name = f"directory {folder}"
        self._threads = threads
        self._root = Root(folder, self._name)
        self._writer = Writer(StoreLock(self._name), calls or Calls())

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self._name

    @property
    def capabilities(self) -> StoreCapabilities:
        """Everything; writes of one key may follow each other at once."""
        return CAPABILITIES

    @property
    def parts(self) -> None:
        """Any body is written at once."""
        return None

    def narrow(self, lacking: Lacking) -> None:
        """It keeps all of its capabilities: a probe that says otherwise found a bug.

        Raises AssertionError.
        """
        raise AssertionError(lacking)

    async def get(
        self, key: RemoteKey, *, if_token: Token | None = None, sink: Sink | None = None
    ) -> Found | Missing | Mismatch:
        """See `ports.ObjectStore`."""
        place = place_of(key)

        def instead(token: Token) -> Mismatch | None:
            return Mismatch() if if_token is not None and token != if_token else None

        return await self._run(
            f"read {key!r}", lambda root: reading.get(root, place, instead, sink)
        )

    async def get_each(self, wanted: Sequence[Wanted]) -> Sequence[Read | SwampdError]:
        """See `ports.ObjectStore`: all in one thread."""

        def work(number: int) -> Read:
            key, if_token = wanted[number].key, wanted[number].if_token

            def instead(token: Token) -> Mismatch | None:
                return Mismatch() if if_token is not None and token != if_token else None

            place = place_of(key)
            return self._guarded(
                f"read {key!r}", lambda root: reading.get(root, place, instead, None)
            )

        return await share_out(len(wanted), 1, self._threads.io, work)

    async def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        """See `ports.ObjectStore`."""
        place = place_of(key)

        def instead(now: Token) -> Unchanged | None:
            return Unchanged() if now == token else None

        return await self._run(f"read {key!r}", lambda root: reading.get(root, place, instead))

    async def head(self, key: RemoteKey) -> Found | Missing:
        """See `ports.ObjectStore`."""
        place = place_of(key)
        return await self._run(f"read {key!r}", lambda root: reading.head(root, place))

    async def put(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._write(key, body, metadata, When.ALWAYS)

    async def create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """See `ports.ObjectStore`; a head, a lock or the layout is on disk once Applied, with all
        that was written before; anything else is after the next of these or the next replace."""
        return await self._write(key, body, metadata, When.ABSENT)

    async def create_each(
        self, creations: Sequence[Creation], may_send: MaySend
    ) -> Sequence[WriteOutcome | SwampdError | None]:
        """See `ports.ObjectStore`: a few at a time, so that one fsync does for several."""
        with Leave(may_send) as leave:

            def work(number: int) -> WriteOutcome | None:
                each = creations[number]
                place = place_of(each.key)
                if not leave(number):
                    return None
                return self._guarded(
                    f"write {each.key!r}",
                    lambda root: self._writer.write(
                        root, place, chunks(each.body), each.metadata, When.ABSENT
                    ),
                )

            threads = self.capabilities.side_by_side
            return await share_out(len(creations), threads, self._threads.io, work)

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        """See `ports.ObjectStore`; once Applied, it and all that was written before is on disk."""
        return await self._write(key, body, metadata, token)

    async def delete(self, key: RemoteKey) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._delete(key, When.ALWAYS)

    async def delete_if(self, key: RemoteKey, token: Token) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        return await self._delete(key, token)

    async def copy_to(
        self,
        source: RemoteKey,
        target: RemoteKey,
        token: Token | None,
        metadata: Mapping[str, str],
    ) -> WriteOutcome:
        """See `ports.ObjectStore`."""
        origin, place = place_of(source), place_of(target)
        condition = When.ABSENT if token is None else token
        return await self._run(
            f"copy {source!r} to {target!r}",
            lambda root: self._writer.copy(root, origin, place, metadata, condition),
        )

    async def list(self, prefix: RemoteKey, after: str | None = None) -> Page:
        """See `ports.ObjectStore`."""
        return await self._run(f"list {prefix!r}", lambda root: listing.page(root, prefix, after))

    async def close(self) -> None:
        """Nothing is kept open between operations."""

    async def _write(
        self, key: RemoteKey, body: Body, metadata: Mapping[str, str], condition: Condition
    ) -> WriteOutcome:
        place = place_of(key)
        return await self._run(
            f"write {key!r}",
            lambda root: self._writer.write(root, place, chunks(body), metadata, condition),
        )

    async def _delete(self, key: RemoteKey, condition: Condition) -> WriteOutcome:
        place = place_of(key)
        return await self._run(
            f"delete {key!r}", lambda root: self._writer.delete(root, place, condition)
        )

    async def _run(self, doing: str, work: Callable[[int], T]) -> T:
        return await self._threads.io(partial(self._guarded, doing, work))

    def _guarded(self, doing: str, work: Callable[[int], T]) -> T:
        try:
            with self._root.opened() as root:
                return work(root)
        except reading.SinkFailed as failure:
            raise failure.cause from None
        except OSError as error:
            raise translate(error, self._name, doing) from error
