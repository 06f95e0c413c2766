"""The keys of a store, in UTF-8 byte order, a page at a time.

A directory sorts as its name with a `/` behind it, which makes the walk yield whole keys in byte
order.  Only the directories that the prefix and `after` leave possible are entered, none through a
link (S10).  Names of the store itself (section 1) and names that are not UTF-8 are passed over;
every other name is listed as it is, hostile or not: the reader judges.

Limits: each page reads the directories on its way again, so a directory with very many files costs
their number for every 1,000 of them.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from swampd.domain.outcomes import Listed, Page
from swampd.domain.values import RemoteKey
from swampd.errors import KeyRefused
from swampd.stores.folder.paths import (
    CONTROL_FOLDERS,
    LONGEST_KEY,
    PRIVATE,
    Place,
    is_private,
    open_path,
    opened,
)
from swampd.stores.folder.reading import look
from swampd.stores.folder.sides import SideFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_ROWS: Final = 1000
_GONE: Final = (FileNotFoundError, NotADirectoryError, KeyRefused)
"""A directory or file went, or turned into something else, while the listing was under way."""


def page(root: int, prefix: str, after: str | None) -> Page:
    """Up to 1,000 rows whose keys start with `prefix`, behind `after`.

    Raises OSError, errors.StoreUnavailable; a directory that may not be read fails the listing,
    because what is in it must not look deleted (S4).
    """
    rows: list[Listed] = []
    with closing(_Looker(root)) as looker:
        for place in _places(root, prefix, after or ""):
            row = looker.row(place)
            if row is not None and len(rows) == PAGE_ROWS:
                return Page(tuple(rows), rows[-1].key)
            if row is not None:
                rows.append(row)
    return Page(tuple(rows), None)


class _Looker:
    """Looks at places in the order of a listing, and keeps the directory of the last one open."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._sides = SideFiles(root)
        self._folders: tuple[str, ...] | None = None
        self._parent = -1

    def row(self, place: Place) -> Listed | None:
        """The row of a place, None where there is no object any more."""
        try:
            held = look(place, self._parent_of(place), self._sides)
        except _GONE:
            return None
        return Listed(place.key, held.token, held.stat.st_size) if held else None

    def close(self) -> None:
        """Let go of the descriptors."""
        self._sides.close()
        self._leave()

    def _parent_of(self, place: Place) -> int:
        if self._folders != place.folders:
            self._leave()
            self._parent = open_path(self._root, place.folders)
            self._folders = place.folders
        return self._parent

    def _leave(self) -> None:
        if self._folders is not None:
            self._folders = None
            os.close(self._parent)


def _places(root: int, prefix: str, after: str) -> Iterator[Place]:
    """The files whose key starts with `prefix` and is behind `after`, in order."""
    path, slash, _ = prefix.rpartition("/")
    start = tuple(path.split("/")) if slash else ()
    if is_private(start) or any(name in {"", ".", ".."} or "\0" in name for name in start):
        return
    # A stack, no recursion, and no directory kept open: a hostile tree may be deep.
    levels = [(start, iter(_names(root, start, prefix, after)))]
    while levels:
        folders, names = levels[-1]
        for key, name in names:
            if key.endswith("/"):
                inner = (*folders, name)
                levels.append((inner, iter(_names(root, inner, prefix, after))))
                break
            yield Place(RemoteKey(key), folders, name)
        else:
            levels.pop()


def _names(root: int, folders: tuple[str, ...], prefix: str, after: str) -> list[tuple[str, str]]:
    """The names in a directory that can lead to a key that is asked for, in key order.

    Each behind its key; that of a directory ends with `/`.
    """
    hidden = PRIVATE if folders == CONTROL_FOLDERS else frozenset[str]()
    path = "".join(f"{folder}/" for folder in folders)
    found: list[tuple[str, str]] = []
    with suppress(*_GONE), opened(root, folders) as folder, os.scandir(folder) as entries:
        for entry in entries:
            key = _key(path, entry)
            if key is None or not key.startswith(prefix) or entry.name in hidden:
                continue
            if key > after or (key.endswith("/") and after.startswith(key)):
                found.append((key, entry.name))
    found.sort()
    return found


def _key(path: str, entry: os.DirEntry[str]) -> str | None:
    """The key of a file, that of a directory with `/`; None for what can be neither."""
    if entry.is_dir(follow_symlinks=False):
        key = f"{path}{entry.name}/"
    elif entry.is_file(follow_symlinks=False):
        key = path + entry.name
    else:
        return None
    try:
        return key if len(key.encode()) <= LONGEST_KEY else None
    except UnicodeEncodeError:
        return None
