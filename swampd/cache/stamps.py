"""From what lstat says to the words of the port."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from swampd.ports import Kind, Seen, Stamp

if TYPE_CHECKING:
    import os

_LAST: Final = 2**63 - 1
"""The largest number that SQLite keeps."""


def kind_of(found: os.stat_result) -> Kind:
    """What is at a name."""
    if stat.S_ISREG(found.st_mode):
        return Kind.FILE
    if stat.S_ISDIR(found.st_mode):
        return Kind.DIRECTORY
    if stat.S_ISLNK(found.st_mode):
        return Kind.SYMLINK
    return Kind.OTHER


def stamp_of(found: os.stat_result) -> Stamp:
    """The facts whose change means that the bytes must be looked at again.

    All of them fit the journal: a time after the year 2262 counts as the last one that does, an
    inode or device number above 63 bits as a negative one.
    """
    return Stamp(
        _signed(found.st_dev),
        _signed(found.st_ino),
        found.st_size,
        _bounded(found.st_mtime_ns),
        _bounded(found.st_ctime_ns),
        found.st_mode & stat.S_IXUSR != 0,
    )


def _signed(number: int) -> int:
    return number - 2**64 if number > _LAST else number


def _bounded(time_ns: int) -> int:
    return time_ns if -_LAST <= time_ns <= _LAST else max(-_LAST, min(time_ns, _LAST))


def seen(path: str, found: os.stat_result) -> Seen:
    """One name with its kind, and its stamp if it is a regular file."""
    kind = kind_of(found)
    return Seen(path, kind, stamp_of(found) if kind is Kind.FILE else None)
