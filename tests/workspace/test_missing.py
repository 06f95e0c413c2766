"""A content that the store has lost: never a delete, and brought back by whoever has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swampd.domain.states import PathState
from swampd.domain.values import CachePath, Scope
from tests.workspace.machines import machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place

PATH = CachePath("data/f")
SCOPE = Scope("data")


def test_a_lost_content_is_shown_and_brought_back_by_a_host_that_has_it(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write(PATH, b"the bytes\n")
            await a.push()
            place.delete(PATH)
            pulled = await b.pull()
            assert pulled.done[SCOPE].held == {PATH: PathState.MISSING}
            assert not (b.cache / PATH).exists()
            b.write(PATH, b"the bytes\n")
            pushed = await b.push()
            assert pushed.done[SCOPE].sent == 1
            assert place.read(PATH) == b"the bytes\n"
            async with machine(tmp_path, "c", place) as c:
                assert (await c.pull()).done[SCOPE].whole
                assert (c.cache / PATH).read_bytes() == b"the bytes\n"
            assert (await b.push()).done[SCOPE].sent == 0

    asyncio.run(main())
