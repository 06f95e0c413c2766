"""`LocalTree`: a cache directory on a Linux file system, as the port `FileTree` wants it.

Keeps true:
- S10: every path is resolved from the root's descriptor and no component is followed as a link; a
  path that is no path at all (`..`, NUL) is refused here again.
- Section 6: nothing is overwritten unseen; a file appears whole and by one rename (S8).
- S4: an error is never reported as "nothing there".  `stat`, `children` and `marker` raise OSError
  where they cannot know; `scan` yields `Unreadable`.

All methods may be called from several threads at once: the object holds only a descriptor, two
facts about the file system, and whose turn it is to need or remove directories.

Limits: Linux.  A mount point inside the cache is BLOCKED for placement.  Sealed copies are the
caller's: `drop_tmp` with the last part of their location.  An operation whose `tmp/<name>` is not
there raises FileNotFoundError, and one that would need a name in `tmp/` or `trash/` that is in use
FileExistsError: both are mistakes of the caller.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from itertools import groupby, islice
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Final

from swampd.cache import renaming, scanning, syscalls
from swampd.cache.opening import ATTEMPTS, DIRECTORY_MODE, SEARCH, Root, encoded, split
from swampd.cache.private import CONFLICTS, TMP, TRASH, PrivateArea, area
from swampd.cache.problems import place_problem
from swampd.cache.reading import read_at, read_whole
from swampd.cache.stamps import kind_of, seen, stamp_of
from swampd.ports import Above, PlaceProblem, SealedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from swampd.domain.values import CachePath, Sha256
    from swampd.ports import FileRead, ReadProblem, ScanRow, Scratch, Seen, Sink, Stamp

_HELD: Final = 32
"""Reads of so many files are held before they are handed out."""

_NO_SYNCFS: Final = {errno.ENOSYS, errno.EOPNOTSUPP}


class LocalTree:
    """A cache on this machine's disk."""

    def __init__(self, location: Path | str) -> None:
        """Open a root that is there, and make its private area; raises OSError."""
        self._root = Root(Path(location))
        try:
            for name in (TMP, TRASH, CONFLICTS):
                with area(self._root, name):
                    pass
            with area(self._root, TMP) as tmp:
                self._renames = renaming.probe(tmp)
            self._private = PrivateArea(self._root, self._renames)
            self._folds_names = self._private.folds_names()
        except BaseException:
            self._root.close()
            raise

    @classmethod
    def create(cls, location: Path | str) -> Self:
        """Make the root and what is above it where missing, and open it; raises OSError."""
        Path(location).mkdir(parents=True, exist_ok=True)
        return cls(location)

    def close(self) -> None:
        """Let go of the root; later calls fail with EBADF."""
        self._root.close()

    def __enter__(self) -> Self:
        """Close the tree at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def exchange_supported(self) -> bool:
        """Whether the file system of the private area has RENAME_EXCHANGE."""
        return self._renames.exchange

    @property
    def folds_names(self) -> bool:
        """Whether the file system of the private area takes names of other case for one."""
        return self._folds_names

    # --- the root ---------------------------------------------------------------------------

    def present(self) -> bool:
        """Is the directory that was opened still what is at its path?"""
        try:
            there = self._root.location.stat()
        except OSError:
            return False
        here = os.fstat(self._root.descriptor)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def marker(self) -> bytes | None:
        """The content of `.swampd/cache-id`; None where it is missing or no regular file."""
        return self._private.marker()

    def write_marker(self, content: bytes) -> None:
        """Replace the marker atomically, durably."""
        self._private.write_marker(content)

    def now_ns(self) -> int:
        """The newest timestamp the file system gives."""
        return self._private.now_ns()

    def sync(self) -> None:
        """Everything written so far is on disk; raises OSError when the disk says it is not."""
        try:
            syscalls.sync_filesystem(self._root.descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNCFS:
                raise
            os.sync()
            os.fsync(self._root.descriptor)

    def free_bytes(self) -> int:
        """Space left for us, reserved blocks not counted."""
        facts = os.fstatvfs(self._root.descriptor)
        return facts.f_bavail * facts.f_frsize

    # --- looking ----------------------------------------------------------------------------

    def scan(self, under: str, prune: Callable[[str], bool]) -> Iterator[ScanRow]:
        """All names below `under`, in no order."""
        return scanning.scan(self._root, under, prune)

    def children(self, under: str) -> Sequence[Seen]:
        """The names directly in a directory; empty where there is none."""
        return scanning.children(self._root, under)

    def stat(self, path: str) -> Seen | None:
        """lstat of one name; None also where a parent is a file or a link."""
        found = self._root.look(path)
        return None if found is None else seen(path, found)

    def above(self, path: str) -> Above:
        """The deepest name on the way to a path; a walk ends at what is no directory."""
        deepest, name = self._root.lstat(""), ""
        at = path.find("/")
        while at >= 0 and S_ISDIR(deepest.st_mode):
            found = self._root.look(path[:at])
            if found is None:
                break
            deepest, name = found, path[:at]
            at = path.find("/", at + 1)
        return self._above(name, deepest)

    def _above(self, path: str, found: os.stat_result) -> Above:
        """An overlay may number its files otherwise than its directories: a file is asked."""
        dev = stamp_of(found).dev
        if dev == stamp_of(self._root.lstat("")).dev:
            dev = self._private.device()
        return Above(path, kind_of(found), dev)

    def read(self, path: CachePath, *, keep: bool) -> FileRead | ReadProblem:
        """Read and hash a file, if it holds still; OSError when a sealed copy has no room."""
        return read_at(self._root.parent(path), seal=self._private.sealed if keep else None)

    def seal_tmp(self, name: str, size: int, sha256: Sha256) -> SealedFile:
        """A finished scratch file as a body."""
        return SealedFile(self._private.location(name), size, sha256)

    def sealed_part(self, body: SealedFile, start: int, size: int) -> bytes:
        """A piece of a sealed copy."""
        with Path(body.location).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), size, start)

    def drop_sealed(self, body: SealedFile) -> None:
        """Remove a sealed copy."""
        self.drop_tmp(Path(body.location).name)

    def read_each(
        self, paths: Iterable[CachePath], *, keep: bool
    ) -> Iterator[FileRead | ReadProblem]:
        """Read files one after another, each directory opened once for those that follow each
        other in it."""
        for above, group in groupby(paths, lambda path: split(path)[0]):
            while inside := list(islice(group, _HELD)):
                found = self._read_inside(above, inside, keep=keep) if len(inside) > 1 else None
                yield from found or (self.read(path, keep=keep) for path in inside)

    def _read_inside(
        self, above: str, paths: list[CachePath], *, keep: bool
    ) -> list[FileRead | ReadProblem] | None:
        """The files of one directory; None where it cannot be opened, or was moved meanwhile: then
        nothing that was read in it says anything of these paths."""
        seal = self._private.sealed if keep else None
        try:
            directory = self._root.open(above, SEARCH, None)
        except OSError:
            return None
        try:
            found = [read_whole(directory, encoded(split(p)[1]), seal=seal) for p in paths]
            return found if self._root.is_at(above, directory) else None
        finally:
            os.close(directory)

    # --- placing ----------------------------------------------------------------------------

    def place_new(self, name: str, path: CachePath) -> PlaceProblem | None:
        """Rename `tmp/<name>` to a free name, making parents (0777 & ~umask)."""
        with self._source(name) as (tmp, base):
            for _ in range(ATTEMPTS):
                try:
                    with self._root.kept_parent(path, make=DIRECTORY_MODE) as (parent, target):
                        self._renames.move(tmp, base, parent, target)
                except FileNotFoundError:
                    # Another process removed the empty parent since: make it again.
                    continue
                except FileExistsError:
                    return self._what_is_in_the_way(path)
                except OSError as error:
                    return place_problem(error)
                return None
        return PlaceProblem.BLOCKED

    def exchange(self, name: str, path: CachePath) -> PlaceProblem | None:
        """Exchange `tmp/<name>` with the file at `path`.

        Where the file system lacks EXCHANGE and somebody takes the name between the steps, he
        keeps it (OCCUPIED), and what was there before becomes a conflict copy.  A directory that
        slips in behind our look comes out as `tmp/<name>`; the same call again puts it back.
        """
        with self._source(name, or_aside=True) as (tmp, base):
            try:
                with self._root.kept_parent(path) as (parent, target):
                    self._renames.swap(tmp, base, parent, target)
            except renaming.Overtaken as overtaken:
                self._private.to_conflicts(TMP, overtaken.aside.decode(), path)
                return PlaceProblem.OCCUPIED
            except OSError as error:
                return place_problem(error)
        return None

    def move_to_tmp(self, path: CachePath, name: str) -> PlaceProblem | None:
        """Rename a file or link to `tmp/<name>`."""
        with area(self._root, TMP) as tmp:
            base = encoded(name)
            try:
                with self._root.parent(path) as (parent, target):
                    renaming.refuse_directory(parent, target)
                    self._renames.move(parent, target, tmp, base)
            except FileExistsError:
                raise
            except OSError as error:
                return place_problem(error)
        return None

    def prune_empty(self, path: CachePath) -> None:
        """Remove the parents of `path` that are empty now, below the top level."""
        self._root.remove_empty_parents(path, spared=1)

    def _what_is_in_the_way(self, path: CachePath) -> PlaceProblem:
        found = self._root.look(path)
        is_directory = found is not None and S_ISDIR(found.st_mode)
        return PlaceProblem.BLOCKED if is_directory else PlaceProblem.OCCUPIED

    @contextmanager
    def _source(self, name: str, *, or_aside: bool = False) -> Iterator[tuple[int, bytes]]:
        """`tmp/` and a name that must be there (or what an exchange of it left behind)."""
        with area(self._root, TMP) as tmp:
            base = encoded(name)
            if not (or_aside and renaming.is_half_done(tmp, base)):
                os.stat(base, dir_fd=tmp, follow_symlinks=False)
            yield tmp, base

    # --- the private area -------------------------------------------------------------------

    def write_tmp(self, name: str, *, x: bool) -> AbstractContextManager[Sink]:
        """A new file `tmp/<name>`, filled through the sink; removed when the block raises."""
        return self._private.write_tmp(name, x=x)

    def finish_tmp(self, name: str, mtime_ns: int) -> Stamp:
        """Give `tmp/<name>` its mtime; its stamp."""
        return self._private.finish_tmp(name, mtime_ns)

    def write_each_tmp(self, files: Iterable[Scratch]) -> Iterator[Stamp]:
        """New files in `tmp/`, whole and with their mtimes; their stamps, in order."""
        return self._private.write_each_tmp(files)

    def drop_tmp(self, name: str) -> None:
        """Remove `tmp/<name>` if it is there."""
        self._private.drop(TMP, name)

    def clear_tmp(self, keep: Iterable[str]) -> None:
        """Remove every file of `tmp/` that is not named."""
        self._private.clear_tmp(keep)

    def stat_tmp(self, name: str) -> Seen | None:
        """lstat of `tmp/<name>`."""
        return self._private.stat(TMP, name)

    def hash_tmp(self, name: str) -> FileRead | ReadProblem:
        """Read and hash `tmp/<name>`."""
        return self._private.hash(TMP, name)

    def tmp_to_trash(self, name: str) -> None:
        """Rename `tmp/<name>` to `trash/<name>`."""
        self._private.tmp_to_trash(name)

    def tmp_to_conflicts(self, name: str, path: CachePath) -> str:
        """Keep `tmp/<name>` as a conflict copy of `path`; its place relative to the root."""
        return self._private.to_conflicts(TMP, name, path)

    def trash(self) -> Sequence[str]:
        """The names in `trash/`."""
        return self._private.names(TRASH)

    def hash_trash(self, name: str) -> FileRead | ReadProblem:
        """Read and hash `trash/<name>`."""
        return self._private.hash(TRASH, name)

    def trash_to_conflicts(self, name: str, path: CachePath) -> str:
        """Keep `trash/<name>` as a conflict copy of `path`; its place relative to the root."""
        return self._private.to_conflicts(TRASH, name, path)

    def drop_trash(self, name: str) -> None:
        """Remove `trash/<name>` if it is there."""
        self._private.drop(TRASH, name)

    def read_conflict(self, place: str) -> FileRead | ReadProblem:
        """Read a conflict copy whole."""
        return self._private.read_conflict(place)

    def drop_conflict(self, place: str) -> None:
        """Remove a conflict copy if it is there, and its empty parents."""
        self._private.drop_conflict(place)
