"""What a crash left in the private area without a word in the journal is listed at the start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from swampd.domain.states import ConflictKind
from swampd.domain.values import CachePath
from swampd.syncing import local_ledger
from swampd.syncing.conflicts import Side
from tests.workspace.machines import machine, two_machines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place
    from tests.workspace.machines import Machine

F = "data/f"
UNLISTED = "0" * 32


def leave(one: Machine, within: str, content: bytes) -> Path:
    """What a daemon that died right after a rename leaves."""
    place = one.cache / ".swampd" / within
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


async def conflicts_of(one: Machine) -> list[local_ledger.Conflict]:
    return await one.workspace.ports.journal.read(local_ledger.conflicts)


def test_what_is_in_trash_and_nobody_knows_goes_like_the_rest(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            left = leave(a, f"trash/{UNLISTED}", b"old")
        async with machine(tmp_path, "a", place) as a:
            known = await a.workspace.ports.journal.read(local_ledger.trashed)
            assert [row.name for row in known] == [UNLISTED]
            assert left.exists()
            await a.workspace.background.empty_trash(0.0)
            assert not left.exists()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["f", "f.1"])
def test_a_copy_of_what_the_head_has_is_dropped(tmp_path: Path, place: Place, name: str) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"one")
            await a.push()
            left = leave(a, f"conflicts/data/{name}", b"one")
        async with machine(tmp_path, "a", place) as a:
            assert not left.exists()
            assert await conflicts_of(a) == []

    asyncio.run(main())


def test_any_other_copy_is_shown_and_stays(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"one")
            await a.push()
            left = leave(a, "conflicts/data/f", b"an edit")
        for _ in range(2):
            async with machine(tmp_path, "a", place) as a:
                (shown,) = await conflicts_of(a)
                assert (shown.path, shown.kind) == (F, ConflictKind.KEPT_BYTES)
                assert shown.copy is not None
                assert a.cache / shown.copy == left
                assert left.read_bytes() == b"an edit"

    asyncio.run(main())


def test_what_is_no_file_or_no_path_of_the_cache_is_left(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            left = leave(a, "conflicts/data/back\\slash", b"odd")
            (a.cache / ".swampd/conflicts/link").symlink_to("nowhere")
        async with machine(tmp_path, "a", place) as a:
            assert await conflicts_of(a) == []
            assert left.exists()

    asyncio.run(main())


async def in_conflict(a: Machine, b: Machine) -> Path:
    """Both changed a file; the copy of the other one's content, at the first machine."""
    a.write(F, b"one")
    await a.push()
    await b.pull()
    b.write(F, b"theirs")
    await b.push()
    a.write(F, b"ours")
    await a.pull()
    (shown,) = await conflicts_of(a)
    assert shown.copy is not None
    return a.cache / shown.copy


def test_the_copy_of_a_conflict_that_ended_by_itself_goes(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            copy = await in_conflict(a, b)
            assert copy.read_bytes() == b"theirs"
            a.write(F, b"theirs")
            await a.push()
            assert await conflicts_of(a) == []
            await a.workspace.background.empty_trash(0.0)
            assert not copy.exists()
            assert await a.workspace.ports.journal.read(local_ledger.dropped_copies) == []

    asyncio.run(main())


def test_a_copy_that_a_crash_kept_from_going_goes_at_the_start(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            copy = await in_conflict(a, b)
            a.write(F, b"theirs")
            await a.push()
            b.write(F, b"newer")  # so that the copy is of no content that the journal knows
            await b.push()
            await a.pull()
            assert copy.exists()
        async with machine(tmp_path, "a", place) as a:
            assert not copy.exists()
            assert await conflicts_of(a) == []

    asyncio.run(main())


def test_bytes_that_were_kept_outlive_an_agreement(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"one")
            await a.push()
            left = leave(a, "conflicts/data/f", b"an edit")
        async with two_machines(tmp_path, place) as (a, b):
            await b.pull()
            b.write(F, b"two")
            await b.push()
            a.write(F, b"two")
            await a.pull()
            await a.push()
            await a.workspace.background.empty_trash(0.0)
            (shown,) = await conflicts_of(a)
            assert (shown.path, shown.kind) == (F, ConflictKind.KEPT_BYTES)
            assert left.read_bytes() == b"an edit"

    asyncio.run(main())


def test_a_second_file_that_was_placed_before_a_crash_may_have_been_edited(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            await in_conflict(a, b)
            (shown,) = await conflicts_of(a)
            await a.workspace.desks.resolver._place_beside(shown)
            (second,) = (a.cache / "data").glob("f.theirs-*")
            second.write_bytes(b"edited since")
            await a.workspace.desks.resolver.resolve(CachePath(F), Side.BOTH)
            found = sorted(path.read_bytes() for path in (a.cache / "data").iterdir())
            assert found == [b"edited since", b"ours", b"theirs"]

    asyncio.run(main())
