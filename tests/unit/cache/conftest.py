"""One tree on disk, one in memory, and for each a user who changes it behind the daemon's back."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

from swampd.cache.tree import LocalTree
from swampd.domain.values import CachePath
from swampd.ports import FileTree, Kind, PlaceProblem
from tests.sim.tree import SimTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class User(Protocol):
    """What both users can do."""

    def write(self, path: str, data: bytes, *, x: bool = False) -> None: ...
    def edit(self, path: str, data: bytes, *, mtime_ns: int | None = None) -> None: ...
    def rename(self, source: str, target: str) -> None: ...
    def delete(self, path: str) -> None: ...
    def mkdir(self, path: str) -> None: ...
    def chmod(self, path: str, *, x: bool) -> None: ...
    def special(self, path: str, kind: Kind) -> None: ...
    def files(self) -> dict[str, bytes]: ...
    def private_files(self) -> dict[str, bytes]: ...


class DiskUser:
    """A user of a real directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _made(self, path: str) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def write(self, path: str, data: bytes, *, x: bool = False) -> None:
        place = self._made(path)
        scratch = self.root.parent / "editor"
        scratch.write_bytes(data)
        scratch.chmod(0o755 if x else 0o644)
        scratch.rename(place)

    def edit(self, path: str, data: bytes, *, mtime_ns: int | None = None) -> None:
        place = self.root / path
        place.write_bytes(data)
        if mtime_ns is not None:
            os.utime(place, ns=(mtime_ns, mtime_ns))

    def rename(self, source: str, target: str) -> None:
        (self.root / source).rename(self._made(target))

    def delete(self, path: str) -> None:
        place = self.root / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()

    def mkdir(self, path: str) -> None:
        (self.root / path).mkdir(parents=True, exist_ok=True)

    def chmod(self, path: str, *, x: bool) -> None:
        (self.root / path).chmod(0o755 if x else 0o644)

    def special(self, path: str, kind: Kind) -> None:
        place = self._made(path)
        if kind is Kind.SYMLINK:
            place.symlink_to("/etc/hostname")
        else:
            os.mkfifo(place)

    def files(self) -> dict[str, bytes]:
        return {path: data for path, data in self._all() if not path.startswith(".swampd/")}

    def private_files(self) -> dict[str, bytes]:
        return {path: data for path, data in self._all() if path.startswith(".swampd/")}

    def _all(self) -> Iterator[tuple[str, bytes]]:
        for place in sorted(self.root.rglob("*")):
            if place.is_file() and not place.is_symlink():
                yield str(place.relative_to(self.root)), place.read_bytes()


@dataclass(frozen=True)
class World:
    """A tree and its user."""

    tree: FileTree
    user: User

    def stage(
        self, name: str, data: bytes, *, x: bool = False, mtime_ns: int = 1_000_000_000
    ) -> None:
        """Make `tmp/<name>` as a download does."""
        with self.tree.write_tmp(name, x=x) as sink:
            sink(data)
        self.tree.finish_tmp(name, mtime_ns)

    def place(self, name: str, path: str) -> PlaceProblem | None:
        return self.tree.place_new(name, CachePath(path))

    def exchange(self, name: str, path: str) -> PlaceProblem | None:
        return self.tree.exchange(name, CachePath(path))


@pytest.fixture(autouse=True)
def _root_only(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("needs_root") is not None and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "cache"
    place.mkdir()
    return place


@pytest.fixture
def local(root: Path) -> Iterator[LocalTree]:
    with LocalTree(root) as tree:
        yield tree


@pytest.fixture
def disk(root: Path) -> DiskUser:
    return DiskUser(root)


def sim_tree(*, exchange_supported: bool = True) -> SimTree:
    """A tree in memory whose clock moves 1 ms with each look."""
    ticks = iter(range(10**18, 2 * 10**18, 1_000_000))
    return SimTree(lambda: next(ticks), exchange_supported=exchange_supported)
