"""Takes from this kernel what other kernels and file systems do not have."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from swampd.cache import syscalls

if TYPE_CHECKING:
    import pytest


def without_renameat2(monkeypatch: pytest.MonkeyPatch, *, only: int | None = None) -> None:
    """Each flag (or the one named) is answered as NFS does; hard links work."""
    real = syscalls.rename

    def rename(source_dir: int, source: bytes, target_dir: int, target: bytes, flags: int) -> None:
        if only is None or flags == only:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(source_dir, source, target_dir, target, flags)

    monkeypatch.setattr(syscalls, "rename", rename)


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hard links, as on vfat."""

    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)


def walk_by_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """No openat2: Linux before 5.6, or a sandbox that refuses it."""

    def open_beneath(*_: object) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(syscalls, "open_beneath", open_beneath)
