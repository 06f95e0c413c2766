"""Transactions on one connection: whole or not at all, synced as asked."""

from __future__ import annotations

import multiprocessing
import resource
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from swampd.errors import JournalFailed, LowSpace
from swampd.journal.connection import Connection
from swampd.journal.migrating import migrate
from swampd.journal.migrations import MIGRATIONS
from swampd.journal.opening import open_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection as Pipe
    from pathlib import Path

    from swampd.ports import Transaction

SCHEMA = (
    *MIGRATIONS,
    """
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER REFERENCES parent);
    """,
)


@pytest.fixture
def memory() -> Iterator[Connection]:
    connection = Connection.in_memory()
    migrate(connection, SCHEMA)
    yield connection
    connection.close()


def put(key: str, value: Any = None) -> Any:
    def work(tx: Transaction) -> None:
        tx.execute("INSERT INTO meta VALUES (?, ?)", (key, value))

    return work


def keys(tx: Transaction) -> list[str]:
    return [key for (key,) in tx.execute("SELECT key FROM meta ORDER BY key")]


def rows(connection: Connection) -> list[str]:
    return connection.read(keys)


def test_what_work_returns_comes_back(memory: Connection) -> None:
    memory.run(put("a"))
    assert memory.run(keys) == memory.read(keys) == ["a"]


def test_rows_are_tuples(memory: Connection) -> None:
    memory.run(put("a", b"x"))
    assert memory.read(lambda tx: list(tx.execute("SELECT * FROM meta"))) == [("a", b"x")]


def test_executemany(memory: Connection) -> None:
    def work(tx: Transaction) -> None:
        tx.executemany("INSERT INTO meta VALUES (?, ?)", ((str(n), n) for n in range(3)))

    memory.run(work)
    assert rows(memory) == ["0", "1", "2"]


class Stop(BaseException):
    """Not an Exception, as a cancellation is not."""


@pytest.mark.parametrize("kind", [ValueError, Stop])
def test_an_error_of_work_rolls_back_and_comes_out(
    memory: Connection, kind: type[BaseException]
) -> None:
    def work(tx: Transaction) -> None:
        put("lost")(tx)
        raise kind("no")

    with pytest.raises(kind, match="no"):
        memory.run(work)
    assert rows(memory) == []


def test_an_error_of_sqlite_rolls_back_and_comes_out(memory: Connection) -> None:
    def work(tx: Transaction) -> None:
        put("lost")(tx)
        tx.execute("INSERT INTO child VALUES (1)")

    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        memory.run(work)
    assert rows(memory) == []
    memory.run(put("later"))
    assert rows(memory) == ["later"]


def test_a_read_cannot_write(memory: Connection) -> None:
    hidden = "WITH x AS (SELECT 'c' AS k) INSERT INTO meta SELECT k, k FROM x"
    for write in (
        put("a"),
        lambda tx: tx.executemany("INSERT INTO meta VALUES (?, ?)", [("c", "c")]),
        lambda tx: list(tx.execute("DROP TABLE meta")),
        lambda tx: list(tx.execute(hidden)),
    ):
        with pytest.raises(sqlite3.OperationalError, match="write in a read"):
            memory.read(write)
    memory.run(put("b"))
    assert rows(memory) == ["b"]


def test_an_open_cursor_does_not_hinder_the_next_transaction(memory: Connection) -> None:
    memory.run(put("a"))
    memory.run(put("b"))
    kept: list[object] = []

    def work(tx: Transaction) -> object:
        found = tx.execute("SELECT key FROM meta ORDER BY key")
        kept.append(found)
        return next(found)

    assert memory.run(work, durable=True) == ("a",)
    memory.run(put("c"), durable=False)
    assert rows(memory) == ["a", "b", "c"]


def test_rows_must_not_leave_the_transaction(memory: Connection) -> None:
    with pytest.raises(TypeError, match="inside the transaction"):
        memory.read(lambda tx: tx.execute("SELECT 1"))
    with pytest.raises(TypeError, match="inside the transaction"):
        memory.run(lambda tx: (row for row in tx.execute("SELECT 1")))


def test_a_transaction_is_of_no_use_after_its_end(memory: Connection) -> None:
    escaped = memory.run(lambda tx: tx)
    with pytest.raises(RuntimeError, match="has ended"):
        escaped.execute("SELECT 1")
    with pytest.raises(RuntimeError, match="has ended"):
        escaped.executemany("INSERT INTO meta VALUES (?, ?)", [])


def test_work_cannot_end_its_own_transaction(memory: Connection) -> None:
    with pytest.raises(RuntimeError, match="ended its own"):
        memory.run(lambda tx: list(tx.execute("COMMIT")))


def test_stop_iteration_becomes_an_error_that_a_future_can_carry(memory: Connection) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        memory.run(lambda tx: next(tx.execute("SELECT 1 WHERE 0")))


def test_synchronous_follows_durable(tmp_path: Path) -> None:
    def level(tx: Transaction) -> int:
        ((found,),) = tx.execute("PRAGMA synchronous")
        return int(found)

    connection, _ = open_file(tmp_path / "journal", SCHEMA)
    normal, full = 1, 2
    asked = (True, False, False, True, True, False)
    assert [connection.run(level, durable=durable) for durable in asked] == [
        full if durable else normal for durable in asked
    ]
    connection.close()


def test_settings_of_a_file(tmp_path: Path) -> None:
    connection, _ = open_file(tmp_path / "journal", SCHEMA)
    assert connection.pragma("journal_mode") == [("wal",)]
    assert connection.pragma("foreign_keys") == [(1,)]
    assert connection.pragma("busy_timeout") == [(10_000,)]
    connection.close()


def test_where_there_can_be_no_wal_it_is_said(memory: Connection) -> None:
    with pytest.raises(sqlite3.NotSupportedError, match="no WAL"):
        memory.insist_on_wal()


def test_a_simulator_goes_back_to_the_last_durable_commit(memory: Connection) -> None:
    memory.run(put("durable"), durable=True)
    image = memory.serialize()
    memory.run(put("not durable"), durable=False)
    after_power_cut = Connection.in_memory(image)
    assert rows(after_power_cut) == ["durable"]
    assert rows(memory) == ["durable", "not durable"]
    after_power_cut.run(put("again"))
    again = Connection.in_memory(after_power_cut.serialize())
    assert rows(again) == ["again", "durable"]
    assert again.pragma("foreign_keys") == [(1,)]
    after_power_cut.close()
    again.close()


def test_a_full_disk_is_named_and_not_for_ever(memory: Connection) -> None:
    pages = memory.pragma("page_count")[0][0]
    memory.pragma(f"max_page_count = {pages + 2}")
    with pytest.raises(LowSpace, match=":memory:"):
        memory.run(put("big", bytes(100_000)))
    assert rows(memory) == []
    memory.run(put("small"))
    assert rows(memory) == ["small"]


def test_another_process_in_the_way_is_named_and_not_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    connection, _ = open_file(path, SCHEMA)
    connection.pragma("busy_timeout = 0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalFailed, match="locked"):
        connection.run(put("a"))
    other.execute("ROLLBACK")
    connection.run(put("a"))
    assert rows(connection) == ["a"]
    other.close()
    connection.close()


def test_a_file_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    open_file(path, SCHEMA)[0].close()
    looking = Connection.to_look(path)
    with pytest.raises(JournalFailed, match="readonly"):
        looking.run(put("a"))
    looking.close()


def _write_into_a_limit(path: Path, pipe: Pipe) -> None:
    connection, _ = open_file(path, SCHEMA)
    connection.run(put("kept"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    said: list[str] = []
    for work in (put("big", bytes(1_000_000)), put("small"), keys):
        try:
            connection.run(work)
        except JournalFailed as error:
            said.append(str(error))
    pipe.send(said)


def test_after_an_io_error_nothing_more_is_done_until_it_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    said = run_child(_write_into_a_limit, path)
    assert len(said) == 3
    assert all("disk I/O error" in text and "daemon stop" in text for text in said)
    connection, _ = open_file(path, SCHEMA)
    assert rows(connection) == ["kept"]
    connection.close()


def run_child(target: Any, path: Path) -> Sequence[str]:
    """What a process of its own sends when it has done `target(path, pipe)`."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=target, args=(path, theirs))
    child.start()
    theirs.close()
    try:
        said: Sequence[str] = ours.recv()
    finally:
        child.join()
        ours.close()
    return said
