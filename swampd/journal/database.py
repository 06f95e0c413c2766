"""The journal as the engine sees it: transactions on a thread of its own.

Keeps true: the loop never waits for the disk; transactions run one after another, in the order in
which they were asked for; one that was asked for is run, whoever has stopped waiting for it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from swampd.errors import Stopping
from swampd.journal.migrations import MIGRATIONS
from swampd.journal.opening import open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from swampd.journal.connection import Connection
    from swampd.journal.opening import Opened
    from swampd.ports import Transaction

T = TypeVar("T")


class SqliteJournal:
    """A `ports.Journal` on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Take over `connection`; nobody else may use it from now on."""
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, "journal")
        self._closed = False

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in one transaction: all of it or nothing (`Connection.run`).

        What it raises rolls back and comes out here.  Cancelling the caller cancels the waiting
        only: the transaction is run to its end.  Raises LowSpace, JournalFailed, and Stopping
        after `close`.
        """
        return await self._hand_over(partial(self._connection.run, work, durable=durable))

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent state; a statement that writes fails.

        Raises JournalFailed, and Stopping after `close`.
        """
        return await self._hand_over(partial(self._connection.read, work))

    async def close(self) -> None:
        """Let what was asked for finish, then close the file.  Closing twice is fine."""
        if self._closed:
            return
        closing = self._hand_over(self._connection.close)
        self._closed = True
        try:
            await closing
        finally:
            self._thread.shutdown(wait=False)

    def _hand_over(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Queue `job` for the thread; cancelling the future does not take it out of the queue."""
        if self._closed:
            raise Stopping("the journal is closed", "the daemon is going down: try again")
        return asyncio.shield(asyncio.wrap_future(self._thread.submit(job)))


def open_journal(path: Path, schema: Sequence[str] = MIGRATIONS) -> tuple[SqliteJournal, Opened]:
    """The journal at `path`, and whether it is fresh, existing or in place of a damaged one.

    Blocking: it checks the whole file (0.4 s for a million paths, 250 MB in the page cache).
    Raises JournalTooNew, UnsafeLocation, JournalFailed (`opening.open_file`).
    """
    connection, opened = open_file(path, schema)
    return SqliteJournal(connection), opened
