"""The journals of simulated machines: the product's tables and statements, on a disk that a power
cut may take back to its last durable commit.

A read takes neither a transaction nor a PRAGMA, which would make SQLite compile every statement
anew: no two steps of a simulated world run at once, so what a read sees is one state anyway.  That
it writes nothing is held by other means.
"""

from __future__ import annotations

import sqlite3
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from swampd.journal.connection import Connection
from swampd.journal.migrating import migrate
from swampd.journal.migrations import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swampd.ports import Transaction
    from tests.sim.world import Life

T = TypeVar("T")
_READS: Final = ("SELECT ", "WITH ")
_images: dict[str, bytes] = {}


class _Look:
    """The `ports.Transaction` of one read; of no use after it."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw: sqlite3.Connection | None = raw

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Run one statement that only reads; its rows."""
        if self._raw is None:
            raise RuntimeError("this journal transaction has ended")
        if not sql.startswith(_READS):
            raise sqlite3.OperationalError(f"not for a read: {sql}")
        return self._raw.execute(sql, parameters)

    def executemany(self, sql: str, _rows: Iterable[Sequence[Any]]) -> None:
        """Nothing that reads is run so."""
        raise sqlite3.OperationalError(f"not for a read: {sql}")

    def end(self) -> None:
        """Nothing more goes through this object."""
        self._raw = None


class MemoryConnection(Connection):
    """A connection to a database in memory that nobody else uses."""

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the present state; a statement that writes fails."""
        changes, look = self._raw.total_changes, _Look(self._raw)
        try:
            result = work(look)
        finally:
            look.end()
        if isinstance(result, sqlite3.Cursor | GeneratorType):
            raise TypeError("rows must be read inside the transaction, not handed out of it")
        if self._raw.total_changes != changes:
            raise sqlite3.OperationalError("a read has written")
        return result


class JournalDisk:
    """The file of a journal: what a power cut leaves is the last durable commit or later."""

    def __init__(self) -> None:
        image = _images.get("fresh")
        if image is None:
            fresh = Connection.in_memory()
            migrate(fresh, MIGRATIONS)
            image = _images["fresh"] = fresh.serialize()
            fresh.close()
        self.connection = MemoryConnection.in_memory(image)
        self._durable: bytes | None = None

    @property
    def forgets(self) -> bool:
        """Would a power cut take something back now?"""
        return self._durable is not None

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
        image = self._durable if lose and self._durable is not None else None
        if image is None:
            image = self.connection.serialize()
        self.connection.close()
        self.connection = MemoryConnection.in_memory(image)
        self._durable = None


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
        await self._life.delay(0.0)
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        self._life.check()
        self._life.world.loop.count_step()
        return self._life.node.disk.connection.read(work)
