"""A name that is a file here and a directory there: a head never has both (section 4).

The second stays where it is and is shown; a rename ends it, and what is shown ends with it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from swampd.cache.tree import LocalTree
from swampd.domain.entries import Entry
from swampd.domain.states import ConflictKind, PathState
from swampd.domain.values import CachePath, Scope
from swampd.errors import BadRequest
from swampd.indexing import rows
from swampd.syncing import local_ledger
from swampd.syncing.conflicts import Side
from tests.workspace.machines import machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from tests.places.place import Place
    from tests.workspace.machines import Machine

DATA, ROOT = Scope("data"), Scope(".")


async def _shown(one: Machine) -> dict[str, PathState]:
    """What `status` shows of paths."""
    found = await one.workspace.ports.journal.read(local_ledger.states)
    return {path: state for path, _, state, _ in found}


async def _conflicts(one: Machine) -> dict[CachePath, ConflictKind]:
    found = await one.workspace.ports.journal.read(local_ledger.conflicts)
    return {conflict.path: conflict.kind for conflict in found}


async def _live(one: Machine, scope: Scope = DATA) -> set[CachePath]:
    """The entries of a head, as this machine has read it."""
    found = await one.workspace.ports.journal.read(lambda tx: rows.remote_in(tx, scope))
    return {path for path, record in found.items() if isinstance(record, Entry)}


@asynccontextmanager
async def _two(home: Path, place: Place) -> AsyncIterator[tuple[Machine, Machine]]:
    async with machine(home, "a", place) as a, machine(home, "b", place) as b:
        yield a, b


def _run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(work)


# --- the second is a conflict -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [("data/x", "data/x/f"), ("data/x/f", "data/x"), ("data/x", "data/x/deep/er/f")],
)
def test_the_second_name_is_kept_and_not_sent(
    tmp_path: Path, place: Place, first: str, second: str
) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write(first, b"first")
            await a.push()
            b.write(second, b"second")
            b.write("data/other", b"goes on")
            pushed = (await b.push()).done[DATA]
            assert pushed.conflicts == [second]
            assert pushed.sent == 1
            assert not pushed.whole
            assert await _live(b) == {first, "data/other"}
            assert await _conflicts(b) == {second: ConflictKind.NAME_COLLISION}
            assert (b.cache / second).read_bytes() == b"second"
            pulled = (await b.pull()).done[DATA]
            assert pulled.held == {first: PathState.NAME_COLLISION}
            assert await _shown(b) == {
                first: PathState.NAME_COLLISION,
                second: PathState.CONFLICT,
            }
            # Asked again, the answer is the same.
            assert (await b.push()).done[DATA].conflicts == [second]
            with pytest.raises(BadRequest) as told:
                await b.workspace.desks.resolver.resolve(CachePath(second), Side.THEIRS)
            assert "rename" in told.value.hint
            # The way out: one of the two gets another name.
            (b.cache / "data/x").rename(b.cache / "data/y")
            pushed = (await b.push()).done[DATA]
            assert pushed.whole
            assert pushed.sent == 1
            assert await _conflicts(b) == {}
            assert (await b.pull()).done[DATA].whole
            assert await _shown(b) == {}
            assert (await a.pull()).done[DATA].whole
            renamed = second.replace("data/x", "data/y")
            assert await _live(a) == {first, "data/other", renamed}
            assert (a.cache / renamed).read_bytes() == b"second"

    _run(main())


@pytest.mark.parametrize("asked", ["push", "pull"])
def test_a_rename_on_the_other_side_ends_it_too(tmp_path: Path, place: Place, asked: str) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write("data/x", b"first")
            await a.push()
            b.write("data/x/f", b"second")
            assert (await b.push()).done[DATA].conflicts == ["data/x/f"]
            await b.pull()
            (a.cache / "data/x").rename(a.cache / "data/z")
            await a.push()
            if asked == "pull":
                assert (await b.pull()).done[DATA].whole
                assert await _shown(b) == {}
                assert await _conflicts(b) == {}
            assert (await b.push()).done[DATA].whole
            assert await _conflicts(b) == {}
            assert (await b.pull()).done[DATA].whole
            assert await _shown(b) == {}
            assert await _live(b) == {"data/x/f", "data/z"}

    _run(main())


# --- replaced on purpose ------------------------------------------------------------------------


def test_a_file_replaced_by_a_directory_travels_in_one_commit(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write("data/x", b"file")
            await a.push()
            await b.pull()
            (a.cache / "data/x").unlink()
            a.write("data/x/f", b"below")
            a.write("data/x/latest", b"f")
            pushed = (await a.push()).done[DATA]
            assert (pushed.sent, pushed.deleted, pushed.whole) == (2, 1, True)
            assert await _live(a) == {"data/x/f", "data/x/latest"}
            assert (await b.pull()).done[DATA].whole
            assert (b.cache / "data/x/f").read_bytes() == b"below"
            assert await _shown(b) == {}
            # And back again.
            (a.cache / "data/x/f").unlink()
            (a.cache / "data/x/latest").unlink()
            (a.cache / "data/x").rmdir()
            a.write("data/x", b"file again")
            pushed = (await a.push()).done[DATA]
            assert (pushed.sent, pushed.deleted, pushed.whole) == (1, 2, True)
            assert (await b.pull()).done[DATA].whole
            assert (b.cache / "data/x").read_bytes() == b"file again"
            assert await _shown(b) == {}
            assert (a.cache / "data/x").read_bytes() == b"file again"

    _run(main())


def test_an_empty_directory_in_the_place_of_a_file_is_no_delete(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, _):
            a.write("data/x", b"file")
            await a.push()
            (a.cache / "data/x").unlink()
            (a.cache / "data/x").mkdir()
            pushed = (await a.push()).done[DATA]
            assert pushed.held == {"data/x": PathState.NOT_A_FILE}
            assert await _live(a) == {"data/x"}

    _run(main())


def test_what_waits_for_a_delete_that_is_held_back_waits_too(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write("data/v1/x", b"1")
            a.write("data/latest", b"v1")
            await a.push()
            await b.pull()
            a.write("data/latest", b"v2")
            await a.push()
            b.write("data/latest", b"v1\n")
            (b.cache / "data/v1/x").unlink()
            (b.cache / "data/v1").rmdir()
            b.write("data/v1", b"a file")
            for _ in range(2):
                pushed = (await b.push()).done[DATA]
                assert pushed.held["data/v1/x"] is PathState.HELD_BACK
                assert pushed.held["data/v1"] is PathState.HELD_BACK
                assert await _live(b) == {"data/v1/x", "data/latest"}
                await b.pull()
            await b.workspace.desks.resolver.resolve(CachePath("data/latest"), Side.OURS)
            assert (await b.push()).done[DATA].whole
            assert await _live(b) == {"data/v1", "data/latest"}

    _run(main())


def test_an_edit_of_what_became_a_directory_there_is_kept(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write("data/x", b"file")
            await a.push()
            await b.pull()
            (a.cache / "data/x").unlink()
            a.write("data/x/f", b"below")
            await a.push()
            b.write("data/x", b"edited")
            assert (await b.pull()).done[DATA].held == {"data/x/f": PathState.NAME_COLLISION}
            assert (await b.push()).done[DATA].conflicts == ["data/x"]
            assert (b.cache / "data/x").read_bytes() == b"edited"
            (b.cache / "data/x").rename(b.cache / "data/x.mine")
            assert (await b.push()).done[DATA].whole
            assert (await b.pull()).done[DATA].whole
            assert await _shown(b) == {}
            assert await _live(b) == {"data/x/f", "data/x.mine"}

    _run(main())


# --- the root's files and the directories beside them -------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("x", "x/f"), ("x/f", "x")])
def test_a_file_at_the_root_and_a_scope_of_its_name(
    tmp_path: Path, place: Place, first: str, second: str
) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write(first, b"first")
            await a.push()
            b.write("own/f", b"1")
            await b.pull()
            (b.cache / "x").rename(b.cache / "kept")  # what the pull brought gives way here
            await b.push("own")
            b.write(second, b"second")
            scope = ROOT if second == "x" else Scope("x")
            pushed = (await b.push(scope)).done[scope]
            assert pushed.held == {second: PathState.NAME_COLLISION}
            assert not await _live(b, scope)
            assert await _shown(b) == {second: PathState.NAME_COLLISION}
            (b.cache / "x").rename(b.cache / "y")
            await b.push()
            await b.pull()
            assert await _shown(b) == {}

    _run(main())


@pytest.mark.parametrize(("first", "second"), [("x", "x/f"), ("x/f", "x")])
def test_the_second_is_told_from_a_head_that_was_never_read(
    tmp_path: Path, place: Place, first: str, second: str
) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write(first, b"first")
            await a.push()
            b.write(second, b"second")
            scope = ROOT if second == "x" else Scope("x")
            assert (await b.push()).done[scope].held == {second: PathState.NAME_COLLISION}
            assert not await _live(b, scope)

    _run(main())


@pytest.mark.parametrize(("first", "second"), [("x", "x/f"), ("x/f", "x")])
def test_where_both_heads_have_it_each_shows_what_it_has_no_room_for(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write(first, b"first")
            await a.push()
            b.write(second, b"second")
            with monkeypatch.context() as patch:
                patch.setattr("swampd.syncing.nesting.crowded", lambda *_: {})
                await b.push()
            for one, missing in ((a, second), (b, first)):
                for _ in range(2):
                    await one.pull()
                    assert await _shown(one) == {missing: PathState.NAME_COLLISION}
                pushed = await one.push()
                assert all(done.sent == done.deleted == 0 for done in pushed.done.values())
            assert (a.cache / first).read_bytes() == b"first"
            assert (b.cache / second).read_bytes() == b"second"

    _run(main())


# --- a head that has both -----------------------------------------------------------------------


def test_of_a_head_with_both_one_is_placed_and_the_other_is_shown(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write("data/x", b"first")
            await a.push()
            b.write("data/x/f", b"second")
            b.write("data/x/latest", b"f")
            with monkeypatch.context() as patch:
                patch.setattr("swampd.syncing.nesting.crowded", lambda *_: {})
                await b.push()
            assert await _live(b) == {"data/x", "data/x/f", "data/x/latest"}
            below = {"data/x/f", "data/x/latest"}
            async with machine(tmp_path, "c", place) as c:
                for _ in range(2):
                    pulled = (await c.pull("data")).done[DATA]
                    assert pulled.held == dict.fromkeys(below, PathState.NAME_COLLISION)
                    assert (c.cache / "data/x").read_bytes() == b"first"
                c.write("data/x", b"edited")
                assert (await c.push()).done[DATA].sent == 1
                assert (await b.pull()).done[DATA].held == {"data/x": PathState.NAME_COLLISION}
                (b.cache / "data/x").rename(b.cache / "data/y")
                assert (await b.push()).done[DATA].whole
                assert (await b.pull()).done[DATA].whole
                assert (await c.pull()).done[DATA].whole
                assert await _shown(c) == {}
                assert (c.cache / "data/y/f").read_bytes() == b"second"
                assert (b.cache / "data/x").read_bytes() == b"edited"

    _run(main())


# --- what is shown ends with its reason ---------------------------------------------------------


def test_a_collision_of_letter_case_is_not_shown_when_it_is_over(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write("data/readme", b"small")
            a.write("data/README", b"large")
            await a.push()
            monkeypatch.setattr(LocalTree, "folds_names", True)
            await b.pull()
            assert set((await _shown(b)).values()) == {PathState.NAME_COLLISION}
            (a.cache / "data/readme").rename(a.cache / "data/small")
            (a.cache / "data/README").rename(a.cache / "data/large")
            await a.push()
            assert (await b.pull()).done[DATA].whole
            assert await _shown(b) == {}

    _run(main())


def test_what_a_pull_holds_is_still_shown_after_a_push(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with _two(tmp_path, place) as (a, b):
            a.write("data/v1/x", b"1")
            a.write("data/latest", b"v1")
            await a.push()
            place.delete("data/v1/x")
            await b.pull()
            before = await _shown(b)
            assert before == {
                "data/v1/x": PathState.MISSING,
                "data/latest": PathState.HELD_BACK,
            }
            b.write("data/own", b"2")
            await b.push()
            assert await _shown(b) == before
            a.write("data/v1/x", b"another")
            await a.push()
            assert (await b.pull()).done[DATA].whole
            assert await _shown(b) == {}

    _run(main())
