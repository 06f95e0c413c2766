"""A content that the store has lost: never a delete, and brought back by whoever has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swampd.domain.states import PathState
from swampd.domain.values import CachePath, RemoteKey, Scope
from tests.workspace.machines import machine

if TYPE_CHECKING:
    from pathlib import Path

PATH = CachePath("data/f")
SCOPE = Scope("data")


def test_a_lost_content_is_shown_and_brought_back_by_a_host_that_has_it(tmp_path: Path) -> None:
    async def main() -> None:
        store = tmp_path / "store"
        async with machine(tmp_path, "a", store) as a, machine(tmp_path, "b", store) as b:
            a.write(PATH, b"the bytes\n")
            await a.push()
            await a.store.delete(RemoteKey(PATH))
            pulled = await b.pull()
            assert pulled.done[SCOPE].held == {PATH: PathState.MISSING}
            assert not (b.cache / PATH).exists()
            b.write(PATH, b"the bytes\n")
            pushed = await b.push()
            assert pushed.done[SCOPE].sent == 1
            assert (store / PATH).read_bytes() == b"the bytes\n"
            async with machine(tmp_path, "c", store) as c:
                assert (await c.pull()).done[SCOPE].whole
                assert (c.cache / PATH).read_bytes() == b"the bytes\n"
            assert (await b.push()).done[SCOPE].sent == 0

    asyncio.run(main())
