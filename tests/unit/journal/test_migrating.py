"""Migrations: in order, once, whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd.journal.connection import Connection
from swampd.journal.migrating import migrate, missing, statements, version
from swampd.journal.migrations import MIGRATIONS

if TYPE_CHECKING:
    from swampd.ports import Transaction

ONE = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE INDEX a_id ON a (id);"
TWO = "CREATE TABLE b (a INTEGER REFERENCES a (id)); INSERT INTO a VALUES (1);"


def count(connection: Connection, table: str) -> int:
    def work(tx: Transaction) -> int:
        ((found,),) = tx.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - a test's own name
        return int(found)

    return connection.read(work)


def test_statements_are_split_where_sql_ends_them() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; DELETE FROM c; END;"
    script = f"-- first; a remark\nCREATE TABLE a (x DEFAULT ';');\n{trigger} SELECT 1;\n-- end\n"
    assert [text.strip() for text in statements(script)] == [
        "-- first; a remark\nCREATE TABLE a (x DEFAULT ';');",
        trigger,
        "SELECT 1;",
    ]


def test_a_statement_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="SELECT 2"):
        list(statements("SELECT 1; SELECT 2"))


def test_a_script_may_be_only_remarks() -> None:
    assert list(statements("-- nothing\n")) == []


def test_the_journal_s_own_steps_apply() -> None:
    with closing(Connection.in_memory()) as connection:
        migrate(connection, MIGRATIONS)
        assert version(connection) == len(MIGRATIONS)
        assert count(connection, "meta") == 0
        assert missing(connection, MIGRATIONS) is None


def test_each_step_is_applied_once() -> None:
    with closing(Connection.in_memory()) as connection:
        migrate(connection, (ONE,))
        assert version(connection) == 1
        migrate(connection, (ONE, TWO))
        migrate(connection, (ONE, TWO))
        assert version(connection) == 2
        assert count(connection, "a") == 1


def test_a_wrong_step_leaves_the_version_before_it() -> None:
    wrong = "CREATE TABLE c (id); CREATE TABLE a (id);"
    with closing(Connection.in_memory()) as connection:
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(connection, (ONE, TWO, wrong))
        assert version(connection) == 2
        assert missing(connection, (ONE, TWO, "CREATE TABLE c (id);")) is None
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            count(connection, "c")
        assert connection.pragma("foreign_keys") == [(1,)]


def test_a_step_may_rebuild_a_table_that_others_refer_to() -> None:
    rebuild = (
        "INSERT INTO b VALUES (1); CREATE TABLE a2 (id INTEGER PRIMARY KEY, x);"
        "INSERT INTO a2 SELECT id, 0 FROM a; DROP TABLE a; ALTER TABLE a2 RENAME TO a;"
    )
    with closing(Connection.in_memory()) as connection:
        migrate(connection, (ONE, TWO, rebuild))
        assert count(connection, "b") == 1


def test_a_step_that_leaves_a_dangling_row_is_refused() -> None:
    with closing(Connection.in_memory()) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="migration 3 leaves a dangling row"):
            migrate(connection, (ONE, TWO, "INSERT INTO b VALUES (7);"))
        assert version(connection) == 2


def test_what_is_missing_is_named() -> None:
    with closing(Connection.in_memory()) as connection:
        migrate(connection, (ONE,))
        connection.run(lambda tx: list(tx.execute("DROP INDEX a_id")))
        assert missing(connection, (ONE, TWO)) == "index a_id"
