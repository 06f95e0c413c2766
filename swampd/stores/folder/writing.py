"""Changing a store: each write is all there or not there, after a death at any point (section 2).

A write, in this order:
1. the bytes, into a private file in `tmp` (no lock; they may be many);
2. under the lock: does the condition hold?  The file gets an mtime that no other version has;
3. the side file, in place of the one before: what is there now, and this write as *pending*;
4. for a conditional replace, or any write of a document (a head, a lock, the layout): everything so
   far is put on disk (`syncfs`);
5. the rename onto the key, which is the moment the write happens;
6. for the same: the rename is put on disk.
Before 5 the payload file is the old one and fits `current`; after it, it is the new one and fits
`pending`.  So heads, locks and layout are durable once Applied is said, their creation too, and
whatever they name was on disk before them; the create of anything else needs no sync of its own.

A delete is the removal of the payload file: without it there is no object, whatever a side file
says.

What fails before 5 raises, and certainly did not happen; a 5 or 6 of which nobody can tell is
Unknown.  Limits: a foreign program that replaces a file between the look and the rename of a
replace loses its bytes.  After a power cut, what was written since the last durable write may be
missing, older or foreign; nothing durable names it.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from stat import S_ISDIR
from typing import TYPE_CHECKING, Final, assert_never

from swampd.domain.outcomes import Applied, Rejected, Unknown
from swampd.domain.values import Token
from swampd.errors import KeyRefused, StoreUnavailable
from swampd.stores.folder.faults import SURELY_UNDONE
from swampd.stores.folder.paths import (
    CONTROL_FOLDERS,
    META,
    TMP,
    is_document,
    lstat,
    made,
    opened,
    prune,
    remove_hollow,
)
from swampd.stores.folder.reading import Changed, look, pinned
from swampd.stores.folder.sides import SCHEMA, SideFile, SideFiles, Version, drop_side, write_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swampd.domain.outcomes import WriteOutcome
    from swampd.stores.folder.calls import Calls
    from swampd.stores.folder.lock import StoreLock
    from swampd.stores.folder.paths import Place
    from swampd.stores.folder.sides import Held

_STEPS_NS: Final = (0, 1_000_000, 1_000_000_000, 2_000_000_000, 4_000_000_000)
"""Tried one after the other until the mtime differs, because some file systems round it."""
_SPREAD_NS: Final = 1_000_000
"""A random part of each mtime: no clock tick of a foreign write hits it."""
_LEFT_BEHIND_NS: Final = 24 * 3600 * 10**9
"""A private file that nothing touched for so long is of a process that died."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class When(Enum):
    """Conditions that name no token."""

    ALWAYS = "always"
    ABSENT = "absent"


Condition = When | Token


@dataclass(slots=True)
class _Area:
    """The open directories of one change."""

    root: int
    control: int
    tmp: int
    meta: int


@dataclass(slots=True)
class _Draft:
    """The bytes of a write in their private file; its name is the token that they will have."""

    name: str
    file: int
    is_private: bool = True


class Writer:
    """Makes the changes of one store."""

    def __init__(self, lock: StoreLock, calls: Calls) -> None:
        self._lock = lock
        self._calls = calls
        self._swept = False

    def write(
        self,
        root: int,
        place: Place,
        chunks: Iterable[bytes],
        metadata: Mapping[str, str],
        condition: Condition,
    ) -> WriteOutcome:
        """Write an object.  Raises OSError and errors.SwampdError only if nothing happened."""
        with self._area(root) as area, self._draft(area, chunks) as draft:
            self._sweep(area, draft)
            with self._lock.held(area.control):
                held = self._held(area, place)
                if not _holds(condition, held):
                    return Rejected()
                is_durable = isinstance(condition, Token) or is_document(place)
                change = _Change(held, condition, dict(metadata), is_durable)
                return self._publish(area, place, draft, change)

    def copy(
        self,
        root: int,
        source: Place,
        target: Place,
        metadata: Mapping[str, str],
        condition: Condition,
    ) -> WriteOutcome:
        """Write an object with the bytes of another; raises like `write`."""
        with pinned(root, source) as pin:
            if pin is None:
                return Rejected()
            try:
                return self.write(root, target, pin.chunks(), metadata, condition)
            except Changed:
                raise StoreUnavailable(
                    f"{source.key!r} was rewritten while it was copied", key=source.key
                ) from None

    def delete(self, root: int, place: Place, condition: Condition) -> WriteOutcome:
        """Delete an object.  Raises OSError and errors.SwampdError only if nothing happened."""
        with self._area(root) as area, self._lock.held(area.control):
            held = self._held(area, place)
            if not _holds(condition, held):
                return Rejected()
            outcome = self._remove(area, place) if held else Applied(None)
            if isinstance(outcome, Applied):
                drop_side(place.key, area.meta, self._calls)
                prune(root, place.folders, self._calls)
            return outcome

    @contextmanager
    def _area(self, root: int) -> Iterator[_Area]:
        calls = self._calls
        with (
            made(root, CONTROL_FOLDERS, calls) as control,
            made(control, (TMP,), calls) as tmp,
            made(control, (META,), calls) as meta,
        ):
            yield _Area(root, control, tmp, meta)

    @contextmanager
    def _draft(self, area: _Area, chunks: Iterable[bytes]) -> Iterator[_Draft]:
        name = secrets.token_hex(16)
        draft = _Draft(name, self._calls.make(name, area.tmp))
        try:
            for chunk in chunks:
                self._calls.write(draft.file, chunk)
            yield draft
        finally:
            os.close(draft.file)
            if draft.is_private:
                with suppress(OSError):
                    self._calls.unlink(name, area.tmp)

    def _sweep(self, area: _Area, draft: _Draft) -> None:
        """Once: remove what dead processes left in `tmp`.

        By ctime, which nobody can set, compared on the clock of the file system.  Should it hit a
        process that was only stopped, that one finds its draft gone and says Unknown.
        """
        if self._swept:
            return
        self._swept = True
        oldest = os.fstat(draft.file).st_ctime_ns - _LEFT_BEHIND_NS
        with os.scandir(area.tmp) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_ctime_ns < oldest:
                        self._calls.unlink(entry.name, area.tmp)

    def _held(self, area: _Area, place: Place) -> Held | None:
        with closing(SideFiles(area.root)) as sides:
            try:
                with opened(area.root, place.folders) as parent:
                    return look(place, parent, sides)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _publish(self, area: _Area, place: Place, draft: _Draft, change: _Change) -> WriteOutcome:
        calls = self._calls
        with made(area.root, place.folders, calls) as parent:
            if change.held is None:
                self._clear(place, parent)
            stat = self._stamp(draft, change.held)
            token = Token(draft.name)
            pending = Version(token, stat.st_size, stat.st_mtime_ns, change.metadata)
            current = change.held.version if change.held else None
            write_side(SideFile(SCHEMA, place.key, current, pending), area.tmp, area.meta, calls)
            if not calls.syncs_all:
                calls.sync(draft.file)
            elif change.is_durable:
                calls.sync_all(area.root)
            outcome = self._place(area, place, parent, draft, change)
            if isinstance(outcome, Applied) and (change.is_durable or not calls.syncs_all):
                return self._settle(parent, outcome)
            return outcome

    def _clear(self, place: Place, parent: int) -> None:
        """Refuse a key that is the folder of others; a folder of nothing makes way."""
        found = lstat(place.name, parent)
        if found is None or not S_ISDIR(found.st_mode):
            return
        if not remove_hollow(place.name, parent, self._calls):
            raise KeyRefused(f"the key {place.key!r} is the folder of other objects", key=place.key)

    def _stamp(self, draft: _Draft, held: Held | None) -> os.stat_result:
        written = os.fstat(draft.file)
        for step_ns in _STEPS_NS:
            mtime_ns = written.st_mtime_ns + step_ns + secrets.randbelow(_SPREAD_NS)
            self._calls.set_mtime(draft.file, mtime_ns)
            stamped = os.fstat(draft.file)
            if held is None or stamped.st_mtime_ns != held.stat.st_mtime_ns:
                return stamped
        raise StoreUnavailable("the file system of the store keeps no times of files")

    def _place(
        self, area: _Area, place: Place, parent: int, draft: _Draft, change: _Change
    ) -> WriteOutcome:
        """Let the write happen."""
        try:
            if change.condition is not When.ABSENT or not self._link(area, place, parent, draft):
                self._calls.rename(draft.name, area.tmp, place.name, parent)
                draft.is_private = False
        except FileExistsError:
            return Rejected()
        except OSError as error:
            if error.errno in SURELY_UNDONE:
                raise
            return Unknown(f"the rename onto {place.key!r}: {error.strerror}")
        return Applied(Token(draft.name))

    def _link(self, area: _Area, place: Place, parent: int, draft: _Draft) -> bool:
        """Place a draft only where nothing is, whatever a foreign program does meanwhile.

        False where the file system has no links; raises FileExistsError.
        """
        try:
            self._calls.link(draft.name, area.tmp, place.name, parent)
        except FileExistsError:
            # On NFS the answer to a link that was sent twice.
            found = lstat(place.name, parent)
            if found is None or not os.path.samestat(found, os.fstat(draft.file)):
                raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
        return True

    def _settle(self, parent: int, outcome: Applied) -> WriteOutcome:
        try:
            self._calls.sync(parent)
        except OSError as error:
            return Unknown(f"written, but perhaps not on disk: {error.strerror}")
        return outcome

    def _remove(self, area: _Area, place: Place) -> WriteOutcome:
        try:
            with opened(area.root, place.folders) as parent:
                self._calls.unlink(place.name, parent)
        except FileNotFoundError:
            pass  # a foreign program was quicker
        except OSError as error:
            if error.errno in SURELY_UNDONE:
                raise
            return Unknown(f"the removal of {place.key!r}: {error.strerror}")
        return Applied(None)


@dataclass(frozen=True, slots=True)
class _Change:
    """What a write found, on what condition it goes on, and what it brings."""

    held: Held | None
    condition: Condition
    metadata: dict[str, str]
    is_durable: bool


def _holds(condition: Condition, held: Held | None) -> bool:
    match condition:
        case When.ALWAYS:
            return True
        case When.ABSENT:
            return held is None
        case Token():
            return held is not None and held.token == condition
        case _:  # pragma: no cover
            assert_never(condition)
