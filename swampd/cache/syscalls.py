"""Three system calls that Python has no function for: renameat2, openat2, syncfs.

Each raises OSError as `os` would; ENOSYS where this kernel or libc has none.  Limits: Linux.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2

RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08

_OPENAT2: Final = 437
# For a libc without the function (musl); only where a long has 64 bits, a 32-bit process on such a
# machine has other numbers.
_RENAMEAT2: Final = (
    {"x86_64": 316, "aarch64": 276, "riscv64": 276, "ppc64le": 357, "s390x": 347}
    if sys.maxsize > 2**32
    else {}
)

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_OPEN_HOW_BYTES: Final = ctypes.sizeof(_OpenHow)


def _declared(name: str, *arguments: type) -> Callable[..., int]:
    """A function object of its own: with its arguments declared a call costs half."""
    call = _libc[name]
    call.argtypes = arguments
    return call


def _prepared_openat2() -> Callable[..., int]:
    fd, path = ctypes.c_int, ctypes.c_char_p
    how = (ctypes.c_void_p, ctypes.c_size_t)
    call = _declared("syscall", ctypes.c_long, fd, path, *how)
    return partial(call, _OPENAT2)


def _prepared_renameat2() -> Callable[..., int] | None:
    fd, path = ctypes.c_int, ctypes.c_char_p
    names = (fd, path, fd, path, ctypes.c_uint)
    if hasattr(_libc, "renameat2"):
        return _declared("renameat2", *names)
    number = _RENAMEAT2.get(platform.machine())
    return partial(_declared("syscall", ctypes.c_long, *names), number) if number else None


_openat2: Final = _prepared_openat2()
_renameat2: Final = _prepared_renameat2()


def rename(source_dir: int, source: bytes, target_dir: int, target: bytes, flags: int) -> None:
    """renameat2 between names of two open directories."""
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _renameat2(source_dir, source, target_dir, target, flags) != 0:
        raise _last_error(target)


@cache
def _beneath(flags: int) -> _OpenHow:
    """How to open; the kernel only reads it, so one for all calls with these flags."""
    return _OpenHow(
        flags=flags | os.O_CLOEXEC,
        mode=0,
        resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    )


def open_beneath(directory: int, path: bytes, flags: int) -> int:
    """openat2 that follows no link in any component and never leaves `directory`."""
    how = ctypes.byref(_beneath(flags))
    while True:
        descriptor: int = _openat2(directory, path, how, _OPEN_HOW_BYTES)
        if descriptor >= 0:
            return descriptor
        if ctypes.get_errno() != errno.EINTR:
            raise _last_error(path)


def sync_filesystem(descriptor: int) -> None:
    """syncfs: everything written to the file system of this descriptor is on disk."""
    if not hasattr(_libc, "syncfs"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _libc.syncfs(ctypes.c_int(descriptor)) != 0:
        raise _last_error(b"")


def _last_error(path: bytes) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), os.fsdecode(path))
