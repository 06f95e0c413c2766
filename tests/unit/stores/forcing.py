"""System calls that fail, round or end the process where a test says."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from swampd.stores.directory import DirectoryStore
from swampd.stores.folder.calls import Calls
from tests.contract.subjects import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHANGES = (
    "make",
    "write",
    "set_mtime",
    "link",
    "rename",
    "unlink",
    "mkdir",
    "rmdir",
    "sync",
    "sync_all",
)


def open_folder(folder: Path, calls: Calls | None = None) -> DirectoryStore:
    return DirectoryStore(folder, InlineThreads(), calls)


class Death(BaseException):
    """The process ends here; nothing of it goes on, not even what cleans up."""


class Hooked(Calls):
    """Every call that changes something asks `before` first."""

    def __init__(self) -> None:
        for name in CHANGES:
            setattr(self, name, self._hooked(name, getattr(self, name)))

    def before(self, name: str, arguments: tuple[object, ...]) -> None:
        """Called before the call; what it raises, the call raises."""

    def _hooked(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object) -> object:
            self.before(name, arguments)
            return call(*arguments)

        return run


class Dying(Hooked):
    """Ends the process before the call with this number; a write has done half of its bytes."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left = at
        self.names: list[str] = []

    def before(self, name: str, arguments: tuple[object, ...]) -> None:
        self.names.append(name)
        if self._left == 0:
            file, chunk = (*arguments, None)[:2]
            if name == "write" and isinstance(file, int) and isinstance(chunk, bytes):
                os.write(file, chunk[: len(chunk) // 2])
            self._left -= 1
        else:
            self._left -= self._left > 0
            return
        self.before = self._dead  # type: ignore[method-assign]
        raise Death

    def _dead(self, name: str, arguments: tuple[object, ...]) -> None:
        del name, arguments
        raise Death


class Failing(Hooked):
    """One kind of call fails with an error of the system, from the `after`-th on."""

    def __init__(self, name: str, code: int, after: int = 0, *, done: bool = False) -> None:
        super().__init__()
        self._name = name
        self._code = code
        self._left = after
        if done:
            self._fail_when_done(name)

    def before(self, name: str, arguments: tuple[object, ...]) -> None:
        del arguments
        if name != self._name:
            return
        if self._left:
            self._left -= 1
            return
        raise OSError(self._code, os.strerror(self._code))

    def _fail_when_done(self, name: str) -> None:
        """The answer is lost, not the request."""
        call = getattr(Calls, name)

        def run(*arguments: object) -> None:
            call(self, *arguments)
            raise OSError(self._code, os.strerror(self._code))

        setattr(self, name, run)


class Coarse(Calls):
    """A file system that rounds times to two seconds, as FAT does."""

    def set_mtime(self, file: int, mtime_ns: int) -> None:
        super().set_mtime(file, mtime_ns // 2_000_000_000 * 2_000_000_000)


class Linkless(Calls):
    """A file system without hard links."""

    def link(self, name: str, folder: int, target: str, target_folder: int) -> None:
        del name, folder, target, target_folder
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


class Portable(Calls):
    """A system without `syncfs`."""

    syncs_all = False

    def sync_all(self, root: int) -> None:
        raise AssertionError(root)
