"""The private area `.swampd/`: scratch files, trash, conflict copies, the marker.

Keeps true: S2, nothing in the trash or among the conflict copies is ever overwritten; S8, a file
is whole before it leaves `tmp/`.  A user may remove any part of the area at any time: it is opened
for each call and made again (0700) when it is missing.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from secrets import token_hex
from stat import S_ISDIR, S_ISREG, S_IXUSR
from typing import TYPE_CHECKING, Final

from swampd.cache.conflicts import conflict_place
from swampd.cache.opening import ATTEMPTS, LIST, NOT_THERE, PRIVATE_MODE, SEARCH, Root, encoded
from swampd.cache.reading import read_at, read_whole
from swampd.cache.renaming import Renames, owner_of_aside
from swampd.cache.scanning import PRIVATE
from swampd.cache.stamps import seen, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swampd.cache.opening import Directory
    from swampd.ports import FileRead, ReadProblem, Scratch, Seen, Sink, Stamp

TMP: Final = "tmp"
TRASH: Final = "trash"
CONFLICTS: Final = "conflicts"

_MARKER: Final = b"cache-id"
_LONGEST_MARKER: Final = 65536
_CLOCK: Final = b"clock"

_EXCLUSIVE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a fifo that somebody put there must not hold us.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TOUCH: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PrivateArea:
    """`.swampd/` of one cache."""

    def __init__(self, root: Root, renames: Renames) -> None:
        """Nothing is opened before it is used."""
        self._root = root
        self._renames = renames

    # --- marker and clock -------------------------------------------------------------------

    def marker(self) -> bytes | None:
        """The marker's bytes; None where it is missing or no regular file."""
        try:
            with (
                self._root.directory(PRIVATE) as directory,
                _descriptor(os.open(_MARKER, _READ, dir_fd=directory)) as descriptor,
            ):
                if not S_ISREG(os.fstat(descriptor).st_mode):
                    return None
                return os.read(descriptor, _LONGEST_MARKER)
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise
            return None

    def write_marker(self, content: bytes) -> None:
        """Replace the marker; bytes and name are on disk when this returns."""
        scratch = f"cache-id.{token_hex(8)}".encode()
        with area(self._root, "", flags=LIST) as directory:
            with new_file(directory, scratch, 0o600) as (descriptor, sink):
                sink(content)
                os.fsync(descriptor)
            try:
                os.rename(scratch, _MARKER, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.unlink(scratch, dir_fd=directory)
                raise
            os.fsync(directory)

    def now_ns(self) -> int:
        """The timestamp of a file touched just now."""
        found = self._touched()
        return max(found.st_mtime_ns, found.st_ctime_ns)

    def device(self) -> int:
        """The device of a file of ours, as in a Stamp."""
        found = self._root.look(f"{PRIVATE}/{_CLOCK.decode()}")
        return stamp_of(found or self._touched()).dev

    def _touched(self) -> os.stat_result:
        with (
            area(self._root, "") as directory,
            _descriptor(os.open(_CLOCK, _TOUCH, 0o600, dir_fd=directory)) as descriptor,
        ):
            os.utime(descriptor)
            return os.fstat(descriptor)

    def folds_names(self) -> bool:
        """Does `tmp/`, which is there, answer to its name in capitals?"""
        with area(self._root, "") as directory:
            try:
                os.stat(TMP.upper(), dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                return False
            return True

    # --- scratch files ----------------------------------------------------------------------

    @contextmanager
    def write_tmp(self, name: str, *, x: bool) -> Iterator[Sink]:
        """A new file `tmp/<name>`; one that a crash left there is removed first."""
        with area(self._root, TMP) as directory:
            base = encoded(name)
            with suppress(FileNotFoundError):
                os.unlink(base, dir_fd=directory)
            with new_file(directory, base, _mode(x=x)) as (descriptor, sink):
                _let_execute(descriptor, x=x)
                yield sink

    def write_each_tmp(self, files: Iterable[Scratch]) -> Iterator[Stamp]:
        """New files `tmp/<name>`, whole and dated; the area stays open from one to the next."""
        with area(self._root, TMP) as directory:
            for file in files:
                try:
                    stamp = _written(directory, file)
                except (FileExistsError, FileNotFoundError):
                    # A crash left the name there, or a user has removed the area.
                    with self.write_tmp(file.name, x=file.x) as sink:
                        sink(file.data)
                    stamp = self.finish_tmp(file.name, file.mtime_ns)
                yield stamp

    @contextmanager
    def sealed(self) -> Iterator[tuple[str, Sink]]:
        """A new private file in `tmp/`: where it is, and its sink; removed on an exception."""
        name = f"sealed-{token_hex(16)}"
        with (
            area(self._root, TMP) as directory,
            new_file(directory, name.encode(), 0o600) as (_, sink),
        ):
            yield self.location(name), sink

    def location(self, name: str) -> str:
        """Where `tmp/<name>` is, for whoever reads it by its path."""
        return str(self._root.location / PRIVATE / TMP / name)

    def finish_tmp(self, name: str, mtime_ns: int) -> Stamp:
        """Give `tmp/<name>` its mtime, as near as the file system can; its stamp."""
        with area(self._root, TMP) as directory:
            base = encoded(name)
            before = os.stat(base, dir_fd=directory, follow_symlinks=False)
            os.utime(
                base,
                ns=(before.st_atime_ns, _mtime(mtime_ns)),
                dir_fd=directory,
                follow_symlinks=False,
            )
            return stamp_of(os.stat(base, dir_fd=directory, follow_symlinks=False))

    def clear_tmp(self, keep: Iterable[str]) -> None:
        """Remove the files of `tmp/` that are not named.

        A directory is left (it can only be a user's, caught in an exchange).  What an exchange
        that was cut off moved aside stays with its file, or goes to the trash: nobody has looked
        at it yet.
        """
        kept = set(keep)
        for name in self.names(TMP):
            owner = owner_of_aside(name)
            if name in kept or owner in kept or self._is_directory(name):
                continue
            if owner is None:
                self.drop(TMP, name)
            else:
                self.tmp_to_trash(name)

    # --- any name of the area ---------------------------------------------------------------

    def names(self, within: str) -> Sequence[str]:
        """The names in `tmp/` or `trash/`."""
        with (
            area(self._root, within, flags=LIST) as directory,
            os.scandir(directory) as entries,
        ):
            return [entry.name for entry in entries]

    def stat(self, within: str, name: str) -> Seen | None:
        """lstat of a name."""
        found = self._root.look(f"{PRIVATE}/{within}/{name}")
        return None if found is None else seen(f"{within}/{name}", found)

    def hash(self, within: str, name: str) -> FileRead | ReadProblem:
        """Read and hash a file."""
        with area(self._root, within) as directory:
            return read_whole(directory, encoded(name), seal=None)

    def drop(self, within: str, name: str) -> None:
        """Remove a name if it is there; a directory only when it is empty (else OSError)."""
        with area(self._root, within) as directory, suppress(FileNotFoundError):
            try:
                os.unlink(encoded(name), dir_fd=directory)
            except IsADirectoryError:
                os.rmdir(encoded(name), dir_fd=directory)

    def tmp_to_trash(self, name: str) -> None:
        """Rename; FileExistsError rather than overwrite something in the trash."""
        base = encoded(name)
        with area(self._root, TMP) as tmp, area(self._root, TRASH) as trash:
            self._renames.move(tmp, base, trash, base)

    # --- conflict copies --------------------------------------------------------------------

    def to_conflicts(self, within: str, name: str, path: str) -> str:
        """Keep a file as a conflict copy of `path`, at the first place that is free."""
        base = encoded(name)
        taken = blocked = vanished = 0
        with area(self._root, within) as source:
            while True:
                os.stat(base, dir_fd=source, follow_symlinks=False)
                copy = conflict_place(path, taken=taken, blocked=blocked)
                place = f"{PRIVATE}/{CONFLICTS}/{copy}"
                try:
                    with self._root.kept_parent(place, make=PRIVATE_MODE) as (target, target_name):
                        self._renames.move(source, base, target, target_name)
                except FileExistsError:
                    taken += 1
                except FileNotFoundError:
                    # Another process removed the empty directory since: make it again.
                    vanished += 1
                    if vanished == ATTEMPTS:
                        raise
                except OSError as error:
                    if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                        raise
                    with area(self._root, CONFLICTS):
                        # Raises where it is the area itself that is no directory.
                        blocked += 1
                else:
                    return place

    def read_conflict(self, place: str) -> FileRead | ReadProblem:
        """Read a conflict copy whole."""
        _check_conflict(place)
        return read_at(self._root.parent(place), seal=self.sealed)

    def drop_conflict(self, place: str) -> None:
        """Remove a conflict copy if it is there, and its empty parents."""
        _check_conflict(place)
        gone = (FileNotFoundError, NotADirectoryError)
        with suppress(*gone), self._root.parent(place) as (directory, name):
            os.unlink(name, dir_fd=directory)
        self._root.remove_empty_parents(place, spared=2)

    def _is_directory(self, name: str) -> bool:
        found = self._root.look(f"{PRIVATE}/{TMP}/{name}")
        return found is not None and S_ISDIR(found.st_mode)


def area(root: Root, name: str, *, flags: int = SEARCH) -> Directory:
    """A directory of the private area ('' = the area itself), open for the block."""
    path = f"{PRIVATE}/{name}" if name else PRIVATE
    return root.directory(path, flags=flags, make=PRIVATE_MODE)


@contextmanager
def new_file(directory: int, name: bytes, mode: int) -> Iterator[tuple[int, Sink]]:
    """A new file and the sink that fills it; removed on an exception."""
    with _descriptor(os.open(name, _EXCLUSIVE, mode, dir_fd=directory)) as descriptor:

        def sink(chunk: bytes) -> None:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]

        try:
            yield descriptor, sink
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
            raise


def _written(directory: int, file: Scratch) -> Stamp:
    """One whole file, in as few calls as can be."""
    with new_file(directory, encoded(file.name), _mode(x=file.x)) as (descriptor, sink):
        _let_execute(descriptor, x=file.x)
        sink(file.data)
        before = os.fstat(descriptor)
        os.utime(descriptor, ns=(before.st_atime_ns, _mtime(file.mtime_ns)))
        return stamp_of(os.fstat(descriptor))


def _mode(*, x: bool) -> int:
    return 0o777 if x else 0o666


def _let_execute(descriptor: int, *, x: bool) -> None:
    """A umask that takes the owner's bit would look like a change of the user's."""
    if x:
        given = os.fstat(descriptor).st_mode
        if not given & S_IXUSR:
            os.fchmod(descriptor, (given | S_IXUSR) & 0o777)


def _mtime(mtime_ns: int) -> int:
    """The head's mtime is another machine's word: keep within what utimensat takes."""
    return max(-(2**63), min(mtime_ns, 2**63 - 1))


@contextmanager
def _descriptor(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check_conflict(place: str) -> None:
    if not place.startswith(f"{PRIVATE}/{CONFLICTS}/"):
        msg = f"not a conflict copy: {place!r}"
        raise ValueError(msg)
