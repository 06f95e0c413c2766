"""Bring a journal's tables to a version, one transaction a step.

Keeps true: after a crash the journal is at one version or the next, never between; nobody's rows
are left without what they refer to.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from swampd.journal.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swampd.ports import Transaction


def statements(script: str) -> Iterator[str]:
    """The single statements of an SQL script, in order; triggers are kept whole.

    Raises ValueError for a script whose last statement does not end with a semicolon.
    """
    pending = ""
    for piece in script.split(";")[:-1]:
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    rest = pending + script.rpartition(";")[2]
    if any(line.partition("--")[0].strip() for line in rest.splitlines()):
        raise ValueError(f"an SQL statement without an end: {rest.strip()!r}")


def version(connection: Connection) -> int:
    """The version that the tables are at; 0 for an empty database."""
    return int(connection.pragma("user_version")[0][0])


def migrate(connection: Connection, schema: Sequence[str]) -> None:
    """Apply the steps that are missing, each once.

    Foreign keys are not enforced while a step runs (it may rebuild a table) and are checked before
    its commit.  Raises sqlite3.Error for a step that is wrong; the steps before it stay.
    """
    connection.pragma("foreign_keys = OFF")
    try:
        for number in range(version(connection) + 1, len(schema) + 1):
            _apply(connection, number, schema[number - 1])
    finally:
        connection.pragma("foreign_keys = ON")


def _apply(connection: Connection, number: int, script: str) -> None:
    def step(tx: Transaction) -> None:
        for statement in statements(script):
            tx.execute(statement)
        for row in tx.execute("PRAGMA foreign_key_check"):
            raise sqlite3.IntegrityError(f"migration {number} leaves a dangling row: {row}")
        tx.execute(f"PRAGMA user_version = {number}")

    connection.run(step)


def missing(connection: Connection, schema: Sequence[str]) -> str | None:
    """The first table, index, trigger or view that the journal's own version asks for and it lacks.

    Meant for a version that `schema` knows.
    """
    expected = Connection.in_memory()
    migrate(expected, schema[: version(connection)])
    there = connection.read(_names)
    lacking = sorted(expected.read(_names) - there)
    expected.close()
    return lacking[0] if lacking else None


def _names(tx: Transaction) -> set[str]:
    rows = tx.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    return {f"{kind} {name}" for kind, name in rows}
