"""From what lstat says to the words of the port."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from swampd.ports import Kind, Seen, Stamp

if TYPE_CHECKING:
    import os


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
    """The facts whose change means that the bytes must be looked at again."""
    return Stamp(
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        bool(found.st_mode & stat.S_IXUSR),
    )


def seen(path: str, found: os.stat_result) -> Seen:
    """One name with its kind, and its stamp if it is a regular file."""
    kind = kind_of(found)
    return Seen(path, kind, stamp_of(found) if kind is Kind.FILE else None)
