"""Reading without a lock, and never a mix of two versions.

The payload file is looked at, then its side file, then the payload file again.  If the same file
is in place both times, it was there when the side file was read, and the side file names the
version that is in place; so the two belong together, or the file is foreign.  Otherwise a writer
came between, and the look is repeated.  Nothing here writes.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from swampd.domain.outcomes import Found, Missing
from swampd.errors import KeyRefused, StoreUnavailable
from swampd.stores.bodies import CHUNK
from swampd.stores.folder.paths import link_refused, lstat, opened
from swampd.stores.folder.sides import SideFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swampd.domain.values import Token
    from swampd.ports import Sink
    from swampd.stores.folder.paths import Place
    from swampd.stores.folder.sides import Held

T = TypeVar("T")

_TRIES: Final = 100
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Changed(Exception):
    """The file was rewritten in place (by a foreign program) while it was read."""


class SinkFailed(Exception):
    """The sink raised `cause`, which is no fault of the store."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Pinned:
    """An object that is open, and whose version is known."""

    file: int
    held: Held

    def chunks(self) -> Iterator[bytes]:
        """Its bytes, at most 1 MiB at a time; raises Changed, after bytes that mean nothing."""
        total = 0
        while chunk := os.read(self.file, CHUNK):
            total += len(chunk)
            yield chunk
        before, after = self.held.stat, os.fstat(self.file)
        if total != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
            raise Changed

    def whole(self) -> bytes:
        """All its bytes; raises Changed."""
        return b"".join(self.chunks())


def look(place: Place, parent: int, sides: SideFiles) -> Held | None:
    """What is at a place, without opening it; `parent` is its open directory.

    Raises OSError, errors.KeyRefused for a link, a device or the like, errors.StoreUnavailable.
    """
    for _ in range(_TRIES):
        found = lstat(place.name, parent)
        if found is None or not _is_object(found, place):
            return None
        held = sides.held(place.key, found)
        if _is_in_place(found, place, parent):
            return held
    raise _restless(place)


def get(
    root: int,
    place: Place,
    instead: Callable[[Token], T | None],
    sink: Sink | None = None,
) -> Found | Missing | T:
    """The object; or what `instead` says of its token, before any byte of it is read.

    Raises OSError, errors.KeyRefused, errors.StoreUnavailable.
    """
    for _ in range(_TRIES):
        with pinned(root, place) as pin:
            if pin is None:
                return Missing()
            answer = instead(pin.held.token)
            if answer is not None:
                return answer
            try:
                return _found(pin, sink)
            except Changed:
                if sink is not None:
                    break
    raise _restless(place)


def head(root: int, place: Place) -> Found | Missing:
    """Token, size and metadata.  Raises like `get`."""
    with closing(SideFiles(root)) as sides:
        try:
            with opened(root, place.folders) as parent:
                held = look(place, parent, sides)
        except (FileNotFoundError, NotADirectoryError):
            return Missing()
    if held is None:
        return Missing()
    return Found(held.token, held.stat.st_size, held.metadata)


@contextmanager
def pinned(root: int, place: Place) -> Iterator[Pinned | None]:
    """Open an object and learn its version; None where there is none.  Raises like `get`."""
    pin = _pin(root, place)
    try:
        yield pin
    finally:
        if pin is not None:
            os.close(pin.file)


def _pin(root: int, place: Place) -> Pinned | None:
    with closing(SideFiles(root)) as sides:
        try:
            with opened(root, place.folders) as parent:
                return _pin_in(parent, place, sides)
        except (FileNotFoundError, NotADirectoryError):
            return None


def _pin_in(parent: int, place: Place, sides: SideFiles) -> Pinned | None:
    for _ in range(_TRIES):
        file = _open_object(parent, place)
        keep = False
        try:
            found = os.fstat(file)
            if not _is_object(found, place):
                return None
            held = sides.held(place.key, found)
            keep = _is_in_place(found, place, parent)
            if keep:
                return Pinned(file, held)
        finally:
            if not keep:
                os.close(file)
    raise _restless(place)


def _open_object(parent: int, place: Place) -> int:
    try:
        return os.open(place.name, _READ, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise link_refused(place.key) from error
        if error.errno == errno.ENXIO:
            raise _special(place) from error
        raise


def _found(pin: Pinned, sink: Sink | None) -> Found:
    held = pin.held
    if sink is None:
        return Found(held.token, held.stat.st_size, held.metadata, pin.whole())
    for chunk in pin.chunks():
        try:
            sink(chunk)
        except OSError as error:
            raise SinkFailed(error) from error
    return Found(held.token, held.stat.st_size, held.metadata)


def _is_object(found: os.stat_result, place: Place) -> bool:
    """Is it a file?  A directory is no object; anything else is refused."""
    if stat.S_ISREG(found.st_mode):
        return True
    if stat.S_ISLNK(found.st_mode):
        raise link_refused(place.key)
    if not stat.S_ISDIR(found.st_mode):
        raise _special(place)
    return False


def _is_in_place(seen: os.stat_result, place: Place, parent: int) -> bool:
    now = lstat(place.name, parent)
    return now is not None and _identity(now) == _identity(seen)


def _identity(s: os.stat_result) -> tuple[int, int, int, int, int]:
    return s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def _special(place: Place) -> KeyRefused:
    return KeyRefused(f"{place.key!r} is neither a file nor a folder", key=place.key)


def _restless(place: Place) -> StoreUnavailable:
    return StoreUnavailable(f"{place.key!r} changes faster than it can be read", key=place.key)
