"""A folder: the place of the `directory` store."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from swampd.stores.directory import DirectoryStore
from tests.places.place import NOBODYS, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from swampd.ports import ObjectStore, Threads

_CONTROL: Final = NOBODYS.rstrip("/")


class FolderPlace(Place):
    """A folder on this machine; `root` is for tests about the folder itself."""

    prefix = ""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)

    @property
    def setup(self) -> tuple[str, ...]:
        return ("directory", "--path", str(self.root))

    @property
    def settings(self) -> Mapping[str, object]:
        return {"type": "directory", "path": str(self.root)}

    @property
    def variable(self) -> str:
        return f"directory:{self.root}"

    @property
    def shown(self) -> str:
        return str(self.root)

    def equip(self, home: Path) -> Mapping[str, str]:
        del home
        return {}

    def open(self, threads: Threads) -> ObjectStore:
        return DirectoryStore(self.root, threads)

    def another(self, name: str) -> FolderPlace:
        return FolderPlace(self.root.with_name(name))

    @contextmanager
    def away(self) -> Iterator[None]:
        elsewhere = self.root.with_name("unmounted")
        self.root.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(self.root)

    def find(self, key: str) -> bytes | None:
        try:
            return (self.root / key).read_bytes()
        except FileNotFoundError:
            return None

    def write_foreign(self, key: str, content: bytes) -> None:
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def delete(self, key: str) -> None:
        (self.root / key).unlink()

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(key for key, _ in self._below(prefix) if key.startswith(prefix))

    def plain_keys(self) -> list[str]:
        """Quick, since it is asked while a daemon works."""
        return sorted(key for key, _ in self._below("", besides=_CONTROL))

    def writes(self) -> Mapping[str, object]:
        """Every write of the directory store makes a new file."""
        return {key: entry.inode() for key, entry in self._below("", besides=_CONTROL)}

    def _below(
        self, prefix: str, besides: str | None = None
    ) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """The files of the directory that a prefix names, each with its key."""
        pending = [prefix.rpartition("/")[0]]
        while pending:
            folder = pending.pop()
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    key = f"{folder}/{entry.name}" if folder else entry.name
                    if key == besides:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(key)
                    else:
                        yield key, entry
