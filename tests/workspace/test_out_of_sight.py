"""What is not seen in the cache, because a disk is not mounted or a link is in the way, is not
deleted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from swampd.domain.states import PathState
from swampd.domain.values import CachePath, Scope
from swampd.ports import Unreadable
from swampd.syncing import local_ledger
from tests.workspace.machines import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from swampd.ports import ScanRow, Transaction
    from tests.places.place import Place
    from tests.workspace.machines import Machine

F = CachePath("d/e/f")
D = Scope("d")


async def on_another_disk(one: Machine, by: int) -> None:
    """Let the base of the path say that it was on another disk."""

    def work(tx: Transaction) -> None:
        tx.execute("UPDATE base SET dev = dev + ? WHERE path = ?", (by, F))

    await one.workspace.ports.journal.write(work)


async def states_of(one: Machine) -> dict[str, PathState]:
    found = await one.workspace.ports.journal.read(local_ledger.states)
    return {path: state for path, _, state, _ in found}


@pytest.mark.parametrize("keep_folder", [False, True])
def test_what_was_on_a_disk_that_is_not_mounted_is_not_deleted(
    tmp_path: Path, place: Place, *, keep_folder: bool
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            a.write("d/g", b"1")
            await a.push()
            await on_another_disk(a, 1)
            (a.cache / F).unlink()
            if not keep_folder:
                (a.cache / "d/e").rmdir()
            pushed = (await a.push()).done[D]
            assert pushed.deleted == 0
            assert pushed.held == {F: PathState.UNREADABLE}
            assert await states_of(a) == {F: PathState.UNREADABLE}
            a.write(F, b"1")
            assert (await a.push()).done[D].whole
            assert await states_of(a) == {}

    asyncio.run(main())


def test_it_is_not_placed_on_the_disk_below_either(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write(F, b"1")
            await a.push()
            await b.pull()
            await on_another_disk(b, 1)
            (b.cache / F).unlink()
            a.write(F, b"2")
            await a.push()
            pulled = (await b.pull()).done[D]
            assert pulled.held == {F: PathState.UNREADABLE}
            assert not (b.cache / F).exists()

    asyncio.run(main())


def test_what_is_behind_a_link_is_not_deleted(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            (a.cache / "d/e").rename(tmp_path / "elsewhere")
            (a.cache / "d/e").symlink_to(tmp_path / "elsewhere")
            pushed = (await a.push()).done[D]
            assert pushed.deleted == 0
            assert pushed.held == {F: PathState.SYMLINK}
            (a.cache / "d/e").unlink()
            assert (await a.push()).done[D].deleted == 1

    asyncio.run(main())


def test_a_disk_with_another_number_is_the_same_disk(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()

            def reboot(tx: Transaction) -> None:
                tx.execute("UPDATE base SET dev = dev + 1")
                tx.execute("UPDATE meta SET value = value + 1 WHERE key = 'device'")

            await a.workspace.ports.journal.write(reboot)
            (a.cache / F).unlink()
            assert (await a.push()).done[D].deleted == 1

    asyncio.run(main())


def unreadable(one: Machine, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Let a folder be one that may not be listed."""
    tree = one.workspace.ports.tree
    real = tree.scan

    def scan(under: str, prune: Callable[[str], bool]) -> Iterator[ScanRow]:
        if not under.startswith(folder):
            yield from real(under, lambda path: path.startswith(folder) or prune(path))
        yield Unreadable(folder, "not allowed")

    monkeypatch.setattr(tree, "scan", scan)


def test_what_could_not_be_read_when_join_mode_began_joins_when_it_can_be(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write(F, b"1")
            a.write("d/g", b"1")
            await a.push()
            await b.pull()
            (b.cache / F).unlink()
            await b.push()
            with monkeypatch.context() as patch:
                unreadable(a, patch, "d/e")
                (a.cache / ".swampd/cache-id").unlink()
                assert not await a.workspace.desks.bases.check()
            assert (await a.push()).done[D].sent == 0
            assert (await a.pull()).done[D].deleted == 1
            assert not (a.cache / F).exists()

    asyncio.run(main())
