"""A daemon that dies between a rename and its record: what it placed is not the user's doing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.values import Scope
from swampd.syncing.pulling import Puller
from tests.workspace.machines import machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place
    from tests.workspace.machines import Machine

PATH = "data/f"


class Died(Exception):
    """In the place of kill -9."""


async def pull_and_die(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rename what is to be placed or removed, and note nothing of it."""

    async def record(_self: Any, _scope: Any, placed: Any, *_args: Any) -> bool:
        if placed.files or placed.gone:
            raise Died
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Puller, "_record", record)
        with pytest.raises(Died):
            await one.pull()


def test_what_was_placed_is_not_pushed_when_the_head_went_on(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(PATH, b"one")
            await a.push()
            async with machine(tmp_path, "b", place) as b:
                await b.pull()
                a.write(PATH, b"two")
                await a.push()
                await pull_and_die(b, monkeypatch)
                assert (b.cache / PATH).read_bytes() == b"two"
            a.write(PATH, b"one")
            await a.push()
            async with machine(tmp_path, "b", place) as b:
                await b.pull()
                assert (await b.push()).done[Scope("data")].sent == 0
                assert (b.cache / PATH).read_bytes() == b"one"

    asyncio.run(main())


def test_what_was_removed_is_not_deleted_for_others_when_it_came_back(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(PATH, b"one")
            await a.push()
            async with machine(tmp_path, "b", place) as b:
                await b.pull()
                (a.cache / PATH).unlink()
                await a.push()
                await pull_and_die(b, monkeypatch)
                assert not (b.cache / PATH).exists()
            a.write(PATH, b"one")
            await a.push()
            async with machine(tmp_path, "b", place) as b:
                await b.pull()
                assert (await b.push()).done[Scope("data")].deleted == 0
                assert (b.cache / PATH).read_bytes() == b"one"

    asyncio.run(main())
