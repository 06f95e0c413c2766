"""One walk over the tree, fast and without following anything.

Keeps true: S4 no delete by ignorance: what could not be read yields a row that says so, also the
root when it was removed under us; S10: each directory is opened from the root's descriptor without
following links, at the moment when its turn comes; one bad name never fails the rest (section 8).

A directory is listed and its files are stat'ed in one go, before its rows are handed out, so no
descriptor is open while the caller thinks.  Depth costs no stack.

Limits: a walk is no snapshot.  A file that is renamed during it from a part not yet read to one
already read is in no row: look at a seeming delete again (`stat`) before believing it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Final

from swampd.cache.opening import LIST, NOT_THERE
from swampd.cache.stamps import kind_of, seen, stamp_of
from swampd.ports import Kind, NotUtf8, Seen, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swampd.cache.opening import Root
    from swampd.ports import ScanRow

PRIVATE: Final = ".swampd"


def scan(root: Root, under: str, prune: Callable[[str], bool]) -> Iterator[ScanRow]:
    """The rows of `FileTree.scan`.  The private area is left out without asking `prune`, and
    `under` itself is not asked about."""
    if os.fstat(root.descriptor).st_nlink == 0:
        yield Unreadable(under, "the root of the cache was removed")
        return
    todo = [under]
    while todo:
        path = todo.pop()
        try:
            rows, below = _list(root, path, prune)
        except OSError as error:
            row = _not_listed(root, path, error)
            if row is not None:
                yield row
            continue
        yield from rows
        todo += below


def children(root: Root, under: str) -> list[Seen]:
    """The names directly in a directory; empty where no directory is.

    Names that are not UTF-8 and the private area are left out.  Raises OSError where the
    directory is there and cannot be read: an empty answer would read as deletes.
    """
    rows: list[Seen] = []
    try:
        with root.directory(under, flags=LIST) as directory, os.scandir(directory) as entries:
            for entry in entries:
                path = _path(under, entry.name)
                if path is None or path == PRIVATE:
                    continue
                with suppress(FileNotFoundError):
                    rows.append(seen(path, entry.stat(follow_symlinks=False)))
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
    return rows


def _list(root: Root, within: str, prune: Callable[[str], bool]) -> tuple[list[ScanRow], list[str]]:
    rows: list[ScanRow] = []
    below: list[str] = []
    with root.directory(within, flags=LIST) as directory, os.scandir(directory) as entries:
        for entry in entries:
            path = _path(within, entry.name)
            if path is None:
                rows.append(NotUtf8(_spelling(within, entry.name)))
                continue
            if path == PRIVATE or prune(path):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    below.append(path)
                    continue
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                rows.append(Unreadable(path, error.strerror or str(error)))
                continue
            if S_ISREG(found.st_mode):
                rows.append(Seen(path, Kind.FILE, stamp_of(found)))
            elif S_ISDIR(found.st_mode):
                # It took the place of a file since it was listed.
                below.append(path)
            else:
                rows.append(Seen(path, kind_of(found), None))
    return rows, below


def _not_listed(root: Root, path: str, error: OSError) -> ScanRow | None:
    """What to say of a path that could not be listed: gone, no directory (any more), or unreadable.

    Opening says ELOOP or ENOTDIR for a link here and for one above; looking tells them apart.
    """
    try:
        found = root.look(path)
    except OSError as second:
        return Unreadable(path, second.strerror or str(second))
    if found is None:
        return None
    if S_ISDIR(found.st_mode):
        return Unreadable(path, error.strerror or str(error))
    return seen(path, found)


def _path(within: str, name: str) -> str | None:
    """The path of a name, or None where it is not UTF-8 (whatever encoding the locale has)."""
    if not name.isascii():
        try:
            name = os.fsencode(name).decode()
        except UnicodeDecodeError:
            return None
    return f"{within}/{name}" if within else name


def _spelling(within: str, name: str) -> str:
    printable = os.fsencode(name).decode(errors="backslashreplace")
    return f"{within}/{printable}" if within else printable
