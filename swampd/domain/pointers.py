"""Pointers: files named `latest` whose content names a sibling directory (section 6).

A reader never sees a pointer to a version that is not there yet (S8): the directory and its pointer
travel together or not at all, and pointers are placed after what they point at.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from swampd.domain.paths import PathProblem, parse_cache_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from swampd.domain.values import CachePath

NAME: Final = "latest"
POINTER_LIMIT: Final = 255
"""A file of more bytes than this is no pointer: it cannot be the name of one directory."""


def is_pointer(path: str) -> bool:
    """True when this path is a pointer, if its content names a directory."""
    return path.rpartition("/")[2] == NAME


def pointer_target(path: CachePath, content: bytes) -> CachePath | None:
    """The directory that a pointer names, or None when this is no pointer.

    White space around the name does not count: editors and `echo` leave a line break.  Whether
    there is such a directory is not asked: a path below it that is not in order is what matters.
    """
    if not is_pointer(path) or len(content) > POINTER_LIMIT:
        return None
    try:
        name = content.decode().strip()
    except UnicodeDecodeError:
        return None
    if not name or "/" in name:
        return None
    folder, slash, _ = path.rpartition("/")
    target = parse_cache_path(f"{folder}{slash}{name}")
    return None if isinstance(target, PathProblem) else target


def held_back(
    candidates: Iterable[CachePath],
    unsafe: Collection[CachePath],
    pointers: Mapping[CachePath, CachePath],
) -> set[CachePath]:
    """The candidates that must wait: a conflict in a directory that a pointer names, or on the
    pointer itself, holds back both, both ways (section 6).

    `candidates` are the paths that a plan would push or place, `unsafe` those in conflict, busy or
    otherwise not in order, `pointers` the directory of each pointer, whether in the plan or not.
    Waiting does not spread further: a pointer that waits for its directory is in every outer
    directory that it could hold back, and so is that directory.
    """
    troubled = {folder for path in unsafe for folder in folders_above(path)}
    waiting = {
        pointer: target
        for pointer, target in pointers.items()
        if pointer in unsafe or target in troubled
    }
    targets = set(waiting.values())
    return {
        path
        for path in candidates
        if path in waiting or not targets.isdisjoint(folders_above(path))
    }


def kept_for(deletes: Iterable[CachePath], waiting: Iterable[str]) -> set[CachePath]:
    """The deletes that must wait with these pointers, for what they still name elsewhere is not
    known: any directory beside one may be it."""
    pointed = {path.rpartition("/")[0] for path in waiting if is_pointer(path)}
    return {
        path
        for path in deletes
        if any(folder.rpartition("/")[0] in pointed for folder in folders_above(path))
    }


def folders_above(path: str) -> Iterator[str]:
    """Every directory above a path, the nearest first."""
    while folder := path.rpartition("/")[0]:
        yield folder
        path = folder


class Placing(Enum):
    """What is done at a path when a pull is placed."""

    NEW = "new"
    REPLACED = "replaced"
    DELETED = "deleted"


def placing_key(path: CachePath, placing: Placing) -> tuple[int, int, str]:
    """Sorts placements into the order of section 6: new files, replaced ones, then `latest` and
    deletes.

    A pointer inside a directory is placed before the one that names this directory, and deleted
    after it; deleted pointers go before the files that they may name.
    """
    depth = path.count("/")
    if not is_pointer(path):
        return (_FILES[placing], 0, path)
    if placing is Placing.DELETED:
        return (_DELETED_POINTERS, depth, path)
    return (_POINTERS, -depth, path)


_FILES: Final = {Placing.NEW: 0, Placing.REPLACED: 1, Placing.DELETED: 4}
_POINTERS: Final = 2
_DELETED_POINTERS: Final = 3
