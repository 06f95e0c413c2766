"""Renames that never overwrite: NOREPLACE and EXCHANGE, and what is done where they are missing.

Keeps true: section 6, never check-then-rename; S2 no byte that a user wrote is overwritten unseen.

Limits, where the file system lacks a flag (NFS, some FUSE):
- NOREPLACE is link and unlink: as safe; a crash between them leaves both names, and the same call
  again completes it.  Only where there are no hard links either (or it is a directory that is
  moved) the name is checked and then renamed onto: somebody who takes the name in that instant
  loses it.
- EXCHANGE is: the current one aside to `<name>.old`, ours to the free name, the old one to our
  former name.  A reader may see nothing at the name for an instant.  A crash in between is gone on
  with by the same call again; somebody who takes the name in between keeps it (`Overtaken`).
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from swampd.cache import syscalls

# No hard links on this file system, none to directories, no more to this file, none to a file of
# somebody else's (fs.protected_hardlinks).
_CANNOT_LINK: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_ASIDE: Final = b".old"


class Overtaken(OSError):
    """While the exchange was between two steps somebody else took the name; what was there before
    is at `aside`, ours where it was."""

    def __init__(self, aside: bytes) -> None:
        """`aside` is a name in the source directory."""
        super().__init__(errno.EEXIST, "the name was taken during an exchange")
        self.aside = aside


@dataclass(frozen=True, slots=True)
class Renames:
    """What one file system can do, found out by trying (`probe`)."""

    noreplace: bool
    exchange: bool

    def move(self, source_dir: int, source: bytes, target_dir: int, target: bytes) -> None:
        """Rename to a free name; FileExistsError where it is taken."""
        if self.noreplace:
            syscalls.rename(source_dir, source, target_dir, target, syscalls.RENAME_NOREPLACE)
            return
        try:
            os.link(
                source,
                target,
                src_dir_fd=source_dir,
                dst_dir_fd=target_dir,
                follow_symlinks=False,
            )
        except FileExistsError:
            if not _same(source_dir, source, target_dir, target):
                raise
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            _check_then_rename(source_dir, source, target_dir, target)
            return
        os.unlink(source, dir_fd=source_dir)

    def swap(self, source_dir: int, source: bytes, target_dir: int, target: bytes) -> None:
        """Exchange two names; the target must be a file or link.

        Raises FileNotFoundError and IsADirectoryError for the target; a directory that slips in
        behind the look comes out at `source`, and the same call puts it back.
        """
        if self.exchange:
            refuse_directory(target_dir, target)
            syscalls.rename(source_dir, source, target_dir, target, syscalls.RENAME_EXCHANGE)
            return
        aside = source + _ASIDE
        if not exists(source_dir, aside) or _same(source_dir, aside, target_dir, target):
            refuse_directory(target_dir, target)
            self.move(target_dir, target, source_dir, aside)
        if exists(source_dir, source):
            try:
                self.move(source_dir, source, target_dir, target)
            except FileExistsError as error:
                raise Overtaken(aside) from error
            except OSError:
                with suppress(OSError):
                    self.move(source_dir, aside, target_dir, target)
                raise
        os.rename(aside, source, src_dir_fd=source_dir, dst_dir_fd=source_dir)


def probe(directory: int) -> Renames:
    """Find out with two files in this private directory.

    On a full disk nothing can be tried: the answer is the careful one.
    """
    names = [f"probe-{secrets.token_hex(8)}".encode() for _ in range(3)]
    try:
        for name in names[:2]:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o600, dir_fd=directory))
        return Renames(
            exchange=_works(directory, names[0], names[1], syscalls.RENAME_EXCHANGE),
            noreplace=_works(directory, names[0], names[2], syscalls.RENAME_NOREPLACE),
        )
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return Renames(noreplace=False, exchange=False)
    finally:
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)


def is_half_done(directory: int, name: bytes) -> bool:
    """Did a crash cut off an exchange of this name without RENAME_EXCHANGE?"""
    return exists(directory, name + _ASIDE)


def refuse_directory(directory: int, name: bytes) -> None:
    """IsADirectoryError for a directory, FileNotFoundError for nothing."""
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(name))


def owner_of_aside(name: str) -> str | None:
    """Whose exchange left this name behind; None for a name that is no leftover."""
    suffix = _ASIDE.decode()
    return name.removesuffix(suffix) if name.endswith(suffix) else None


def exists(directory: int, name: bytes) -> bool:
    """Is there anything at this name?"""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _same(one_dir: int, one: bytes, other_dir: int, other: bytes) -> bool:
    """Are these two names of one file, as link without unlink leaves them?"""
    try:
        first = os.stat(one, dir_fd=one_dir, follow_symlinks=False)
        second = os.stat(other, dir_fd=other_dir, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _works(directory: int, source: bytes, target: bytes, flags: int) -> bool:
    try:
        syscalls.rename(directory, source, directory, target, flags)
    except OSError:
        # EINVAL: this file system; ENOSYS: this kernel; EPERM: some sandboxes.
        return False
    return True


def _check_then_rename(source_dir: int, source: bytes, target_dir: int, target: bytes) -> None:
    if exists(target_dir, target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(target))
    os.rename(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir)
