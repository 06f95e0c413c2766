"""Bytes that somebody still writes are kept, a halted scope is left alone, one bad object is one
path's trouble."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.states import ConflictKind, Halt, PathState
from swampd.domain.values import CachePath, Scope, Sha256
from swampd.errors import BadRequest, LowSpace, OutcomeUnknown, StoreDenied, StoreUnavailable
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.ports import FileRead, ReadProblem
from swampd.syncing import local_ledger, rolling
from swampd.syncing.conflicts import ConflictKeeper, Side
from swampd.syncing.local_ledger import Placement, Trashed
from swampd.syncing.trash import PATIENCE_S
from tests.places.choice import folder_only
from tests.workspace.machines import bytes_kept, conflicts_of, machine, replace_get

if TYPE_CHECKING:
    from pathlib import Path

    from swampd.ports import Transaction
    from tests.places.folder import FolderPlace
    from tests.places.place import Place
    from tests.workspace.machines import Machine

F = CachePath("d/f")
D = Scope("d")
NAME = "e" * 32


def answering(monkeypatch: pytest.MonkeyPatch, one: Machine, method: str, answer: object) -> None:
    """Let the tree answer this, as for a file that is written to while it is read."""
    monkeypatch.setattr(one.workspace.ports.tree, method, lambda _name: answer)


# --- trash and tmp ------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [ReadProblem.BUSY, ReadProblem.UNREADABLE])
def test_trash_that_cannot_be_read_whole_stays_and_is_kept_in_the_end(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, problem: ReadProblem
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            ports = a.workspace.ports
            (a.cache / ".swampd/trash" / NAME).write_bytes(b"still written")
            now = ports.clock.now()
            row = Trashed(NAME, F, Sha256("0" * 64), now, ports.clock.boot_id)
            await ports.journal.write(lambda tx: local_ledger.note_trash(tx, row))
            answering(monkeypatch, a, "hash_trash", problem)
            await a.workspace.background.empty_trash(0.0)
            assert (a.cache / ".swampd/trash" / NAME).exists()
            assert await ports.journal.read(local_ledger.trashed) == [row]

            late = Trashed(NAME, F, row.sha256, now - PATIENCE_S, row.boot_id)
            await ports.journal.write(lambda tx: local_ledger.note_trash(tx, late))
            await a.workspace.background.empty_trash(0.0)
            assert bytes_kept(a) == [b"still written"]
            assert [c.path for c in await conflicts_of(a)] == [F]
            assert await ports.journal.read(local_ledger.trashed) == []

    asyncio.run(main())


def test_trash_that_is_the_same_or_gone_goes(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            ports = a.workspace.ports
            (a.cache / ".swampd/trash" / NAME).write_bytes(b"same")
            read = ports.tree.hash_trash(NAME)
            assert isinstance(read, FileRead)
            boot_id = ports.clock.boot_id
            found = [Trashed(name, F, read.sha256, 0.0, boot_id) for name in (NAME, "f" * 32)]

            def note(tx: Transaction) -> None:
                for row in found:
                    local_ledger.note_trash(tx, row)

            await ports.journal.write(note)
            await a.workspace.background.empty_trash(0.0)
            assert list((a.cache / ".swampd/trash").iterdir()) == []
            assert await ports.journal.read(local_ledger.trashed) == []
            assert await conflicts_of(a) == []

    asyncio.run(main())


def test_trash_of_another_boot_that_cannot_be_read_has_its_time_from_now_on(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            ports = a.workspace.ports
            (a.cache / ".swampd/trash" / NAME).write_bytes(b"still written")
            row = Trashed(NAME, F, Sha256("0" * 64), 1e12, "another boot")  # type: ignore[arg-type]
            await ports.journal.write(lambda tx: local_ledger.note_trash(tx, row))
            answering(monkeypatch, a, "hash_trash", ReadProblem.BUSY)
            await a.workspace.background.empty_trash(0.0)
            (left,) = await ports.journal.read(local_ledger.trashed)
            assert left.boot_id == ports.clock.boot_id
            assert left.at <= ports.clock.now()

    asyncio.run(main())


@pytest.mark.parametrize("problem", [ReadProblem.BUSY, ReadProblem.UNREADABLE])
def test_after_a_crash_what_cannot_be_read_whole_is_kept(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, problem: ReadProblem
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            ports, desks = a.workspace.ports, a.workspace.desks
            (a.cache / ".swampd/tmp" / NAME).write_bytes(b"still written")
            intent = Placement(NAME, F, Sha256("0" * 64), Sha256("1" * 64))
            await ports.journal.write(lambda tx: local_ledger.begin_placements(tx, [intent]))
            answering(monkeypatch, a, "hash_tmp", problem)
            await rolling.roll_forward(desks.sync, desks.bases, ConflictKeeper(desks.sync))
            assert bytes_kept(a) == [b"still written"]
            assert [c.kind for c in await conflicts_of(a)] == [ConflictKind.KEPT_BYTES]

    asyncio.run(main())


# --- kept bytes ---------------------------------------------------------------------------------


async def keep_bytes(one: Machine, content: bytes) -> None:
    """Swap out bytes that nobody planned for."""
    tree = one.workspace.ports.tree
    with tree.write_tmp(NAME, x=False) as sink:
        sink(content)
    copy = tree.tmp_to_conflicts(NAME, F)
    await ConflictKeeper(one.workspace.desks.sync).keep_bytes(D, F, copy)


def test_bytes_kept_twice_are_both_listed_and_can_both_be_had(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"mine")
            await keep_bytes(a, b"one")
            await keep_bytes(a, b"two")
            await keep_bytes(a, b"three")
            found = await conflicts_of(a)
            assert len({c.path for c in found}) == 3
            assert len({c.copy for c in found}) == 3
            for conflict in found:
                await a.workspace.desks.resolver.resolve(conflict.path, Side.THEIRS)
            files = {p.read_bytes() for p in (a.cache / "d").iterdir()}
            assert files == {b"one", b"two", b"three"}
            assert await conflicts_of(a) == []

    asyncio.run(main())


def test_another_conflict_of_the_path_drops_no_kept_bytes(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await keep_bytes(a, b"one")
            keeper = ConflictKeeper(a.workspace.desks.sync)
            await keeper.keep(D, F, ConflictKind.NAME_COLLISION, None)
            assert bytes_kept(a) == [b"one"]
            assert [c.kind for c in await conflicts_of(a)] == [ConflictKind.KEPT_BYTES]

    asyncio.run(main())


# --- a commit that has landed -------------------------------------------------------------------


def test_a_commit_is_committed_though_a_staged_copy_cannot_be_deleted(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1" * 9000)
            await a.push()
            a.write(F, b"2" * 9000)
            await a.push()
            a.write("d/g", b"3")
            store = a.store._store
            real = store.delete

            async def away(key: Any) -> Any:
                if "/staged/" in key:
                    raise StoreUnavailable("away", "")
                return await real(key)

            store.delete = away
            assert (await a.push("d")).done[D].sent == 1

    asyncio.run(main())


def test_a_commit_whose_head_cannot_be_adopted_is_unknown_and_found_later(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            a.write(F, b"2")

            async def broken(*_args: object) -> None:
                raise StoreUnavailable("away", "")

            with monkeypatch.context() as patch:
                patch.setattr(a.workspace.writer, "adopt_own", broken)
                with pytest.raises(OutcomeUnknown):
                    await a.push("d")
            await a.pull("d")
            assert (await a.push("d")).done[D].sent == 0
            assert (a.cache / F).read_bytes() == b"2"

    asyncio.run(main())


# --- a halted scope -----------------------------------------------------------------------------


async def push_unmirrored(one: Machine, content: bytes) -> None:
    """Push a file whose plain key the store does not take."""
    one.write(F, content)
    store = one.store._store
    real = store.replace

    async def away(key: Any, *args: Any) -> Any:
        if key == one.workspace.ports.keys.payload(F):
            raise StoreUnavailable("away", "")
        return await real(key, *args)

    store.replace = away
    assert (await one.push("d")).done[D].mirror_pending == 1
    store.replace = real


def test_a_halted_scope_is_not_settled(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            await push_unmirrored(a, b"2")
            journal, desks = a.workspace.ports.journal, a.workspace.desks
            halt = Halt.HEAD_WENT_BACK
            await journal.write(lambda tx: heads_ledger.note_halt(tx, D, halt, "of a test"))
            a.store.reset()
            assert await desks.settle(D) == 0
            assert a.store.total == 0
            assert place.read(F) == b"1"
            await journal.write(lambda tx: heads_ledger.lift_halt(tx, D, halt))
            await desks.settle(D)
            assert place.read(F) == b"2"

    asyncio.run(main())


# --- one bad object -----------------------------------------------------------------------------


@folder_only
def test_an_object_that_the_store_refuses_holds_its_path_only(
    tmp_path: Path, place: FolderPlace
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write(F, b"1")
            a.write("d/g", b"1")
            await a.push()
            place.delete(F)
            (place.root / F).symlink_to("/etc/passwd")
            pulled = (await b.pull()).done[D]
            assert not pulled.whole
            assert "link" in pulled.failed[F]
            assert (b.cache / "d/g").read_bytes() == b"1"

    asyncio.run(main())


def test_an_object_that_may_not_be_read_holds_its_path_only(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write(F, b"1")
            a.write("d/g", b"1")
            await a.push()
            real = b.store._store.get

            async def denied(key: Any, **options: Any) -> Any:
                if key == b.workspace.ports.keys.payload(F):
                    raise StoreDenied("not this one", "")
                return await real(key, **options)

            replace_get(b, denied)
            assert (await b.pull()).done[D].failed == {F: "not this one"}
            assert (b.cache / "d/g").read_bytes() == b"1"

    asyncio.run(main())


# --- a foreign object ---------------------------------------------------------------------------


async def push_over_foreign(one: Machine, place: Place) -> None:
    place.write_foreign(F, b"foreign")
    one.write(F, b"2")
    assert (await one.push("d")).done[D].mirror_pending == 1
    assert [c.kind for c in await conflicts_of(one)] == [ConflictKind.FOREIGN_OBJECT]
    assert place.read(F) == b"foreign"


def test_a_foreign_object_met_by_the_mirror_is_a_conflict_with_a_way_out(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            await push_over_foreign(a, place)
            place.delete(F)
            await a.workspace.desks.resolver.resolve(F, Side.OURS)
            a.write(F, b"3")
            assert (await a.push("d")).done[D].mirror_pending == 0
            assert place.read(F) == b"3"

    asyncio.run(main())


def test_a_foreign_object_that_was_moved_away_is_no_conflict_any_more(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            await push_over_foreign(a, place)
            place.delete(F)
            await a.workspace.desks.settle(D)
            assert place.read(F) == b"2"
            assert await conflicts_of(a) == []
            states = await a.workspace.ports.journal.read(local_ledger.states)
            assert PathState.CONFLICT not in [state for _, _, state, _ in states]

    asyncio.run(main())


def test_a_foreign_object_takes_no_other_conflict_away(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            await push_unmirrored(a, b"2")
            await keep_bytes(a, b"mine")
            place.write_foreign(F, b"foreign")
            await a.workspace.desks.settle(D)
            assert [c.kind for c in await conflicts_of(a)] == [ConflictKind.KEPT_BYTES]

    asyncio.run(main())


@pytest.mark.parametrize("edit", [None, b"newer"])
def test_a_decision_that_the_disk_has_no_room_for_leaves_both_contents(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, edit: bytes | None
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"mine")
            await keep_bytes(a, b"kept")

            def full(_name: str) -> None:
                if edit is not None:
                    a.write(F, edit)
                raise OSError(errno.ENOSPC, "full")

            with monkeypatch.context() as patch:
                patch.setattr(a.workspace.ports.tree, "tmp_to_trash", full)
                with pytest.raises(LowSpace):
                    await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            assert (a.cache / F).read_bytes() == b"mine"
            kept = [b"kept"] if edit is None else [b"kept", edit]
            assert bytes_kept(a) == kept
            assert len(await conflicts_of(a)) == len(kept)
        async with machine(tmp_path, "a", place) as a:
            await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            assert (a.cache / F).read_bytes() == b"kept"

    asyncio.run(main())


def test_an_edit_in_the_moment_of_a_decision_stays(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"mine")
            await keep_bytes(a, b"kept")
            tree = a.workspace.ports.tree
            exchange = tree.exchange

            def edited(name: str, path: CachePath) -> Any:
                monkeypatch.undo()
                a.write(F, b"newer")
                return exchange(name, path)

            monkeypatch.setattr(tree, "exchange", edited)
            with pytest.raises(BadRequest, match="edited meanwhile"):
                await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            assert (a.cache / F).read_bytes() == b"newer"
            assert [c.path for c in await conflicts_of(a)] == [F]
            await a.workspace.desks.resolver.resolve(F, Side.THEIRS)
            assert (a.cache / F).read_bytes() == b"kept"
            assert len(await a.workspace.ports.journal.read(local_ledger.trashed)) == 1

    asyncio.run(main())


def test_kept_bytes_stay_listed_when_join_mode_begins(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/g", b"1")
            await a.push()
            await keep_bytes(a, b"one")
            (a.cache / ".swampd/cache-id").unlink()
            assert not await a.workspace.desks.bases.check()
            (found,) = await conflicts_of(a)
            assert found.path == F
            (a.cache / ".swampd/cache-id").unlink()
            (a.cache / str(found.copy)).unlink()
            assert not await a.workspace.desks.bases.check()
            assert await conflicts_of(a) == []

    asyncio.run(main())


# --- a disk that is full ------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
def test_a_decision_that_the_disk_does_not_let_be_carried_out_leaves_the_conflict(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, side: Side
) -> None:
    def full(*_args: object, **_named: object) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write("d/f", b"theirs")
            await a.push("d")
            b.write("d/f", b"ours")
            await b.pull("d")
            assert [c.path for c in await conflicts_of(b)] == [F]
            for method in ("write_tmp", "write_marker"):
                monkeypatch.setattr(b.workspace.ports.tree, method, full)
            with pytest.raises(LowSpace):
                await b.workspace.desks.resolver.resolve(F, side)
            assert [c.path for c in await conflicts_of(b)] == [F]
            monkeypatch.undo()
            await b.workspace.desks.resolver.resolve(F, side)
            assert not await conflicts_of(b)

    asyncio.run(main())


# --- a cache that is replaced while somebody works ------------------------------------------------


@pytest.mark.parametrize("command", ["pull", "push"])
def test_what_was_seen_in_a_cache_says_nothing_of_the_one_that_replaced_it(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            b.write(F, b"the head's")
            await b.push("d")
            a.write(F, b"the head's")
            bases, worker = a.workspace.desks.bases, getattr(a.workspace.desks, f"_{command}er")
            real = worker._plan

            async def plan(*args: Any) -> Any:
                """Planned in one cache, carried out in another."""
                made = await real(*args)
                monkeypatch.undo()
                a.write(F, b"of the other cache")
                (a.cache / ".swampd/cache-id").unlink()
                assert not await bases.check()
                return made

            await a.pull("d")
            await a.workspace.ports.journal.write(rows.drop_all_bases)
            await a.workspace.ports.journal.write(
                lambda tx: rows.note_applied_or_not(tx, Scope("d"), {F: rows.remote(tx, F)})
            )
            monkeypatch.setattr(worker, "_plan", plan)
            await getattr(a, command)("d")
            assert (a.cache / F).read_bytes() == b"of the other cache"
            assert [c.path for c in await conflicts_of(a)] == [F]

    asyncio.run(main())
