"""What a crash left in the private area without a word in the journal is listed at the start."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.states import ConflictKind
from swampd.domain.values import CachePath, Sha256
from swampd.syncing import leftovers, local_ledger
from swampd.syncing.conflicts import Side
from tests.workspace.machines import conflicts_of, machine, two_machines

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
            assert await a.workspace.ports.journal.read(local_ledger.dropped_copies) == {}

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


# --- another disk, another file -------------------------------------------------------------------


def everywhere(cache: Path) -> list[bytes]:
    return [path.read_bytes() for path in cache.rglob("*") if path.is_file()]


async def over(a: Machine, b: Machine) -> str:
    """A conflict that ended by itself; the place of its copy, which is to go."""
    await in_conflict(a, b)
    a.write(F, b"theirs")
    await a.push()
    (copy,) = await a.workspace.ports.journal.read(local_ledger.dropped_copies)
    return copy


def test_kept_bytes_outlive_a_start_without_their_disk(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"one")
            await a.push()
            leave(a, f"conflicts/{F}", b"an edit")
        async with machine(tmp_path, "a", place) as a:
            assert len(await conflicts_of(a)) == 1
        a.cache.rename(tmp_path / "unmounted")
        async with machine(tmp_path, "a", place) as a:  # an empty mount point
            await a.push()
        shutil.rmtree(a.cache)
        (tmp_path / "unmounted").rename(a.cache)
        async with machine(tmp_path, "a", place) as a:
            await a.push()
            assert b"an edit" in everywhere(a.cache)
        async with machine(tmp_path, "a", place) as a:
            assert b"an edit" in everywhere(a.cache)
            assert [c.kind for c in await conflicts_of(a)] == [ConflictKind.KEPT_BYTES]

    asyncio.run(main())


def test_what_came_out_outlives_a_start_without_its_disk(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"one")
            await a.push()
            intent = local_ledger.Placement(UNLISTED, CachePath(F), Sha256("1" * 64), None)
            await a.workspace.ports.journal.write(
                lambda tx: local_ledger.begin_placements(tx, [intent])
            )
            leave(a, f"tmp/{UNLISTED}", b"an edit")
        a.cache.rename(tmp_path / "unmounted")
        async with machine(tmp_path, "a", place):  # no command at all
            pass
        shutil.rmtree(a.cache)
        (tmp_path / "unmounted").rename(a.cache)
        async with machine(tmp_path, "a", place) as a:
            assert b"an edit" in everywhere(a.cache)
            assert [c.kind for c in await conflicts_of(a)] == [ConflictKind.KEPT_BYTES]

    asyncio.run(main())


def test_a_name_that_was_taken_again_is_not_the_copy_that_is_to_go(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        image, real = tmp_path / "image", leftovers._drop
        async with two_machines(tmp_path, place) as (a, b):
            await over(a, b)
            sync = a.workspace.desks.sync

            def drop(*args: Any) -> list[str]:
                gone = real(*args)
                leave(a, "tmp/x", b"an edit")
                sync.tree.tmp_to_conflicts("x", CachePath(F))
                shutil.copytree(tmp_path / "a", image / "a")  # as if it were killed here
                return gone

            monkeypatch.setattr(leftovers, "_drop", drop)
            await leftovers.drop_copies(sync)
            monkeypatch.undo()
        async with machine(image, "a", place) as a:
            assert b"an edit" in everywhere(a.cache)
            assert [c.kind for c in await conflicts_of(a)] == [ConflictKind.KEPT_BYTES]

    asyncio.run(main())


def test_a_copy_that_cannot_go_fails_nobody_else(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_place: str) -> None:
        raise PermissionError("not yours")

    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            copy = await over(a, b)
            for path in ("out/f", "out/g"):
                b.write(path, b"theirs")
            await b.push()
            a.write("out/f", b"ours")
            monkeypatch.setattr(a.workspace.ports.tree, "drop_conflict", refused)
            await a.pull("out")
            assert (a.cache / "out/g").read_bytes() == b"theirs"
            await a.workspace.background.empty_trash(0.0)
            assert copy in await a.workspace.ports.journal.read(local_ledger.dropped_copies)
            monkeypatch.undo()
            (a.cache / copy).unlink()
            (a.cache / copy).mkdir()
        async with machine(tmp_path, "a", place) as a:
            assert await a.workspace.ports.journal.read(local_ledger.dropped_copies) == {}

    asyncio.run(main())
