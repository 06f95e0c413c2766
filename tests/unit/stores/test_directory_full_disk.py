"""A disk that is full: nothing lands, nothing is lost, and it goes on when there is space again."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Found
from swampd.errors import StoreUnavailable
from tests.contract.subjects import META, A, B, applied
from tests.unit.stores.forcing import open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs_root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    subprocess.run(mount, check=True)  # noqa: S603 - no input but ours
    yield disk
    subprocess.run(["umount", str(disk)], check=True)  # noqa: S603, S607 - as above


def test_a_full_disk_refuses_writes_and_keeps_what_is_there(small_disk: Path) -> None:
    async def run() -> None:
        store = open_folder(small_disk)
        token = applied(await store.create(A, b"old", META))
        with pytest.raises(StoreUnavailable, match="space"):
            await store.create(B, b"x" * (2 << 20), {})
        with pytest.raises(StoreUnavailable):
            await store.replace(A, b"x" * (2 << 20), token, {})
        assert await store.get(A) == Found(token, 3, META, b"old")
        assert is_empty(small_disk / "_control/swampd/tmp")
        # Filled to the last byte: even the side file finds no room.
        filler = small_disk / "filler"
        fill(filler)
        for size in (0, 1, 5000):
            with pytest.raises(StoreUnavailable):
                await store.replace(A, b"x" * size, token, {})
        assert await store.get(A) == Found(token, 3, META, b"old")
        filler.unlink()
        token = applied(await store.replace(A, b"new", token, {}))
        assert await store.get(A) == Found(token, 3, {}, b"new")

    asyncio.run(run())


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def fill(file: Path) -> None:
    """Take all the space that is left."""
    with file.open("wb", buffering=0) as opened:
        try:
            while True:
                opened.write(b"\0" * 4096)
        except OSError:
            return


def test_an_unmounted_store_is_unavailable(small_disk: Path) -> None:
    async def run() -> None:
        store = open_folder(small_disk)
        token = applied(await store.create(A, b"old", META))
        mount(small_disk)
        try:
            # Something else is on top now, and it is empty.
            for attempt in (store.get(A), store.put(A, b"", {}), store.delete(A)):
                with pytest.raises(StoreUnavailable, match="unmounted"):
                    await attempt
            assert is_empty(small_disk)
        finally:
            unmount(small_disk)
        # Nothing is kept open, so a disk can be unmounted and come back.
        assert await store.get(A) == Found(token, 3, META, b"old")

    asyncio.run(run())


def mount(disk: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)  # noqa: S603, S607


def unmount(disk: Path) -> None:
    subprocess.run(["umount", str(disk)], check=True)  # noqa: S603, S607
