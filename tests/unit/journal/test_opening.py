"""The journal's file: made whole, checked, migrated, put aside when damaged."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd.errors import JournalFailed, JournalTooNew, UnsafeLocation
from swampd.journal.connection import Connection
from swampd.journal.opening import Existing, Fresh, Opened, Quarantined, open_file
from tests.unit.journal.test_connection import put, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONE = "CREATE TABLE meta (key TEXT PRIMARY KEY, value);"
TWO = "CREATE TABLE more (id INTEGER PRIMARY KEY); INSERT INTO meta VALUES ('two', 2);"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def reopened(path: Path, schema: tuple[str, ...] = (ONE,)) -> tuple[Opened, list[str]]:
    connection, opened = open_file(path, schema)
    with closing(connection):
        return opened, rows(connection)


def filled(path: Path, count: int = 200) -> None:
    """A journal of some pages, closed cleanly: all of it is in the file."""
    connection, opened = open_file(path, (ONE,))
    assert opened == Fresh()
    with closing(connection):
        for number in range(count):
            connection.run(put(f"{number:04}", bytes(200)), durable=False)


def crashed(path: Path) -> None:
    """A journal whose last commit is in the -wal only, as after kill -9."""
    filled(path)
    connection, _ = open_file(path, (ONE,))
    connection.run(put("in the wal"))
    looking = Connection.to_look(path)  # while it holds the file, close() leaves the -wal
    rows(looking)
    connection.close()
    looking.close()
    assert wal(path).stat().st_size > 0


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def family(directory: Path) -> dict[str, bytes]:
    return {member.name: member.read_bytes() for member in directory.iterdir()}


def test_nothing_there_is_fresh(path: Path) -> None:
    assert reopened(path) == (Fresh(), [])
    assert [member.name for member in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_its_owner_may_open_it_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        connection, _ = open_file(path, (ONE,))
        with closing(connection):
            connection.run(put("a"))
            assert {stat.S_IMODE(member.stat().st_mode) for member in path.parent.iterdir()} == {
                0o600
            }
            assert wal(path).exists()
    finally:
        os.umask(before)


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    filled(path, 1)
    path.chmod(0o644)
    reopened(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_there_is_kept(path: Path) -> None:
    filled(path, 3)
    assert reopened(path) == (Existing(), ["0000", "0001", "0002"])


def test_a_strange_name_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "a?b%20#c.db"
    filled(path, 1)
    assert reopened(path) == (Existing(), ["0000"])


def test_a_commit_in_the_wal_is_kept(path: Path) -> None:
    crashed(path)
    opened, found = reopened(path)
    assert opened == Existing()
    assert "in the wal" in found


def test_a_torn_end_of_the_wal_is_no_damage(path: Path) -> None:
    crashed(path)
    with wal(path).open("ab") as file:
        file.write(b"half a frame")
    opened, found = reopened(path)
    assert opened == Existing()
    assert "in the wal" in found


def test_a_draft_of_a_run_that_crashed_is_thrown_away(path: Path) -> None:
    for suffix in (".new", ".new-wal"):
        path.with_name(path.name + suffix).write_bytes(b"half")
    assert reopened(path) == (Fresh(), [])
    assert [member.name for member in path.parent.iterdir()] == [path.name]


def test_a_migration_from_1_to_2_is_applied_once(path: Path) -> None:
    filled(path, 1)
    assert reopened(path, (ONE, TWO)) == (Existing(), ["0000", "two"])
    assert reopened(path, (ONE, TWO)) == (Existing(), ["0000", "two"])
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (2,)


# --- damage -----------------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database " * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_in_a_page(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size - 100)


def cut_after_a_page(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size - 4096)


def flipped_page(path: Path) -> None:
    filled(path)
    overwrite(path, 4096 + 2, b"\xff" * 16)


def flipped_schema(path: Path) -> None:
    filled(path)
    overwrite(path, 100, b"\xff")


def other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE meta (key)")


def table_gone(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("DROP TABLE meta")


def wal_of_another(path: Path) -> None:
    crashed(path)
    with closing(sqlite3.connect(path.with_name("other"))) as raw:
        raw.execute("PRAGMA page_size = 1024")
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("CREATE TABLE t (a)")
        wal(path).write_bytes(path.with_name("other-wal").read_bytes())
    path.with_name("other").unlink()


def wal_header_flipped(path: Path) -> None:
    crashed(path)
    overwrite(wal(path), 20, b"\xff\xff")


def wal_is_garbage(path: Path) -> None:
    crashed(path)
    overwrite(wal(path), 0, b"?" * 32)


def database_gone(path: Path) -> None:
    crashed(path)
    path.unlink()


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGE: dict[Callable[[Path], None], str] = {
    garbage: "not an SQLite database",
    empty: "not an SQLite database",
    cut_in_a_page: "cut off inside a page",
    cut_after_a_page: "malformed",
    flipped_page: "(malformed|btree|page)",
    flipped_schema: "malformed",
    other_program: "not a journal of swampd",
    table_gone: "its table meta is missing",
    wal_of_another: "pages of 1024 bytes, the file has 4096",
    wal_header_flipped: "header of its -wal is damaged",
    wal_is_garbage: "its -wal is not one",
    database_gone: "-wal is still there",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_journal_is_put_aside_whole(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    before = family(path.parent)
    connection, opened = open_file(path, (ONE,))
    with closing(connection):
        assert isinstance(opened, Quarantined)
        assert re.search(DAMAGE[damage], opened.reason)
        assert re.fullmatch(rf"{path.name}\.damaged-\d{{8}}T\d{{6}}Z-1", opened.where.name)
        assert rows(connection) == []
        connection.run(put("new"))
        kept = family(path.parent)
    for name, content in before.items():
        if not name.endswith("-shm"):
            assert kept[name.replace(path.name, opened.where.name)] == content
    assert reopened(path) == (Existing(), ["new"])


def test_each_damaged_journal_has_its_own_name(path: Path) -> None:
    names = set()
    for _ in range(3):
        garbage(path)
        opened, _ = reopened(path)
        assert isinstance(opened, Quarantined)
        names.add(opened.where)
    assert len(names) == 3
    assert all(name.exists() for name in names)


# --- refused, and left alone ------------------------------------------------------------------


def test_a_newer_version_is_refused_and_untouched(path: Path) -> None:
    reopened(path, (ONE, TWO))
    before = family(path.parent)
    with pytest.raises(JournalTooNew, match=r"version 2; .* up to version 1;") as caught:
        open_file(path, (ONE,))
    assert str(path) in str(caught.value)
    assert family(path.parent) == before


def test_a_newer_version_that_is_only_in_the_wal_is_refused_and_untouched(path: Path) -> None:
    crashed(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA user_version = 7")
        looking = Connection.to_look(path)
        rows(looking)
    looking.close()
    before = {name: data for name, data in family(path.parent).items() if "-shm" not in name}
    assert set(before) == {path.name, wal(path).name}
    with pytest.raises(JournalTooNew, match=r"version 7; .* up to version 1;"):
        open_file(path, (ONE,))
    after = {name: data for name, data in family(path.parent).items() if "-shm" not in name}
    assert after == before


def test_what_is_not_a_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(UnsafeLocation, match="not a regular file"):
        open_file(path, (ONE,))
    path.rmdir()
    path.symlink_to("elsewhere")
    with pytest.raises(UnsafeLocation, match="not a regular file"):
        open_file(path, (ONE,))


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalFailed, match=r"none/journal\.db"):
        open_file(tmp_path / "none" / "journal.db", (ONE,))


def test_a_file_in_use_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swampd.journal.connection.BUSY_TIMEOUT_S", 0)
    filled(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalFailed, match="locked"):
            open_file(path, (ONE,))
    assert reopened(path) == (Existing(), ["0000"])


def test_a_migration_that_fails_leaves_the_journal_as_it_was(path: Path) -> None:
    filled(path, 1)
    with pytest.raises(JournalFailed, match="already exists"):
        open_file(path, (ONE, ONE))
    assert reopened(path) == (Existing(), ["0000"])
