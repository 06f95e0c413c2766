"""A disk that is really full, and one that is really unmounted."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

import pytest

from swampd.cache.tree import LocalTree
from swampd.ports import PlaceProblem, Scratch
from tests.unit.cache.conftest import DiskUser, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs_root

MNT_DETACH: Final = 2
_libc: Final = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small(root: Path) -> Iterator[Path]:
    """A tmpfs of 64 KiB and 16 inodes as cache."""
    options = b"size=64k,nr_inodes=16"
    if _libc.mount(b"none", bytes(root), b"tmpfs", ctypes.c_ulong(0), options) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    yield root
    _libc.umount2(bytes(root), MNT_DETACH)


def test_a_full_disk_is_raised_by_the_sink_and_the_half_file_is_gone(small: Path) -> None:
    with LocalTree(small) as tree:
        world = World(tree, DiskUser(small))
        before = tree.free_bytes()
        with pytest.raises(OSError, match="No space") as caught:
            world.stage("n", b"x" * 100_000)
        assert caught.value.errno == errno.ENOSPC
        assert tree.stat_tmp("n") is None
        assert tree.free_bytes() == before > 0


def test_a_full_disk_ends_a_batch_of_scratch_files_at_the_one_that_has_no_room(
    small: Path,
) -> None:
    with LocalTree(small) as tree:
        files = [
            Scratch("a", b"data", x=False, mtime_ns=1),
            Scratch("b", b"x" * 10**5, x=False, mtime_ns=1),
        ]
        stamps = tree.write_each_tmp(files)
        assert next(stamps).size == 4
        with pytest.raises(OSError, match="No space"):
            next(stamps)
        assert DiskUser(small).private_files() == {".swampd/tmp/a": b"data"}


def test_a_placement_without_room_for_its_parents_is_no_space(small: Path) -> None:
    with LocalTree(small) as tree:
        world = World(tree, DiskUser(small))
        world.stage("n", b"data")
        for number in range(os.statvfs(small).f_ffree):
            (small / f"fill{number}").touch()
        assert world.place("n", "a/b/f") is PlaceProblem.NO_SPACE
        assert world.user.private_files() == {".swampd/tmp/n": b"data"}


def test_an_unmounted_disk_is_not_present(small: Path) -> None:
    with LocalTree(small) as tree:
        assert tree.present()
        assert _libc.umount2(bytes(small), MNT_DETACH) == 0
        assert not tree.present()


def test_a_mount_point_inside_blocks(small: Path, tmp_path: Path) -> None:
    assert small.exists()
    with LocalTree(tmp_path) as tree:
        world = World(tree, DiskUser(tmp_path))
        world.stage("n", b"")
        assert world.place("n", "cache/f") is PlaceProblem.BLOCKED
