"""Pointers in the local tree: which directories must travel together with which `latest`.

A reader of the cache, and of the heads, never sees a pointer to a version that is not there yet
(S8): what `domain/pointers.held_back` decides, on pointers read here.  Runs in a worker thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd.domain.pointers import NAME, POINTER_LIMIT, is_pointer, pointer_target
from swampd.domain.values import CachePath
from swampd.ports import FileRead, SealedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from swampd.ports import FileTree


def local_pointers(tree: FileTree, paths: Iterable[CachePath]) -> dict[CachePath, CachePath]:
    """The pointers among these paths, and those that may name a directory above one of them, each
    with the directory it names."""
    found: dict[CachePath, CachePath] = {}
    for pointer in sorted({near for path in paths for near in _near(path)}):
        target = _target(tree, pointer)
        if target is not None:
            found[pointer] = target
    return found


def _near(path: CachePath) -> Iterator[CachePath]:
    """Where a pointer that concerns this path could be."""
    if is_pointer(path):
        yield path
    segments = path.split("/")
    for depth in range(1, len(segments) - 1):
        yield CachePath("/".join((*segments[:depth], NAME)))
    if len(segments) > 1:
        yield CachePath(NAME)


def _target(tree: FileTree, pointer: CachePath) -> CachePath | None:
    try:
        seen = tree.stat(pointer)
    except OSError:
        return None
    if seen is None or seen.stamp is None or seen.stamp.size > POINTER_LIMIT:
        return None
    read = tree.read(pointer, keep=True)
    body = read.body if isinstance(read, FileRead) else None
    if isinstance(body, SealedFile):  # it has just grown
        tree.drop_sealed(body)
    return pointer_target(pointer, body) if isinstance(body, bytes) else None
