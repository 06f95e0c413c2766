"""The local tree: a cache directory, and what is seen in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from swampd.domain.values import CachePath, Sha256
    from swampd.ports.stores import Body, SealedFile, Sink


class Kind(Enum):
    """What is at a name."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What lstat says of a regular file: any difference means look at the bytes (section 5)."""

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int
    x: bool


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One file of a scan.  `stamp` is there for regular files only."""

    path: str
    kind: Kind
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class Above:
    """What is on the way to a path, with the device that a Stamp of a file there has."""

    path: str
    kind: Kind
    dev: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A directory or file that could not be read: nothing below it counts as deleted."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotUtf8:
    """A name that is not UTF-8; `path` is a printable spelling of it."""

    path: str


ScanRow = Seen | Unreadable | NotUtf8


class Scratch(msgspec.Struct, frozen=True, gc=False):
    """A whole file for `tmp/<name>`."""

    name: str
    data: bytes
    x: bool
    mtime_ns: int


class ReadProblem(Enum):
    """Why a file's bytes could not be had whole."""

    GONE = "gone"
    NOT_A_FILE = "not_a_file"
    UNREADABLE = "unreadable"
    BUSY = "busy"
    """It changed between open and the last look."""


class FileRead(msgspec.Struct, frozen=True, gc=False):
    """A file read whole while it did not change: opened without following links, fstat before
    equal to fstat and lstat after.  `body` is bytes, a sealed copy, or None when only hashed."""

    stamp: Stamp
    sha256: Sha256
    body: Body | None


class PlaceProblem(Enum):
    """Why a placement step was not done; the tree is as it was."""

    OCCUPIED = "occupied"
    """Something is at the name (NOREPLACE)."""
    ABSENT = "absent"
    """Nothing is at the name (EXCHANGE, move away)."""
    BLOCKED = "blocked"
    """A parent segment is a file, a link or not writable; or the name is a directory."""
    NAME_REFUSED = "name_refused"
    """This file system cannot have this name."""
    NO_SPACE = "no_space"
    """The disk or quota is full."""


class FileTree(Protocol):
    """A cache directory.  Every path is relative to its root's descriptor, no component of it is
    ever followed as a link (section 8).  All methods are sync and for a worker thread.

    Names in the private area are flat: `tmp/<name>`, `trash/<name>`, `conflicts/<path>` below
    `.swampd/`; callers pass the part behind the area.
    """

    @property
    def exchange_supported(self) -> bool:
        """False where the file system lacks RENAME_EXCHANGE (a shown capability)."""

    @property
    def folds_names(self) -> bool:
        """True where names that differ in case or Unicode form are one name."""

    def present(self) -> bool:
        """Is the root there, and the same directory that was opened?"""

    def marker(self) -> bytes | None:
        """The content of `.swampd/cache-id`, or None."""

    def write_marker(self, content: bytes) -> None:
        """Replace the marker atomically, durably."""

    def scan(self, under: str, prune: Callable[[str], bool]) -> Iterator[ScanRow]:
        """All names below the directory `under` ('' = root), in no order; a directory yields a row
        only when unreadable.  `prune(path)` true: skip this file, or all of this directory.
        `under` that is missing yields nothing; that is a file yields its row."""

    def children(self, under: str) -> Sequence[Seen]:
        """The names directly in a directory (with kinds, directories too); empty if missing."""

    def stat(self, path: str) -> Seen | None:
        """lstat of one name; None where nothing is there."""

    def above(self, path: str) -> Above:
        """What is deepest on the way to a path, which itself counts for nothing: mostly its
        directory; the root, where nothing else is there.  Raises OSError where it cannot tell."""

    def now_ns(self) -> int:
        """The newest timestamp the file system gives: of a private file touched just now."""

    def read(self, path: CachePath, *, keep: bool) -> FileRead | ReadProblem:
        """Read and hash a file in one pass; with `keep`, hand out its bytes too (a sealed copy in
        `tmp/` above 16 MiB)."""

    def read_each(
        self, paths: Iterable[CachePath], *, keep: bool
    ) -> Iterator[FileRead | ReadProblem]:
        """What `read` gives for each, in order; small files of one directory that follow each
        other cost less.  A few are held before they are handed out."""

    def write_tmp(self, name: str, *, x: bool) -> AbstractContextManager[Sink]:
        """A new file `tmp/<name>`, filled through the sink.  Raises OSError (ENOSPC)."""

    def seal_tmp(self, name: str, size: int, sha256: Sha256) -> SealedFile:
        """`tmp/<name>`, which nobody writes to any more and which holds these bytes, as a body."""

    def sealed_part(self, body: SealedFile, start: int, size: int) -> bytes:
        """Up to so many bytes of a sealed copy.  Raises OSError."""

    def drop_sealed(self, body: SealedFile) -> None:
        """Remove a sealed copy if it is there: whoever got it has done with it."""

    def finish_tmp(self, name: str, mtime_ns: int) -> Stamp:
        """Give `tmp/<name>` its mtime; its stamp."""

    def write_each_tmp(self, files: Iterable[Scratch]) -> Iterator[Stamp]:
        """`write_tmp` and `finish_tmp` for each, in order; many small ones cost less.  Raises
        OSError (ENOSPC): the one whose turn it is is not there."""

    def drop_tmp(self, name: str) -> None:
        """Remove `tmp/<name>` if it is there."""

    def clear_tmp(self, keep: Iterable[str]) -> None:
        """Remove every file of `tmp/` that is not named (after a crash)."""

    def sync(self) -> None:
        """Everything written so far is on disk (syncfs or fsync of what was written)."""

    def place_new(self, name: str, path: CachePath) -> PlaceProblem | None:
        """Rename `tmp/<name>` to a free name (NOREPLACE), making parent directories."""

    def exchange(self, name: str, path: CachePath) -> PlaceProblem | None:
        """Exchange `tmp/<name>` with the file at `path`: afterwards `tmp/<name>` is what was there.
        Without EXCHANGE: current to `tmp/`, link, unlink."""

    def move_to_tmp(self, path: CachePath, name: str) -> PlaceProblem | None:
        """Rename what is at `path` (a file or link, never a directory) to `tmp/<name>`."""

    def stat_tmp(self, name: str) -> Seen | None:
        """lstat of `tmp/<name>`."""

    def hash_tmp(self, name: str) -> FileRead | ReadProblem:
        """Read and hash `tmp/<name>`."""

    def tmp_to_trash(self, name: str) -> None:
        """Rename `tmp/<name>` to `trash/<name>`."""

    def tmp_to_conflicts(self, name: str, path: CachePath) -> str:
        """Keep `tmp/<name>` as a conflict copy of `path`; its place relative to the root."""

    def hash_trash(self, name: str) -> FileRead | ReadProblem:
        """Read and hash `trash/<name>`."""

    def trash_to_conflicts(self, name: str, path: CachePath) -> str:
        """Keep `trash/<name>` as a conflict copy of `path`; its place relative to the root."""

    def drop_trash(self, name: str) -> None:
        """Remove `trash/<name>` if it is there."""

    def trash(self) -> Sequence[str]:
        """The names in `trash/`."""

    def read_conflict(self, place: str) -> FileRead | ReadProblem:
        """Read a conflict copy whole (`place` as `tmp_to_conflicts` gave it)."""

    def drop_conflict(self, place: str) -> None:
        """Remove a conflict copy if it is there, and its empty parents."""

    def prune_empty(self, path: CachePath) -> None:
        """Remove the parents of `path` that are empty now, below the top level."""

    def free_bytes(self) -> int:
        """Space left for us on this file system."""
