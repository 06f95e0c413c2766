"""Make, check, migrate and, when damaged, put aside the journal's file.

Keeps true: a file under the journal's name was made whole (built under another name, synced, then
renamed); a damaged one is renamed together with its -wal and -shm, never deleted and never used; a
journal of a newer daemon is left alone.  Who may open it is the business of the daemon's lock.

Limits: SQLite has no checksums on its pages, so damage that keeps the shape of the trees (a flipped
bit inside a text) is not seen.  Errors of the disk are not damage: they are raised.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from swampd.errors import JournalFailed, JournalTooNew, UnsafeLocation
from swampd.journal.connection import Connection, primary_code
from swampd.journal.headers import APPLICATION_ID, Damaged, read_headers
from swampd.journal.migrating import migrate, missing, version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FAMILY: Final = ("", "-wal", "-shm", "-journal")
_WITH_CONTENT: Final = ("", "-wal", "-journal")
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(frozen=True, slots=True)
class Fresh:
    """There was no journal; this one is empty."""


@dataclass(frozen=True, slots=True)
class Existing:
    """The journal that was there, migrated if it was older."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The journal that was there is damaged and kept at `where`; this one is empty."""

    where: Path
    reason: str


Opened = Fresh | Existing | Quarantined


def open_file(path: Path, schema: Sequence[str]) -> tuple[Connection, Opened]:
    """The connection to the journal at `path`, and what was found there.

    Its directory must exist.  Raises JournalTooNew for a journal of a newer daemon, UnsafeLocation
    for what is not a regular file, JournalFailed when the disk does not do it.
    """
    try:
        if not any(_exists(path.with_name(path.name + suffix)) for suffix in _WITH_CONTENT):
            return _create(path, schema), Fresh()
        found = _open_existing(path, schema)
        if isinstance(found, Connection):
            return found, Existing()
        where = _quarantine(path)
        return _create(path, schema), Quarantined(where, found.reason)
    except (OSError, sqlite3.Error) as error:
        raise JournalFailed(
            f"the journal {path} cannot be opened: {error}",
            "check its disk and who owns the file; it was left as it is",
            path=str(path),
        ) from error


def _family(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _FAMILY]


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _open_existing(path: Path, schema: Sequence[str]) -> Connection | Damaged:
    if not _exists(path):
        return Damaged("it is gone, and its -wal is still there")
    if not stat.S_ISREG(path.lstat().st_mode):
        raise UnsafeLocation(
            f"{path} is not a regular file",
            "move it away: the journal belongs there",
            path=str(path),
        )
    headers = read_headers(path)
    if isinstance(headers, Damaged):
        return headers
    _refuse_newer(path, headers.user_version, len(schema))
    path.chmod(0o600)
    try:
        with contextlib.closing(Connection.to_look(path)) as looking:
            damage = _damage_inside(looking, path, schema)
    except sqlite3.DatabaseError as error:
        damage = _damage(error)
    return damage or _open_sound(path, schema)


def _damage_inside(looking: Connection, path: Path, schema: Sequence[str]) -> Damaged | None:
    """What SQLite finds wrong with the file, or its tables.  Raises sqlite3.DatabaseError too."""
    _refuse_newer(path, version(looking), len(schema))
    ((verdict,),) = looking.pragma("quick_check(1)")
    if verdict != "ok":
        return Damaged(str(verdict))
    lacking = missing(looking, schema)
    return Damaged(f"its {lacking} is missing") if lacking else None


def _open_sound(path: Path, schema: Sequence[str]) -> Connection:
    connection = Connection.to_file(path)
    try:
        migrate(connection, schema)
        connection.pragma("wal_checkpoint(TRUNCATE)")  # so that the header tells the version
    except BaseException:
        connection.close()
        raise
    return connection


def _damage(error: sqlite3.DatabaseError) -> Damaged:
    """Damage, if SQLite says so; anything else is raised again."""
    if primary_code(error) in _DAMAGE:
        return Damaged(str(error))
    raise error


def _refuse_newer(path: Path, found: int, known: int) -> None:
    if found > known:
        raise JournalTooNew(
            f"the journal {path} is of version {found}; this swampd knows up to version {known}",
            "install the newer swampd that wrote it; the file was left as it is",
            path=str(path),
            found=str(found),
            known=str(known),
        )


def _quarantine(path: Path) -> Path:
    """Rename the whole family, the database first: without it the others are never replayed."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while any(map(_exists, _family(where := _aside(path, stamp, number)))):
        number += 1
    for source, target in zip(_family(path), _family(where), strict=True):
        with contextlib.suppress(FileNotFoundError):
            source.rename(target)
    _sync(path.parent)
    return where


def _aside(path: Path, stamp: str, number: int) -> Path:
    return path.with_name(f"{path.name}.damaged-{stamp}-{number}")


def _create(path: Path, schema: Sequence[str]) -> Connection:
    """A fresh journal, built under another name and renamed when it is whole."""
    draft = path.with_name(path.name + ".new")
    for member in _family(draft):  # of a run that crashed here
        member.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # whatever the umask took away
    finally:
        os.close(descriptor)
    connection = Connection.to_file(draft)
    try:
        connection.pragma(f"application_id = {APPLICATION_ID}")
        migrate(connection, schema)
    finally:
        connection.close()
    _sync(draft)
    draft.rename(path)
    _sync(path.parent)
    return Connection.to_file(path)


def _sync(path: Path) -> None:
    """Bring a file or the names in a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
