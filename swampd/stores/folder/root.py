"""The folder that a store is: opened for each operation, so that it can be unmounted in between.

Once the folder was seen to hold a store, another folder in its place is taken for it only if that
holds one too: an unmounted disk leaves an empty mount point, which must not look like a store
from which everything was deleted (S4).
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from swampd.errors import StoreDenied, StoreUnavailable
from swampd.stores.folder.paths import CONTROL_FOLDERS, LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LOCK_PATH: Final = "/".join((*CONTROL_FOLDERS, LOCK))


class Root:
    """The root of one store."""

    def __init__(self, folder: Path, store: str) -> None:
        self._folder = folder
        self._store = store
        self._seen: tuple[int, int] | None = None

    @contextmanager
    def opened(self) -> Iterator[int]:
        """The descriptor of the root.

        Raises errors.StoreUnavailable when the folder is not there, or is not the store it was,
        and errors.StoreDenied.
        """
        try:
            root = os.open(self._folder, _FOLDER)
        except PermissionError as error:
            raise StoreDenied(
                f"{self._store}: the folder {self._folder} may not be opened", store=self._store
            ) from error
        except OSError as error:
            raise self._absent(error.strerror or str(error)) from error
        try:
            self._check(root)
            yield root
            if self._seen is None:
                self._check(root)
        finally:
            os.close(root)

    def _check(self, root: int) -> None:
        # Read once: another thread may see the store's first write while this one looks.
        seen = self._seen
        stat = os.fstat(root)
        now = stat.st_dev, stat.st_ino
        if seen == now:
            return
        if _has_lock(root):
            self._seen = now
        elif seen is not None:
            raise self._absent("it is not the store that it was; is a disk unmounted?")

    def _absent(self, why: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._store}: the folder {self._folder} cannot be used: {why}",
            hint="mount or restore it, then try again",
            store=self._store,
            folder=str(self._folder),
        )


def _has_lock(root: int) -> bool:
    try:
        os.stat(_LOCK_PATH, dir_fd=root, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
            raise
        return False
    return True
