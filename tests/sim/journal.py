"""The journals of simulated machines: the product's tables and statements, on a disk that a power
cut may take back to its last durable commit.

A read takes no transaction: no two steps of a simulated world run at once, so what a read sees is
one state anyway.  Nothing is synced; pages are small, for an image of all of them is kept often.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final, TypeVar

from swampd.journal.connection import ROWS, Connection, OpenRead
from swampd.journal.migrating import migrate
from swampd.journal.migrations import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.ports import Transaction
    from tests.sim.world import Life

T = TypeVar("T")
PAGE: Final = 512
_idle: list[MemoryConnection] = []


class MemoryConnection(Connection):
    """A connection to a database in memory that nobody else uses."""

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the present state; a statement that writes fails."""
        changes, look = self._raw.total_changes, OpenRead(self._raw)
        try:
            result = work(look)
        finally:
            look.end()
        if isinstance(result, ROWS):
            raise TypeError("rows must be read inside the transaction, not handed out of it")
        if self._raw.total_changes != changes:
            raise sqlite3.OperationalError("a read has written")
        return result

    @property
    def changes(self) -> int:
        """Raised with each row that is written or deleted."""
        return self._raw.total_changes

    def _synchronous(self, *, full: bool) -> None:
        """What durable means in memory is up to `JournalDisk`."""

    def empty(self) -> None:
        """Leave nothing in any table, as in a fresh journal."""
        found = "SELECT name FROM sqlite_master WHERE type = 'table'"
        names = [name for (name,) in self._raw.execute(found)]

        def work(tx: Transaction) -> None:
            for name in names:
                tx.execute(f"DELETE FROM {name}")  # noqa: S608 - our own names

        self.run(work)


class JournalDisk:
    """The file of a journal: what a power cut leaves is the last durable commit or later."""

    def __init__(self) -> None:
        self.connection = _idle.pop() if _idle else _fresh()
        self._durable: bytes | None = None

    @property
    def forgets(self) -> bool:
        """Would a power cut take something back now?"""
        return self._durable is not None

    def give_back(self) -> None:
        """The run is over: the next one gets the connection, with all statements compiled."""
        self.connection.empty()
        _idle.append(self.connection)
        del self.connection

    def about_to_write(self, *, durable: bool) -> None:
        """Before a relaxed commit keep what a power cut would leave."""
        if not durable and self._durable is None:
            self._durable = self.connection.serialize()

    def written(self, *, durable: bool) -> None:
        """A durable commit takes all earlier ones along."""
        if durable:
            self._durable = None

    def crash(self, *, lose: bool) -> None:
        """Go back to the last durable state on a power cut."""
        if lose and self._durable is not None:
            self.connection.close()
            self.connection = MemoryConnection.in_memory(self._durable)
        self._durable = None


def _fresh() -> MemoryConnection:
    connection = MemoryConnection.in_memory()
    connection.pragma(f"page_size = {PAGE}")
    migrate(connection, MIGRATIONS)
    return connection


class SimJournal:
    """The journal port of one life."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        await self._life.delay(self._life.world.rng.uniform(0.0, 0.003))
        disk = self._life.node.disk
        disk.about_to_write(durable=durable)
        result = disk.connection.run(work, durable=durable)
        disk.written(durable=durable)
        await self._life.go_on()
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        life = self._life
        if life.dead:
            raise asyncio.CancelledError
        life.world.loop.count_step()
        return life.node.disk.connection.read(work)
