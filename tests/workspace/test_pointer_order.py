"""Pointers: placed after what they name, gone before it, and keeping it while they wait (S8)."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from swampd.cache.tree import LocalTree
from swampd.domain.states import PathState
from swampd.domain.values import CachePath, Scope
from swampd.syncing.conflicts import Side
from tests.workspace.machines import two_machines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place

D = Scope("d")


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every rename of a placer, in order."""
    found: list[str] = []

    def spy(name: str, at: int) -> None:
        real = getattr(LocalTree, name)

        def call(self: LocalTree, *args: Any) -> Any:
            found.append(args[at])
            return real(self, *args)

        monkeypatch.setattr(LocalTree, name, call)

    spy("place_new", 1)
    spy("exchange", 1)
    spy("move_to_tmp", 0)
    return found


def test_pointers_come_after_what_they_name(tmp_path: Path, place: Place, moves: list[str]) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("d/v2/sub/g", b"1")
            a.write("d/v2/h", b"1")
            a.write("d/v2/latest", b"sub")
            a.write("d/latest", b"v2")
            await a.push()
            await b.pull()
            assert moves == ["d/v2/h", "d/v2/sub/g", "d/v2/latest", "d/latest"]

    asyncio.run(main())


def test_new_files_come_before_replaced_ones(
    tmp_path: Path, place: Place, moves: list[str]
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("d/a", b"1")
            a.write("d/m", b"1")
            await a.push()
            await b.pull()
            moves.clear()
            a.write("d/a", b"2")
            a.write("d/m", b"2")
            a.write("d/b", b"1")
            a.write("d/z", b"1")
            await a.push()
            await b.pull()
            assert moves == ["d/b", "d/z", "d/a", "d/m"]

    asyncio.run(main())


def test_a_pointer_goes_before_what_it_names(
    tmp_path: Path, place: Place, moves: list[str]
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("d/2024/x", b"1")
            a.write("d/2024/latest", b"old")
            a.write("d/latest", b"2024")
            await a.push()
            await b.pull()
            moves.clear()
            shutil.rmtree(a.cache / "d/2024")
            (a.cache / "d/latest").unlink()
            await a.push()
            await b.pull()
            assert moves == ["d/latest", "d/2024/latest", "d/2024/x"]

    asyncio.run(main())


def test_while_a_pointer_waits_what_it_still_names_stays(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("d/v1/x", b"1")
            a.write("d/latest", b"v1")
            await a.push()
            await b.pull()
            b.write("d/v2/y", b"mine")
            a.write("d/v2/y", b"theirs")
            a.write("d/latest", b"v2")
            shutil.rmtree(a.cache / "d/v1")
            await a.push()
            pulled = (await b.pull()).done[D]
            assert pulled.conflicts == ["d/v2/y"]
            assert pulled.held == dict.fromkeys(("d/latest", "d/v1/x"), PathState.HELD_BACK)
            assert (b.cache / "d/latest").read_bytes() == b"v1"
            assert (b.cache / "d/v1/x").exists()

    asyncio.run(main())


def test_a_push_keeps_what_the_pointer_names_that_waits(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("d/v1/x", b"1")
            a.write("d/other", b"1")
            a.write("d/latest", b"v1")
            await a.push()
            await b.pull()
            a.write("d/v2/y", b"theirs")
            await a.push()
            b.write("d/v2/y", b"mine")
            b.write("d/latest", b"v2")
            shutil.rmtree(b.cache / "d/v1")
            (b.cache / "d/other").unlink()
            pushed = (await b.push("d")).done[D]
            assert pushed.conflicts == ["d/v2/y"]
            assert pushed.deleted == 1
            assert pushed.held == dict.fromkeys(("d/latest", "d/v1/x"), PathState.HELD_BACK)
            assert place.find("d/v1/x") is not None
            await b.workspace.desks.resolver.resolve(CachePath("d/v2/y"), Side.OURS)
            pushed = (await b.push("d")).done[D]
            assert pushed.whole
            assert (pushed.sent, pushed.deleted) == (2, 1)

    asyncio.run(main())
