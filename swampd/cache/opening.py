"""Opens relative to the cache root's descriptor that follow no link in any component.

Keeps true: S10 no escape by link or name; S9 nothing outside the cache.  A path is resolved in one
openat2 (BENEATH, NO_SYMLINKS), or on kernels without it component by component, each opened
O_NOFOLLOW from the one before: either way a link that is swapped in during the walk is refused,
never followed.  Threads that need the directory of a name and threads that remove empty ones take
turns: what one has made is there until it has put its file in.

Names go to the kernel as UTF-8 whatever the locale says.  Limits: the path to the root itself may
contain links, it is the user's own choice where the cache is.
"""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from swampd.cache import syscalls

if TYPE_CHECKING:
    from pathlib import Path

# O_PATH needs no right to list the directory, as path resolution does not either.
SEARCH: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LIST: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

NOT_THERE: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
"""What opening says where nothing of ours is: no name, or a file or a link for a parent."""

ATTEMPTS: Final = 8
"""How often a parent that another process removes again and again is made."""

DIRECTORY_MODE: Final = 0o777
PRIVATE_MODE: Final = 0o700


def split(path: str) -> tuple[str, str]:
    """The directory of a path ('' = root) and the name in it."""
    parent, _, name = path.rpartition("/")
    return parent, name


def encoded(name: str) -> bytes:
    """One name as the kernel takes it; OSError where it cannot be the name of anything here.

    A CachePath cannot have such a segment; this does not rest on that.
    """
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not a file name", name)
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise OSError(errno.EILSEQ, "not UTF-8", ascii(name)) from error


class Root:
    """The root of a cache, opened once.

    No state changes but by `close`, and but for whose turn it is to need or remove directories.
    """

    def __init__(self, location: Path) -> None:
        """Open a directory that is there; raises OSError."""
        self.location: Final = location.absolute()
        self.descriptor = os.open(self.location, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._resolves_beneath: Final = _resolves_beneath(self.descriptor)
        self._turn: Final = threading.Lock()

    def close(self) -> None:
        """Let go of the descriptor; later calls fail with EBADF."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def directory(self, path: str, *, flags: int = SEARCH, make: int | None = None) -> Directory:
        """A directory ('' = root), open for the block; with `make` it is made with this mode."""
        return Directory(self, path, flags, make)

    def parent(self, path: str) -> Parent:
        """The directory that a path is in, open for the block, and the name in it."""
        return Parent(self, path, None, None)

    def kept_parent(self, path: str, *, make: int | None = None) -> Parent:
        """The same, and no thread removes it during the block, which has to be short; with `make`
        it is made with this mode."""
        return Parent(self, path, make, self._turn)

    def is_at(self, path: str, directory: int) -> bool:
        """Is the directory that was opened at this path still there?"""
        try:
            with self.directory(path) as now:
                return os.path.sameopenfile(now, directory)
        except OSError:
            return False

    def lstat(self, path: str) -> os.stat_result:
        """lstat of one name; '' is the root."""
        if not path:
            return os.fstat(self.descriptor)
        with self.parent(path) as (directory, name):
            return os.stat(name, dir_fd=directory, follow_symlinks=False)

    def look(self, path: str) -> os.stat_result | None:
        """lstat, or None where nothing is.

        Raises OSError where that cannot be known (EACCES, EIO): no answer is not "nothing".
        """
        try:
            return self.lstat(path)
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise
            return None

    def remove_empty_parents(self, path: str, *, spared: int) -> None:
        """Remove the directories above `path` that are empty, but not the first `spared` levels."""
        above = path.split("/")[:-1]
        while len(above) > spared:
            try:
                with self._turn, self.parent("/".join(above)) as (directory, name):
                    os.rmdir(name, dir_fd=directory)
            except FileNotFoundError:
                pass
            except OSError:
                # Not empty, not a directory or not ours: then what is above it is not empty.
                return
            above.pop()

    def open(self, path: str, flags: int, make: int | None) -> int:
        """A descriptor of a directory ('' = root), the caller's to close."""
        names = _names(path)
        if names and self._resolves_beneath:
            try:
                return syscalls.open_beneath(self.descriptor, b"/".join(names), flags)
            except FileNotFoundError:
                if make is None:
                    raise
            except OSError as error:
                # EAGAIN: a rename raced with the resolution.  ENAMETOOLONG: PATH_MAX, a limit of
                # one call only (a name that is itself too long fails below again).
                if error.errno not in {errno.EAGAIN, errno.ENAMETOOLONG}:
                    raise
        return self._walk(names, flags, make)

    def _walk(self, names: tuple[bytes, ...], flags: int, make: int | None) -> int:
        if not names:
            return os.open(".", flags, dir_fd=self.descriptor)
        at = os.open(".", SEARCH, dir_fd=self.descriptor)
        for name in names[:-1]:
            try:
                below = _enter(at, name, SEARCH, make)
            finally:
                os.close(at)
            at = below
        try:
            return _enter(at, names[-1], flags, make)
        finally:
            os.close(at)


class Directory:
    """A directory while it is open; made by `Root.directory`.  No generator: that would cost more
    than the open itself."""

    __slots__ = ("_descriptor", "_flags", "_make", "_path", "_root")

    def __init__(self, root: Root, path: str, flags: int, make: int | None) -> None:
        """Nothing is opened before the block begins."""
        self._root = root
        self._path = path
        self._flags = flags
        self._make = make

    def __enter__(self) -> int:
        """Its descriptor; raises OSError."""
        self._descriptor = self._root.open(self._path, self._flags, self._make)
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._descriptor)


class Parent:
    """The directory of a path while it is open; made by `Root.parent`."""

    __slots__ = ("_descriptor", "_make", "_path", "_root", "_turn")

    def __init__(
        self, root: Root, path: str, make: int | None, turn: threading.Lock | None
    ) -> None:
        """Nothing is opened before the block begins; `turn` is held from then on."""
        self._root = root
        self._path = path
        self._make = make
        self._turn = turn

    def __enter__(self) -> tuple[int, bytes]:
        """Its descriptor, and the name in it; raises OSError."""
        above, name = split(self._path)
        base = encoded(name)
        if self._turn is not None:
            self._turn.acquire()
        try:
            self._descriptor = self._root.open(above, SEARCH, self._make)
        except BaseException:
            self._end_turn()
            raise
        return self._descriptor, base

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._descriptor)
        self._end_turn()

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._turn.release()


@lru_cache(maxsize=1024)
def _names(path: str) -> tuple[bytes, ...]:
    """The segments of a path; the same few directories are asked for again and again."""
    return tuple(encoded(segment) for segment in path.split("/")) if path else ()


def _enter(directory: int, name: bytes, flags: int, make: int | None) -> int:
    try:
        return os.open(name, flags, dir_fd=directory)
    except FileNotFoundError:
        if make is None:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, make, dir_fd=directory)
    return os.open(name, flags, dir_fd=directory)


def _resolves_beneath(root: int) -> bool:
    """Does this kernel have openat2 for us?  Old ones say ENOSYS, some sandboxes EPERM."""
    try:
        os.close(syscalls.open_beneath(root, b".", SEARCH))
    except OSError:
        return False
    return True
