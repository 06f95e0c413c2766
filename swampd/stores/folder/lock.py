"""The one lock of a store: whoever changes anything holds it (section 2).

`flock` on `_control/swampd/lock`: the kernel lets it go when its process dies, at whatever point.
The wait has an end, because a process that is stopped while it holds the lock must not stop all
others for ever: they answer that the store is unavailable, and nothing was written.

Limits: on a share whose file system does not pass `flock` on to other machines (some SMB and FUSE
mounts), two machines do not exclude each other, and no probe from one machine can see that.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from swampd.errors import StoreUnavailable
from swampd.stores.folder.paths import CONTROL_FOLDERS, LOCK, lstat

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S: Final = 20.0
_SHORTEST_PAUSE_S: Final = 0.000_05
_LONGEST_PAUSE_S: Final = 0.005
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class StoreLock:
    """The lock of one store, for all threads of this object and against all other processes."""

    def __init__(self, store: str, patience_s: float = PATIENCE_S) -> None:
        self._store = store
        self._patience_s = patience_s
        self._threads = threading.Lock()

    @contextmanager
    def held(self, control: int) -> Iterator[None]:
        """Hold it; `control` is the open directory that it is in.

        Raises OSError, and errors.StoreUnavailable when others hold it for too long.
        """
        # Threads of this process queue here, so that only one of them polls the file.
        if not self._threads.acquire(timeout=self._patience_s):
            raise self._too_long()
        try:
            file = self._locked(control)
            try:
                yield
            finally:
                os.close(file)
        finally:
            self._threads.release()

    def _locked(self, control: int) -> int:
        while True:
            file = os.open(LOCK, _FLAGS, 0o666, dir_fd=control)
            try:
                self._wait(file)
                # Somebody may have removed the file: then two processes hold two locks.
                if _is_named(file, control):
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _wait(self, file: int) -> None:
        waited = 0.0
        pause = _SHORTEST_PAUSE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waited >= self._patience_s:
                    raise self._too_long() from None
                time.sleep(pause)  # noqa: TID251 - a worker thread that waits for a process
                waited += pause
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            else:
                return

    def _too_long(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._store}: another process has held the store's lock file for "
            f"{self._patience_s:g} s",
            hint=f"look for a stopped process with `fuser {'/'.join((*CONTROL_FOLDERS, LOCK))}`",
            store=self._store,
        )


def _is_named(file: int, control: int) -> bool:
    named = lstat(LOCK, control)
    return named is not None and os.path.samestat(named, os.fstat(file))
