"""One daemon for each cache: `flock` on `.swampd/lock` in it, which says who has it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from typing import TYPE_CHECKING, Final

from swampd.errors import CacheInUse, UnsafeLocation

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT_BYTES: Final = 4096


class CacheLock:
    """The flock on one cache, from `take` to `close`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, cache: Path) -> CacheLock:
        """Make the cache where it is missing, and have it to ourselves.

        Blocking for a moment.  Raises CacheInUse that names pid and host, UnsafeLocation.
        """
        private = cache / ".swampd"
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                private.mkdir(mode=0o700)
            folder = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open("lock", flags, 0o600, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise UnsafeLocation(
                f"the cache {cache} cannot be used: {error.strerror}",
                "see who owns it, and that .swampd in it is a directory",
                path=str(cache),
            ) from error
        return cls._locked(descriptor, cache)

    @classmethod
    def _locked(cls, descriptor: int, cache: Path) -> CacheLock:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            said = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, said + b"\n", 0)
        except OSError as error:
            raw = os.pread(descriptor, _LIMIT_BYTES, 0)
            os.close(descriptor)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            raise _in_use(cache, raw) from error
        return cls(descriptor)

    def close(self) -> None:
        """Let another daemon have it."""
        os.close(self._descriptor)


def _in_use(cache: Path, raw: bytes) -> CacheInUse:
    try:
        found = json.loads(raw)
        pid, host = str(found["pid"]), str(found["host"])
    except (ValueError, KeyError, TypeError):
        pid, host = "unknown", "unknown"
    return CacheInUse(
        f"the cache {cache} is served by another daemon: pid {pid} on {host}",
        "it runs with another HOME or state directory: use that one, or stop it",
        path=str(cache),
        pid=pid,
        host=host,
    )
