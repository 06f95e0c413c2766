"""Push and pull between two machines where something gets in the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from swampd.cache import scanning
from swampd.cache.tree import LocalTree
from swampd.domain.leases import HORIZON_S
from swampd.domain.metadata import PayloadMark
from swampd.domain.outcomes import Applied
from swampd.domain.states import PathState
from swampd.domain.values import CachePath, Scope, Sha256, Wid
from swampd.errors import LockLost, StoreDenied, StoreUnavailable
from swampd.reporting import report
from swampd.syncing import ledger, local_ledger
from swampd.syncing.pushing import PushKind
from swampd.syncing.requests import AHEAD_S, Fresh, PlainKeys
from tests.places.choice import folder_only
from tests.workspace.machines import machine, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from swampd.ports import Transaction
    from tests.places.place import Place
    from tests.workspace.machines import Machine

D = Scope("d")


# --- a commit that is made is told as made ------------------------------------------------------


@pytest.mark.parametrize("error", [StoreDenied("no", ""), StoreUnavailable("away", "")])
def test_a_mirror_that_fails_does_not_fail_the_push(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/f", b"1")
            await a.push()
            a.write("d/f", b"2")

            async def refuse(*_: Any) -> None:
                raise error

            with monkeypatch.context() as patch:
                patch.setattr(a.store._store, "replace", _but_control(a, refuse))
                pushed = (await a.push("d")).done[D]
            assert pushed.kind is PushKind.COMMITTED
            assert pushed.mirror_pending == 1
            assert place.read("d/f") == b"1"
            a.write("d/g", b"3")
            assert (await a.push("d")).done[D].mirror_pending == 0
            assert place.read("d/f") == b"2"

    asyncio.run(main())


def _but_control(one: Machine, instead: Callable[..., Any]) -> Callable[..., Any]:
    real = one.store._store.replace

    async def call(key: str, *rest: Any) -> Any:
        return await (real if "/_control/" in f"/{key}" else instead)(key, *rest)

    return call


# --- join mode ----------------------------------------------------------------------------------


def test_a_push_that_finds_another_cache_claims_before_it_looks(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/f", b"1")
            await a.push()
            (a.cache / ".swampd/cache-id").unlink()
            a.write("d/new", b"2")
            assert (await a.push("d")).done[D].sent == 1
            journal = a.workspace.ports.journal
            assert await journal.read(lambda tx: local_ledger.join_claimed(tx, D))

    asyncio.run(main())


@pytest.mark.parametrize("path", ["root.txt", "d/f"])
def test_a_file_that_joins_and_is_gone_before_its_scope_has_a_head_is_out_of_join_mode(
    tmp_path: Path, place: Place, path: str
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(path, b"1")
            (a.cache / ".swampd/cache-id").unlink(missing_ok=True)
            assert not await a.workspace.desks.bases.check()
            journal = a.workspace.ports.journal
            assert await journal.read(local_ledger.joining) == {path}
            (a.cache / path).unlink()
            if (a.cache / "d").exists():
                (a.cache / "d").rmdir()
            await a.push()
            await a.pull()
            assert await journal.read(local_ledger.joining) == set()
            a.store.reset()
            await a.push()
            assert a.store.total == 0

    asyncio.run(main())


# --- what could not be looked at ----------------------------------------------------------------


def test_an_unreadable_directory_holds_back_its_pointer(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = scanning._list

    def deny(root: Any, path: CachePath, prune: Any) -> Any:
        if path == "d/v2/dark":
            raise PermissionError(13, "denied")
        return real(root, path, prune)

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/v2/dark/x", b"1")
            a.write("d/v2/latest", b"dark")
            a.write("d/v1/x", b"1")
            a.write("d/latest", b"v2")
            with monkeypatch.context() as patch:
                patch.setattr(scanning, "_list", deny)
                pushed = (await a.push("d")).done[D]
            assert pushed.sent == 1
            assert pushed.held == {
                "d/v2/dark": PathState.UNREADABLE,
                "d/v2/latest": PathState.HELD_BACK,
                "d/latest": PathState.HELD_BACK,
            }
            assert (await a.push("d")).done[D].whole
            assert place.find("d/latest") is not None

    asyncio.run(main())


def test_a_name_that_cannot_travel_holds_back_the_pointer_to_its_directory(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/v2/a\\b", b"1")
            a.write("d/v2/ok", b"1")
            a.write("d/v1/a\\b", b"1")
            a.write("d/v1/ok", b"1")
            a.write("d/latest", b"v2")
            pushed = (await a.push("d")).done[D]
            assert pushed.sent == 1
            assert pushed.held == dict.fromkeys(("d/latest", "d/v2/ok"), PathState.HELD_BACK)
            (a.cache / "d/v2/a\\b").unlink()
            assert (await a.push("d")).done[D].whole

    asyncio.run(main())


def test_names_that_are_never_synced_are_counted(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            for path in ("d/.lock", "d/x/_catalog.db", "d/f", "e/.lock", "e/f"):
                a.write(path, b"1")
            await a.push()
            assert (await report(a.workspace)).never_synced == 3
            (a.cache / "d/.lock").unlink()
            (a.cache / "e/.lock").unlink()
            await a.push()
            assert (await report(a.workspace)).never_synced == 1

    asyncio.run(main())


# --- a file that is written meanwhile -----------------------------------------------------------


def _meanwhile(monkeypatch: pytest.MonkeyPatch, path: str, acts: list[partial[None]]) -> None:
    """Before each read of the uploader, one of these happens."""
    real = LocalTree.read_each

    def read_each(self: LocalTree, paths: Iterable[CachePath], *, keep: bool) -> Any:
        asked = list(paths)
        if path in asked and keep and acts:
            acts.pop(0)()
        return real(self, asked, keep=keep)

    monkeypatch.setattr(LocalTree, "read_each", read_each)


def test_an_edit_between_survey_and_upload_is_planned_again(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/f", b"1")
            await a.push()
            for path, before in (("d/f", b"2"), ("d/new", b"1")):
                a.write(path, before)
                edits = [partial(a.write, path, b"edit %d" % n) for n in (1, 2)]
                _meanwhile(monkeypatch, path, edits)
                pushed = (await a.push("d")).done[D]
                assert pushed.whole
                assert pushed.sent == 1
                assert place.read(path) == b"edit 2"
            assert (await a.push("d")).done[D].kind is PushKind.NOTHING

    asyncio.run(main())


def test_a_file_that_never_rests_is_busy_and_the_rest_is_sent(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/f", b"0")
            a.write("d/g", b"0")
            edits = [partial(a.write, "d/f", b"edit %d" % n) for n in range(3)]
            _meanwhile(monkeypatch, "d/f", edits)
            pushed = (await a.push("d")).done[D]
            assert pushed.held == {"d/f": PathState.BUSY}
            assert pushed.sent == 1
            assert place.find("d/f") is None

    asyncio.run(main())


def test_an_edit_that_is_taken_back_meanwhile_is_not_sent(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/f", b"1")
            await a.push()
            a.write("d/f", b"2")
            _meanwhile(monkeypatch, "d/f", [partial(a.write, "d/f", b"1")])
            pushed = (await a.push("d")).done[D]
            assert pushed.kind is PushKind.NOTHING
            assert pushed.whole

    asyncio.run(main())


# --- a key that the store refuses ---------------------------------------------------------------


@folder_only
def test_one_refused_key_does_not_fail_the_rest(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            place.write_foreign("d/k", b"foreign")
            a.write("d/k/inner", b"1")
            a.write("d/fine", b"1")
            pushed = (await a.push("d")).done[D]
            assert pushed.kind is PushKind.COMMITTED
            assert pushed.sent == 1
            assert pushed.held == {"d/k/inner": PathState.REFUSED_NAME}
            state, detail = (await shown(a))["d/k/inner"]
            assert state is PathState.REFUSED_NAME
            assert detail
            journal = a.workspace.ports.journal
            path = CachePath("d/k/inner")
            assert not await journal.read(lambda tx: ledger.path_in_doubt(tx, path))
            place.delete("d/k")
            assert (await a.push("d")).done[D].whole

    asyncio.run(main())


# --- requests that are sent late ----------------------------------------------------------------


def _doubts(path: CachePath, tx: Transaction) -> bool:
    return ledger.path_in_doubt(tx, path)


class _Late:
    """The clock, so many seconds later."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.by = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def now(self) -> float:
        return float(self._clock.now()) + self.by


def test_what_is_never_sent_leaves_no_doubt(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            hold = await a.workspace.lock(["d"], a.asker)
            sync, lease = a.workspace.desks.sync, hold.leases[D]
            plain, digest = PlainKeys(sync, lease), Sha256("0" * 64)
            paths = [CachePath("d/sent"), CachePath("d/unsent"), CachePath("d/late")]
            wids = [Wid(sync.rng.uuid()) for _ in paths]
            ids = await plain.begin(
                [plain.intent("put", p, w, digest) for p, w in zip(paths, wids, strict=True)]
            )
            await plain.create(paths[0], b"1", PayloadMark(wids[0], lease.epoch, digest), ids[0])
            await a.workspace.release(hold)
            await a.until_free(D)
            with pytest.raises(LockLost):
                await plain.create(
                    paths[2], b"1", PayloadMark(wids[2], lease.epoch, digest), ids[2]
                )
            await plain.end(ids, ())
            doubts = [p for p in paths if await sync.journal.read(partial(_doubts, p))]
            assert doubts == paths[:1]

    asyncio.run(main())


def test_of_many_none_is_sent_later_than_its_intent_says(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            hold = await a.workspace.lock(["d"], a.asker)
            clock = _Late(a.workspace.ports.clock)
            sync, lease = replace(a.workspace.desks.sync, clock=clock), hold.leases[D]
            plain, digest = PlainKeys(sync, lease), Sha256("0" * 64)
            paths = [CachePath("d/early"), CachePath("d/late")]
            marks = [PayloadMark(Wid(sync.rng.uuid()), lease.epoch, digest) for _ in paths]
            intents = zip(paths, marks, strict=True)
            early, late = await plain.begin(
                [plain.intent("put", path, mark.wid, digest) for path, mark in intents]
            )
            sync.awaited[early] += 2 * AHEAD_S
            clock.by = AHEAD_S + 1
            fresh = [Fresh(path, b"1", mark) for path, mark in zip(paths, marks, strict=True)]
            sent, unsent = await plain.create_each(fresh, [early, late])
            assert isinstance(sent, Applied)
            assert unsent is None
            assert place.find(paths[1]) is None
            assert lease.unanswered == 0
            await plain.end([early, late], ())
            doubts = [p for p in paths if await sync.journal.read(partial(_doubts, p))]
            assert doubts == paths[:1]

    asyncio.run(main())


def test_a_request_that_is_sent_late_is_awaited_from_then_on(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            hold = await a.workspace.lock(["d"], a.asker)
            clock = _Late(a.workspace.ports.clock)
            sync = replace(a.workspace.desks.sync, clock=clock)
            plain, journal = PlainKeys(sync, hold.leases[D]), sync.journal
            paths = [CachePath("d/one"), CachePath("d/two")]
            digest = Sha256("0" * 64)
            wids = [Wid(sync.rng.uuid()) for _ in paths]
            ids = await plain.begin(
                [plain.intent("put", p, w, digest) for p, w in zip(paths, wids, strict=True)]
            )

            async def open_paths(awaited: Collection[int]) -> list[CachePath]:
                now, boot = clock.now(), clock.boot_id
                await journal.write(lambda tx: ledger.expire_requests(tx, now, boot, awaited))
                return [path for path in paths if await journal.read(partial(_doubts, path))]

            clock.by = HORIZON_S + 60
            assert await open_paths(sync.awaited) == paths
            mark = PayloadMark(wids[0], hold.leases[D].epoch, digest)
            await plain.create(paths[0], b"1", mark, ids[0])
            clock.by += HORIZON_S + 5  # a crash: nobody awaits them
            assert await open_paths(()) == paths[:1]
            await plain.end(ids, ids)
            assert not sync.awaited
            await a.workspace.release(hold)

    asyncio.run(main())
