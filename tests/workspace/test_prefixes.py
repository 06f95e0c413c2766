"""A store under a prefix: every key has it, and names that no longer fit a key are shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swampd.domain.buckets import MOST_PREFIX_BYTES
from swampd.domain.paths import KEY_LIMIT, PathProblem
from swampd.domain.states import PathState
from tests.places.folder import FolderPlace
from tests.workspace.machines import machine, shown

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = "/".join(["p" * 199] * 4)[:MOST_PREFIX_BYTES]


def below(folder: Path, prefix: str) -> FolderPlace:
    """A datastore under this prefix in a folder."""
    place = FolderPlace(folder)
    place.prefix = prefix
    return place


def test_two_datastores_in_one_store(tmp_path: Path) -> None:
    async def main() -> None:
        store = tmp_path / "store"
        team = below(store, "team/x")
        async with (
            machine(tmp_path, "a", team) as a,
            machine(tmp_path, "b", team) as b,
            machine(tmp_path, "c", below(store, "")) as c,
        ):
            a.write("docs/one", b"1")
            c.write("docs/one", b"other")
            await a.push()
            await c.push()
            await b.pull()
            assert (b.cache / "docs/one").read_bytes() == b"1"
            assert (store / "team/x/docs/one").read_bytes() == b"1"
            assert (store / "docs/one").read_bytes() == b"other"

    asyncio.run(main())


def test_a_name_whose_key_would_be_too_long_is_shown_and_the_rest_goes(tmp_path: Path) -> None:
    async def main() -> None:
        store = tmp_path / "store"
        left = KEY_LIMIT - len(LONGEST) - len("/docs/")
        fits, too_long = "docs/" + "f" * left, "docs/" + "x" * (left + 1)
        async with machine(tmp_path, "a", below(store, LONGEST)) as a:
            a.write(fits, b"1")
            a.write(too_long, b"2")
            await a.push()
            assert (store / LONGEST / fits).read_bytes() == b"1"
            refused = {too_long: (PathState.REFUSED_NAME, PathProblem.TOO_LONG.value)}
            assert await shown(a) == refused
            await a.pull()
            assert await shown(a) == refused

    asyncio.run(main())
