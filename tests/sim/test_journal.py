"""A simulated journal's reads see the present state and write nothing."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.sim.journal import JournalDisk

if TYPE_CHECKING:
    from swampd.journal.connection import Connection
    from swampd.ports import Transaction


@pytest.fixture
def connection() -> Connection:
    disk = JournalDisk()
    disk.connection.run(lambda tx: list(tx.execute("CREATE TABLE t (n)")))
    disk.connection.run(lambda tx: tx.executemany("INSERT INTO t VALUES (?)", [(1,)]))
    return disk.connection


def test_a_read_sees_what_was_written(connection: Connection) -> None:
    assert connection.read(lambda tx: list(tx.execute("SELECT n FROM t"))) == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE t SET n = 2",
        "UPDATE t SET n = 2 WHERE n = 9",
        "DROP TABLE t",
        "WITH x AS (SELECT 2 AS n) INSERT INTO t SELECT n FROM x",
    ],
)
def test_a_read_that_writes_fails(connection: Connection, statement: str) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connection.read(lambda tx: list(tx.execute(statement)))
    with pytest.raises(sqlite3.OperationalError):
        connection.read(lambda tx: tx.executemany(statement, [()]))


def test_the_next_run_begins_with_an_empty_journal() -> None:
    def fill(tx: Transaction) -> None:
        tx.execute("INSERT INTO meta VALUES ('a', '1')")
        tx.execute("INSERT INTO request VALUES (NULL, 'put', 'data/a', 'w', NULL, 1, 1.0, 'boot')")

    used, fresh = JournalDisk(), JournalDisk()
    empty = "\n".join(fresh.connection._raw.iterdump())
    used.connection.run(fill)
    assert "\n".join(used.connection._raw.iterdump()) != empty
    was = used.connection
    used.give_back()
    again = JournalDisk()
    assert again.connection is was
    assert "\n".join(again.connection._raw.iterdump()) == empty


def test_rows_are_used_up_inside_the_read(connection: Connection) -> None:
    with pytest.raises(TypeError):
        connection.read(lambda tx: tx.execute("SELECT n FROM t"))
    with pytest.raises(TypeError):
        connection.read(lambda tx: (row for row in tx.execute("SELECT n FROM t")))
    kept = connection.read(lambda tx: tx)
    with pytest.raises(RuntimeError):
        kept.execute("SELECT n FROM t")
