"""Where a key is: below the root's descriptor, through directories that are no links (S10).

Every component is opened by itself, relative to the one before, without following a link.  A key
that could mean anything but one file below the root is refused before any call is made.

Limits: on a file system that folds case or Unicode, two keys may be one file; the planner reports
such names (section 8).
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from swampd.domain.layout import CONTROL
from swampd.errors import KeyRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from swampd.domain.values import RemoteKey
    from swampd.stores.folder.calls import Calls

CONTROL_FOLDERS: Final = tuple(CONTROL.split("/"))
TMP: Final = "tmp"
META: Final = "meta"
LOCK: Final = "lock"
META_FOLDERS: Final = (*CONTROL_FOLDERS, META)
PRIVATE: Final = frozenset({TMP, META, LOCK})
"""The store's own names in `_control/swampd`: no object can be there, a listing skips them."""
_NAMED_BY_HEADS: Final = frozenset({"manifests", "staged", "probe"})
"""What counts only once a head names it, and a probe, which never does (`domain.layout.Keys`)."""

LONGEST_KEY: Final = 1024
LONGEST_SEGMENT: Final = 255
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Place:
    """A key, taken apart."""

    key: RemoteKey
    folders: tuple[str, ...]
    name: str


def place_of(key: RemoteKey) -> Place:
    """Take a key apart; raises errors.KeyRefused."""
    try:
        raw = key.encode()
    except UnicodeEncodeError as error:
        raise KeyRefused(f"the key {key!r} is not UTF-8", key=ascii(key)) from error
    if len(raw) > LONGEST_KEY:
        raise _refused(key, f"has {len(raw)} bytes, not up to {LONGEST_KEY}")
    if b"\0" in raw:
        raise _refused(key, "holds a NUL")
    segments = key.split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise _refused(key, "has an empty, `.` or `..` segment")
    if any(len(segment) > LONGEST_SEGMENT for segment in raw.split(b"/")):
        raise _refused(key, f"has a segment over {LONGEST_SEGMENT} bytes")
    if is_private(segments):
        raise _refused(key, "is a name that the store keeps for itself")
    return Place(key, tuple(segments[:-1]), segments[-1])


def is_private(segments: Sequence[str]) -> bool:
    """Does this lead to one of the store's own names, or below one?"""
    depth = len(CONTROL_FOLDERS)
    inside = len(segments) > depth and tuple(segments[:depth]) == CONTROL_FOLDERS
    return inside and segments[depth] in PRIVATE


def is_document(place: Place) -> bool:
    """Is it a control object that counts by itself (a head, a lock, the layout), so that it has to
    be on disk once it is acknowledged?  Below a prefix too, which the store does not know."""
    segments = (*place.folders, place.name)
    depth = len(CONTROL_FOLDERS)
    for at in range(len(place.folders) - depth + 1):
        if segments[at : at + depth] == CONTROL_FOLDERS:
            return segments[at + depth] not in _NAMED_BY_HEADS
    return False


def side_of(key: str) -> tuple[str, str]:
    """Folder (in `meta`) and name of the side file of a key."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return digest[:2], f"{digest}.json"


def open_path(root: int, folders: tuple[str, ...]) -> int:
    """The descriptor of a directory below the root, for the caller to close; see `opened`."""
    return _descend(root, folders, open_child)


@contextmanager
def opened(root: int, folders: tuple[str, ...]) -> Iterator[int]:
    """The descriptor of a directory below the root.

    Raises OSError; FileNotFoundError and NotADirectoryError say that no object is below, and
    errors.KeyRefused that a component is a link.
    """
    folder = open_path(root, folders)
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def made(root: int, folders: tuple[str, ...], calls: Calls) -> Iterator[int]:
    """The same, and directories that are missing are made.

    Raises errors.KeyRefused where a component is a file or a link.
    """
    try:
        folder = _descend(root, folders, partial(_make_child, calls))
    except NotADirectoryError as error:
        path = "/".join(folders)
        raise _refused(path, "is or passes through an object, so it is no folder") from error
    try:
        yield folder
    finally:
        os.close(folder)


def prune(root: int, folders: tuple[str, ...], calls: Calls) -> None:
    """Remove the directories of a key that has gone, from the innermost up, while empty."""
    with suppress(OSError, KeyRefused):
        for depth in range(len(folders) - 1, -1, -1):
            with opened(root, folders[:depth]) as parent:
                calls.rmdir(folders[depth], parent)


def remove_hollow(name: str, parent: int, calls: Calls) -> bool:
    """Remove a directory with nothing but directories in it; False where it holds anything else.

    A process that dies while it deletes leaves such directories behind.
    """
    folder = open_child(parent, name)
    try:
        with os.scandir(folder) as entries:
            inner = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        if not all(is_folder and remove_hollow(each, folder, calls) for each, is_folder in inner):
            return False
    finally:
        os.close(folder)
    calls.rmdir(name, parent)
    return True


def lstat(name: str, parent: int) -> os.stat_result | None:
    """What is at a name, None for nothing."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def open_child(parent: int, name: str) -> int:
    """Open one directory.

    Raises OSError, NotADirectoryError for a file, and errors.KeyRefused for a link.
    """
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
            raise
        found = lstat(name, parent)
        if found is not None and stat.S_ISLNK(found.st_mode):
            raise link_refused(name) from error
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from error


def _make_child(calls: Calls, parent: int, name: str) -> int:
    try:
        return open_child(parent, name)
    except FileNotFoundError:
        # Somebody else may be quicker, a person or another first writer.
        with suppress(FileExistsError):
            calls.mkdir(name, parent)
        return open_child(parent, name)


def _descend(root: int, folders: tuple[str, ...], enter: Callable[[int, str], int]) -> int:
    if not folders:
        return os.dup(root)
    folder = root
    for name in folders:
        try:
            inner = enter(folder, name)
        finally:
            if folder != root:
                os.close(folder)
        folder = inner
    return folder


def _refused(key: str, why: str) -> KeyRefused:
    return KeyRefused(f"the key {key!r} {why}", key=key)


def link_refused(name: str) -> KeyRefused:
    """The error for a link where a folder or an object should be."""
    return KeyRefused(
        f"{name!r} is a link; a store is never left through one",
        hint="replace the link by the folder itself",
        key=name,
    )
