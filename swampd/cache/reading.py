"""Reads one file whole, if it held still.

Keeps true: section 5.4, *what is sent is what the plan saw*: lstat before, fstat after the open,
fstat and lstat after the last byte are all equal, and as many bytes came as they say.  Above
`LARGE` the bytes that were hashed are those of the sealed copy, which nobody writes to any more.

Nothing but a regular file is opened (a device may act on an open), and with O_NONBLOCK, so that a
fifo that is swapped in cannot make us wait.

Limits: a change within one tick of the file system's clock shows in no stamp; who trusts a stamp
compares it with `now_ns` first.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import ExitStack
from stat import S_ISREG
from typing import TYPE_CHECKING, Final, Protocol

from swampd.cache.stamps import stamp_of
from swampd.domain.sizes import SIZES
from swampd.domain.values import Sha256
from swampd.ports import FileRead, ReadProblem, SealedFile

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from swampd.ports import Sink

LARGE: Final = SIZES.stream_above
"""Longer bodies are copied to disk, not held in memory (bytes)."""

_CHUNK: Final = 1024 * 1024
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_MEANING: Final = {
    errno.ENOENT: ReadProblem.GONE,
    errno.ENOTDIR: ReadProblem.GONE,
    errno.ENAMETOOLONG: ReadProblem.GONE,
    errno.ELOOP: ReadProblem.GONE,
    # A socket or device without its other end, swapped in behind the look.
    errno.ENXIO: ReadProblem.NOT_A_FILE,
    errno.ENODEV: ReadProblem.NOT_A_FILE,
    # Somebody has a lease on it (fcntl), and we do not wait.
    errno.EWOULDBLOCK: ReadProblem.BUSY,
    errno.EACCES: ReadProblem.UNREADABLE,
    errno.EPERM: ReadProblem.UNREADABLE,
    errno.EIO: ReadProblem.UNREADABLE,
    errno.EINVAL: ReadProblem.UNREADABLE,
    errno.EILSEQ: ReadProblem.UNREADABLE,
    errno.ESTALE: ReadProblem.UNREADABLE,
}


class Seal(Protocol):
    """Where the sealed copies are made."""

    def __call__(self) -> AbstractContextManager[tuple[str, Sink]]:
        """A new private file: where it is, and the sink that fills it; removed on an exception."""


class _GivenUp(Exception):
    """The file did not hold still, or could not be read to its end."""

    def __init__(self, problem: ReadProblem) -> None:
        super().__init__(problem)
        self.problem = problem


def read_problem(error: OSError) -> ReadProblem:
    """Why this error keeps us from a file's bytes; raises the error where it says nothing of it."""
    problem = _MEANING.get(error.errno or 0)
    if problem is None:
        raise error
    return problem


def read_at(
    opening: AbstractContextManager[tuple[int, bytes]], *, seal: Seal | None
) -> FileRead | ReadProblem:
    """`read_whole` of a name whose directory may not be there."""
    with ExitStack() as stack:
        try:
            directory, name = stack.enter_context(opening)
        except OSError as error:
            return read_problem(error)
        return read_whole(directory, name, seal=seal)


def read_whole(directory: int, name: bytes, *, seal: Seal | None) -> FileRead | ReadProblem:
    """Read and hash the file `name` of an open directory; hand out its bytes if `seal` is given.

    Raises OSError for what is no fault of the file: no space for the sealed copy, no descriptors.
    """
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not S_ISREG(found.st_mode):
            return ReadProblem.NOT_A_FILE
        descriptor = os.open(name, _FLAGS, dir_fd=directory)
    except OSError as error:
        return read_problem(error)
    try:
        return _Reader(directory, name, descriptor, found).read(seal)
    except _GivenUp as given_up:
        return given_up.problem
    finally:
        os.close(descriptor)


class _Reader:
    """One file while it is open."""

    def __init__(self, directory: int, name: bytes, descriptor: int, found: os.stat_result) -> None:
        self._directory = directory
        self._name = name
        self._descriptor = descriptor
        self._facts = _facts(found)
        self._stamp = stamp_of(found)

    def read(self, seal: Seal | None) -> FileRead:
        size = self._stamp.size
        self._look(os.fstat(self._descriptor))
        if seal is not None and size > LARGE:
            with seal() as (location, sink):
                digest = self._pass_on(sink)
            return FileRead(self._stamp, digest, SealedFile(location, size, digest))
        if size <= _CHUNK:
            data = self._small(size)
            self._look_again(size - len(data))
            digest = Sha256(hashlib.sha256(data).hexdigest())
            return FileRead(self._stamp, digest, None if seal is None else data)
        if seal is None:
            return FileRead(self._stamp, self._pass_on(None), None)
        chunks: list[bytes] = []

        def hold(chunk: bytes) -> None:
            chunks.append(chunk)

        digest = self._pass_on(hold)
        return FileRead(self._stamp, digest, b"".join(chunks))

    def _small(self, size: int) -> bytes:
        """All of a file in one read: asked for one byte more than it should have, the kernel
        gives all there is; where a file system gives less, the rest is asked for."""
        data = self._next(size + 1)
        while len(data) < size and (more := self._next(size + 1 - len(data))):
            data += more
        if len(data) > size:
            raise _GivenUp(ReadProblem.BUSY)
        return data

    def _pass_on(self, sink: Sink | None) -> Sha256:
        digest = hashlib.sha256()
        left = self._stamp.size
        # One byte more than it should have: a file that grows for ever is found out at once.
        while chunk := self._next(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise _GivenUp(ReadProblem.BUSY)
            digest.update(chunk)
            if sink is not None:
                sink(chunk)
        self._look_again(left)
        return Sha256(digest.hexdigest())

    def _look_again(self, left: int) -> None:
        """After the last byte."""
        self._look(os.fstat(self._descriptor))
        try:
            self._look(os.stat(self._name, dir_fd=self._directory, follow_symlinks=False))
        except FileNotFoundError as error:
            raise _GivenUp(ReadProblem.BUSY) from error
        if left:
            # Fewer bytes than lstat says, and it says so still: no file to rely on.
            raise _GivenUp(ReadProblem.UNREADABLE)

    def _next(self, length: int) -> bytes:
        try:
            return os.read(self._descriptor, length)
        except OSError as error:
            raise _GivenUp(read_problem(error)) from error

    def _look(self, found: os.stat_result) -> None:
        if _facts(found) != self._facts:
            raise _GivenUp(ReadProblem.BUSY)


def _facts(found: os.stat_result) -> tuple[int, ...]:
    """All that a stamp is made of, and the mode."""
    return (
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_mode,
    )
