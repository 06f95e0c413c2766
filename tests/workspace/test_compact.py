"""`compact`: what no head names goes, all else stays, and a second run changes nothing."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from swampd import upkeep
from swampd.domain.entries import Tombstone
from swampd.domain.heads import FORGET_AFTER_MS
from swampd.domain.layout import CONTROL
from swampd.domain.metadata import PayloadMark, payload_metadata
from swampd.domain.outcomes import Rejected
from swampd.domain.states import Halt
from swampd.domain.values import CachePath, Epoch, Scope, Sha256, Wid
from swampd.errors import LockBusy, LockTimeout
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.locking.holds import Owner
from swampd.workspace import Asker
from tests.places.choice import on_each
from tests.workspace.machines import machine, two_machines

if TYPE_CHECKING:
    from pathlib import Path

    from swampd.syncing.unnamed import Compacted
    from tests.places.place import Place
    from tests.workspace.machines import Machine

DIGEST = Sha256("0" * 64)
STAGED, MANIFESTS = f"{CONTROL}/staged/", f"{CONTROL}/manifests/"


async def compact(one: Machine, **more: Any) -> Compacted:
    return await upkeep.compact(one.workspace, one.asker, **more)


async def plant(one: Machine, path: str, body: bytes = b"orphan") -> None:
    """An object of a push that crashed: swampd's, and no head names it."""
    of = CachePath(path)
    mark = PayloadMark(Wid("a" * 32), Epoch(1), DIGEST)
    key = one.workspace.ports.keys.payload(of)
    await one.store._store.create(key, body, payload_metadata(of, mark))


async def plant_control(one: Machine) -> None:
    """A staged copy and a manifest that no head names."""
    keys = one.workspace.ports.keys
    await one.store._store.create(keys.staged(Wid("b" * 32)), b"staged", {})
    await one.store._store.create(keys.manifest(Wid("c" * 32)), b"manifest", {})


def counts(done: Compacted) -> tuple[int, int, int, int]:
    return done.orphans, done.staged, done.manifests, done.tombstones


def without_locks(place: Place) -> dict[str, bytes | None]:
    """All objects but the lock records."""
    keys = place.keys()
    return {key: place.find(key) for key in keys if "/locks/" not in key}


@on_each
def test_what_no_head_names_goes_and_all_else_stays(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("data/x/f", b"1")
            a.write("data/x/g", b"2" * 5000)
            a.write("top.txt", b"3")
            await a.push()
            hold = await a.workspace.lock(["data/x"], a.asker)  # a scope of its own
            a.write("data/x/g", b"4" * 5000)  # staged, and named by the head
            await a.push()
            await a.workspace.release(hold)
            for path in ("data/orphan", "data/x/orphan", "new/orphan", "orphan.txt"):
                await plant(a, path)
            await plant_control(a)
            place.write_foreign("data/foreign", b"somebody's")
            place.write_foreign("_control/other/thing", b"somebody's")
            place.write_foreign("_index/of-another-tool", b"somebody's")
            before = await compact(a, dry_run=True)
            assert place.find("data/orphan") is not None
            done = await compact(a)
            assert counts(done) == counts(before)
            assert (done.orphans, done.staged, done.foreign) == (4, 1, 1)
            assert done.manifests >= 1
            assert done.left == before.left == {}
            assert done.size == before.size
            assert sorted(place.plain_keys()) == [
                *("_index/of-another-tool", "data/foreign", "data/x/f", "data/x/g", "top.txt"),
            ]
            assert place.find(f"{STAGED}{'b' * 32}") is None
            assert place.find(f"{MANIFESTS}{'c' * 32}.json.gz") is None
            assert place.find("_control/other/thing") == b"somebody's"
            await b.pull()
            assert (b.cache / "data/x/g").read_bytes() == b"4" * 5000
            assert not (b.cache / "data/orphan").exists()
            async with machine(tmp_path, "c", place) as c:
                await c.pull()
                assert (c.cache / "data/x/f").read_bytes() == b"1"
                assert (c.cache / "top.txt").read_bytes() == b"3"

    asyncio.run(main())


@on_each
def test_a_second_run_changes_nothing(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/f", b"1")
            await a.push()
            await plant(a, "data/orphan")
            await plant_control(a)
            await compact(a)
            before = without_locks(place)
            done = await compact(a)
            assert counts(done) == (0, 0, 0, 0)
            assert done.size == 0
            assert without_locks(place) == before

    asyncio.run(main())


def test_what_a_push_that_crashed_had_sent_is_pushed_again_afterwards(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            b.write("data/f", b"mine")
            await plant(a, "data/f", b"mine")
            assert counts(await compact(a))[0] == 1
            assert place.find("data/f") is None
            await b.push()
            assert (b.cache / "data/f").read_bytes() == b"mine"
            await a.pull()
            assert (a.cache / "data/f").read_bytes() == b"mine"
            assert place.find("data/f") == b"mine"

    asyncio.run(main())


def test_a_path_that_is_in_doubt_is_left(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/f", b"1")
            await a.push()
            await plant(a, "data/orphan")
            await a.workspace.ports.journal.write(partial(_with_request, path="data/orphan"))
            done = await compact(a)
            assert done.orphans == 0
            assert "may still land" in done.left[Scope("data")]
            assert place.find("data/orphan") is not None

    asyncio.run(main())


def _with_request(tx: Any, path: str) -> None:
    tx.execute(
        "INSERT INTO request (kind, path, wid, sha256, epoch, sent_at, boot_id)"
        " VALUES ('put', ?, ?, ?, 1, 1e12, 'boot')",
        (path, "d" * 32, DIGEST),
    )


def test_a_scope_that_is_held_is_waited_for_and_nothing_goes_beside_its_holder(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("data/f", b"1")
            await a.push()
            await b.pull()
            hold = await b.workspace.lock(["data"], b.asker)
            await plant_control(a)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(compact(a))
                b.write("data/g", b"2" * 5000)
                await b.push("data")
                assert not running.done()
                assert place.find(f"{STAGED}{'b' * 32}") == b"staged"
                await b.workspace.release(hold)
            assert counts(running.result())[1] == 1
            await a.pull()
            assert (a.cache / "data/g").read_bytes() == b"2" * 5000

    asyncio.run(main())


def test_while_a_scope_is_halted_no_staged_copy_or_manifest_goes(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/f", b"1")
            a.write("out/f", b"1")
            await a.push()
            await plant(a, "data/orphan")
            await plant(a, "out/orphan")
            await plant_control(a)
            await a.workspace.ports.journal.write(
                lambda tx: heads_ledger.note_halt(tx, Scope("data"), Halt.HEAD_DAMAGED, "it is")
            )
            done = await compact(a)
            assert done.left.keys() == {Scope("data"), Scope("*")}
            assert counts(done) == (1, 0, 0, 0)
            assert place.find("data/orphan") is not None
            assert place.find(f"{STAGED}{'b' * 32}") is not None

    asyncio.run(main())


def test_old_tombstones_are_dropped_and_nothing_comes_back(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            for number in range(30):
                a.write(f"data/f{number}", b"%d" % number)
            await a.push()
            await b.pull()
            for number in range(20):
                (a.cache / f"data/f{number}").unlink()
            await a.push(allow_deletes=True)
            clock = a.workspace.ports.clock
            real = clock.wall_ms
            clock.wall_ms = lambda: real() + FORGET_AFTER_MS + 1000  # type: ignore[method-assign]
            done = await compact(a)
            assert done.tombstones == 20
            records = await a.workspace.ports.journal.read(
                lambda tx: rows.remote_in(tx, Scope("data"))
            )
            assert not [r for r in records.values() if isinstance(r, Tombstone)]
            assert counts(await compact(a)) == (0, 0, 0, 0)
            await b.pull(allow_deletes=True)
            await b.push()
            await a.pull()
            for one in (a, b):
                assert len(list((one.cache / "data").iterdir())) == 10

    asyncio.run(main())


def test_a_zombies_late_commit_cannot_name_what_was_deleted(tmp_path: Path, place: Place) -> None:
    """It had sent a manifest for a scope without a head; the claim makes the head first."""

    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write("data/f", b"1")
            await a.push()
            hold = await b.workspace.lock(["new"], b.asker, pull=False)
            await b.workspace.release(hold)
            await b.until_free(Scope("new"))
            await plant_control(a)
            head = a.workspace.ports.keys.head(Scope("new"))
            place.delete(str(head).removeprefix(place.prefix + "/") if place.prefix else str(head))
            await compact(a)
            late = await b.store._store.create(head, b"a late first head", {})
            assert isinstance(late, Rejected)

    asyncio.run(main())


def test_who_holds_something_is_told_so(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/f", b"1")
            await a.push()
            await a.workspace.lock(["data"], a.asker)
            with pytest.raises((LockBusy, LockTimeout)):
                await upkeep.compact(a.workspace, Asker(Owner("somebody else"), wait_s=0.5))

    asyncio.run(main())
