"""The synchronous core of the journal: one SQLite connection that runs whole transactions.

Keeps true: a transaction is done whole or not at all; once `run` returns, a durable one is on disk
together with all that were run before it (WAL is one sequence of frames, and `synchronous=FULL`
syncs it at the commit; S6).  A read writes nothing: its statements begin as ones that read do, and
should one of those write after all, it is rolled back (`PRAGMA query_only` would say the same, and
make SQLite compile every statement anew at each turn from writing to reading: four times as dear as
the statement).  After an I/O error the connection does nothing more: the kernel may
have dropped what it could not write, so only opening the file anew says what it holds.

Limits: not safe for two threads at once (`database.SqliteJournal` gives it a thread of its own; the
simulator uses it directly, in memory, where nothing is durable by itself).
"""

from __future__ import annotations

import sqlite3
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from swampd.errors import JournalFailed, LowSpace, SwampdError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from swampd.ports import Transaction

T = TypeVar("T")

BUSY_TIMEOUT_S: Final = 10.0
"""How long a transaction waits for another process (a person with sqlite3)."""

_WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024

_SETTINGS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA fullfsync = ON",  # macOS: its fsync alone leaves the data in the drive's cache
    f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}",
)

_READS: Final = ("SELECT ", "WITH ")
ROWS: Final = (sqlite3.Cursor, GeneratorType)
"""What is used up inside a transaction."""
_FATAL: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PASSING: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL}
)


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error; 0 where Python made the error by itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=False,
    )


class OpenTransaction:
    """The `ports.Transaction` of one `run`; of no use after it."""

    __slots__ = ("_raw",)

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw: sqlite3.Connection | None = raw

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Run one statement; a cursor over its rows, to be used up inside the transaction."""
        return self._live().execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""
        self._live().executemany(sql, rows)

    def end(self) -> None:
        """Nothing more goes through this object."""
        self._raw = None

    def _live(self) -> sqlite3.Connection:
        if self._raw is None:
            raise RuntimeError("this journal transaction has ended")
        return self._raw


class OpenRead(OpenTransaction):
    """The `ports.Transaction` of one `read`."""

    __slots__ = ()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Run one statement that reads."""
        if not sql.startswith(_READS):
            raise sqlite3.OperationalError(f"attempt to write in a read: {sql}")
        return self._live().execute(sql, parameters)

    def executemany(self, sql: str, _rows: Iterable[Sequence[Any]]) -> None:
        """Nothing that reads is run so."""
        raise sqlite3.OperationalError(f"attempt to write in a read: {sql}")


class Connection:
    """Runs transactions on one database, one at a time."""

    def __init__(self, raw: sqlite3.Connection, name: str) -> None:
        """Use `raw`, which must be in autocommit mode; `name` is what messages call it."""
        self.name = name
        self._raw = raw
        self._full: bool | None = None
        self._failure: str | None = None
        for setting in _SETTINGS:
            raw.execute(setting).close()

    @classmethod
    def to_file(cls, path: Path) -> Connection:
        """A connection to an existing database file, switched to WAL.

        Raises sqlite3.Error as SQLite does (whoever opens tells damage from the rest), also where
        the file system cannot have a WAL.
        """
        connection = cls(_connect(path, "rw"), str(path))
        try:
            connection.insist_on_wal()
        except BaseException:
            connection.close()
            raise
        return connection

    @classmethod
    def to_look(cls, path: Path) -> Connection:
        """A connection that can only read, and leaves file and -wal untouched when it is closed.

        Raises sqlite3.Error as SQLite does.
        """
        return cls(_connect(path, "ro"), str(path))

    @classmethod
    def in_memory(cls, image: bytes | None = None) -> Self:
        """A database in memory: empty, or what `serialize` gave."""
        raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if image is not None:
            raw.deserialize(image)
        return cls(raw, ":memory:")

    def serialize(self) -> bytes:
        """The whole database as bytes, to go back to with `in_memory(image)`.

        A simulator keeps one from behind each durable transaction; after a power cut it goes back
        to it.  Of a file it is the state without the WAL: for databases in memory only.
        """
        return self._raw.serialize()

    def run(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in one transaction and commit it; what it raises rolls back and comes out.

        `durable`: on disk before this returns.  Raises LowSpace when the disk is full and
        JournalFailed when the file cannot be written or read; after either nothing of `work` is
        in the journal (after an I/O error at the commit itself: unknown until it is opened anew).
        """
        return self._transact("BEGIN IMMEDIATE", work, full=durable)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent state; a statement that writes fails.

        Raises JournalFailed when the file cannot be read.
        """
        return self._transact("BEGIN", work, full=None)

    def insist_on_wal(self) -> None:
        """Switch the file to WAL; raises sqlite3.NotSupportedError where that is not possible."""
        ((mode,),) = self.pragma("journal_mode = WAL")
        if mode != "wal":
            raise sqlite3.NotSupportedError(f"its file system allows no WAL, only {mode!r}")

    def pragma(self, text: str) -> list[tuple[Any, ...]]:
        """The rows of `PRAGMA <text>`, outside any transaction."""
        return self._raw.execute(f"PRAGMA {text}").fetchall()

    def close(self) -> None:
        """Close the file; SQLite moves the WAL into it.  Closing twice is fine."""
        self._raw.close()

    def _transact(self, begin: str, work: Callable[[Transaction], T], *, full: bool | None) -> T:
        if self._failure is not None:
            raise self._broken(self._failure)
        try:
            if full is not None:
                self._synchronous(full=full)
            self._do(begin)
            return self._inside(work, reading=full is None)
        except sqlite3.Error as error:
            named = self._named(error, writing=full is not None)
            if named is None:
                raise
            raise named from error

    def _inside(self, work: Callable[[Transaction], T], *, reading: bool) -> T:
        transaction = OpenRead(self._raw) if reading else OpenTransaction(self._raw)
        try:
            result = self._outcome(work, transaction, reading=reading)
            self._do("COMMIT")
        except BaseException:
            if self._raw.in_transaction:  # SQLite may have rolled back by itself
                self._do("ROLLBACK")
            raise
        finally:
            transaction.end()
        return result

    def _outcome(
        self, work: Callable[[Transaction], T], transaction: Transaction, *, reading: bool
    ) -> T:
        """What `work` answers, if that makes sense outside the transaction."""
        changes = self._raw.total_changes
        try:
            result = work(transaction)
        except StopIteration as error:  # no future can carry it: the waiter would hang
            raise RuntimeError("the work raised StopIteration") from error
        if isinstance(result, ROWS):
            raise TypeError("rows must be read inside the transaction, not handed out of it")
        if not self._raw.in_transaction:
            raise RuntimeError("the work ended its own transaction")
        if reading and self._raw.total_changes != changes:
            raise sqlite3.OperationalError("attempt to write in a read: it is undone")
        return result

    def _synchronous(self, *, full: bool) -> None:
        """Set how the next commit is synced; SQLite refuses this inside a transaction."""
        if self._full is not full:
            self._do(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            self._full = full

    def _do(self, statement: str) -> None:
        self._raw.execute(statement).close()

    def _named(self, error: sqlite3.Error, *, writing: bool) -> SwampdError | None:
        """The error of the tree for what the disk did; None for a fault of the work itself."""
        code = primary_code(error)
        if code == sqlite3.SQLITE_FULL:
            return LowSpace(
                f"no space left for the journal {self.name}",
                "free some space on its disk; nothing was changed",
                path=self.name,
            )
        if code in _FATAL:
            self._failure = str(error)
            return self._broken(self._failure)
        if code in _PASSING or (writing and code == sqlite3.SQLITE_READONLY):
            return JournalFailed(
                f"the journal {self.name} cannot be used now: {error}",
                "see whether another process has it open or its disk is read-only",
                path=self.name,
            )
        return None

    def _broken(self, reason: str) -> JournalFailed:
        return JournalFailed(
            f"the journal {self.name} failed: {reason}",
            "check the disk, then run `swampctl daemon stop`: the next command starts it anew and"
            " that checks the file",
            path=self.name,
        )
