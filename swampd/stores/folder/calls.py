"""The system calls that change a store, in one place.

Whatever changes a directory store goes through here, so that a test can end the process before,
in the middle of and after each single one.  Limits: without `syncfs` (not Linux) every write is
made durable by itself, which is slower.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Calls:
    """Thin names for system calls; each raises OSError."""

    syncs_all: bool = hasattr(_LIBC, "syncfs")
    """`sync_all` is there: one call makes all that was written before durable."""

    def make(self, name: str, folder: int) -> int:
        """A new file, open for writing."""
        return os.open(name, _NEW_FILE, 0o666, dir_fd=folder)

    def write(self, file: int, chunk: bytes) -> None:
        """All of the bytes."""
        written = os.write(file, chunk)
        while written < len(chunk):
            written += os.write(file, memoryview(chunk)[written:])

    def set_mtime(self, file: int, mtime_ns: int) -> None:
        """Give an open file its mtime."""
        os.utime(file, ns=(mtime_ns, mtime_ns))

    def link(self, name: str, folder: int, target: str, target_folder: int) -> None:
        """A second name, only where nothing has it."""
        os.link(name, target, src_dir_fd=folder, dst_dir_fd=target_folder, follow_symlinks=False)

    def rename(self, name: str, folder: int, target: str, target_folder: int) -> None:
        """Another name, in place of the file that has it."""
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=target_folder)

    def unlink(self, name: str, folder: int) -> None:
        """Take the name away."""
        os.unlink(name, dir_fd=folder)

    def mkdir(self, name: str, folder: int) -> None:
        """A new directory."""
        os.mkdir(name, 0o777, dir_fd=folder)

    def rmdir(self, name: str, folder: int) -> None:
        """Remove a directory, only if it is empty."""
        os.rmdir(name, dir_fd=folder)

    def sync(self, file: int) -> None:
        """The file's bytes, or the directory's names, are on disk."""
        os.fsync(file)

    def sync_all(self, root: int) -> None:
        """Everything written to this file system so far is on disk."""
        if _LIBC.syncfs(root) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
