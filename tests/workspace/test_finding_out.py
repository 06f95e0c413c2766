"""The daemon goes on finding out: an open commit, a head that went on while it was applied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.outcomes import Missing
from swampd.domain.states import PathState
from swampd.domain.values import CachePath, Scope
from swampd.errors import OutcomeUnknown, StoreUnavailable
from swampd.syncing import committing, ledger
from tests.workspace.machines import machine, replace_get

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place
    from tests.workspace.machines import Machine

F = CachePath("d/f")
D = Scope("d")


async def push_unknown(one: Machine, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Push with a commit that lands, and whose answer cannot be noted."""

    async def broken(*_args: object) -> None:
        raise StoreUnavailable("away", "")

    one.write(F, content)
    with monkeypatch.context() as patch:
        patch.setattr(one.workspace.writer, "adopt_own", broken)
        with pytest.raises(OutcomeUnknown):
            await one.push("d")


async def open_commits(one: Machine) -> list[ledger.CommitIntent]:
    return await one.workspace.ports.journal.read(ledger.commits)


def test_the_fate_of_an_open_commit_is_found_out_in_the_background(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            await push_unknown(a, monkeypatch, b"2")
            assert len(await open_commits(a)) == 1
            a.store.reset()
            await a.workspace.background.find_out_due()
            assert dict(a.store.operations) == {"get_if_changed": 1}
            assert await open_commits(a) == []
            a.store.reset()
            await a.workspace.background.find_out_due()
            assert a.store.total == 0

    asyncio.run(main())


def test_the_store_is_asked_for_it_now_and_then_only(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            await push_unknown(a, monkeypatch, b"2")
            real = a.store._store.get_if_changed

            async def away(*_args: Any) -> Any:
                raise StoreUnavailable("away", "")

            a.store._store.get_if_changed = away
            a.store.reset()
            for _ in range(3):
                await a.workspace.background.find_out_due()
            assert a.store.total == 1
            a.store._store.get_if_changed = real

    asyncio.run(main())


def test_after_a_reboot_the_horizon_of_a_commit_counts_anew(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(F, b"1")
            await a.push()
            ports, desks = a.workspace.ports, a.workspace.desks
            known = await a.workspace.reader.known(D)
            assert known is not None
            intent = ledger.CommitIntent(
                "e" * 32,  # type: ignore[arg-type]
                D,
                known.token,
                known.head.seq,
                1e12,
                "another boot",  # type: ignore[arg-type]
                {},
            )
            await ports.journal.write(lambda tx: ledger.begin_commit(tx, intent))
            await committing.find_out(desks.sync, desks.bases, D, known)
            (left,) = await open_commits(a)
            assert left.boot_id == ports.clock.boot_id
            assert left.sent_at <= ports.clock.now()
            monkeypatch.setattr(committing, "HORIZON_S", 0.0)
            await committing.find_out(desks.sync, desks.bases, D, known)
            assert await open_commits(a) == []

    asyncio.run(main())


@pytest.mark.parametrize("every", [False, True])
def test_a_head_that_went_on_while_it_was_pulled_is_applied_in_the_same_pull(
    tmp_path: Path, place: Place, *, every: bool
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write(F, b"1")
            a.write("d/g", b"1")
            await a.push()
            real = b.store._store.get
            moved: list[str] = []

            async def get(key: Any, **options: Any) -> Any:
                if key == b.workspace.ports.keys.payload(F) and not moved:
                    moved.append(key)
                    a.write(F, b"2")
                    await a.push("d")
                return await real(key, **options)

            replace_get(b, get)
            pulled = (await (b.pull() if every else b.pull("d"))).done[D]
            assert pulled.whole
            assert pulled.placed == 2
            assert (b.cache / F).read_bytes() == b"2"

    asyncio.run(main())


def test_what_is_still_missing_is_asked_for_once(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            a.write(F, b"1")
            await a.push()
            real = b.store._store.get
            asked: list[str] = []

            async def get(key: Any, **options: Any) -> Any:
                if key == b.workspace.ports.keys.payload(F):
                    asked.append(key)
                    return Missing()
                return await real(key, **options)

            replace_get(b, get)
            assert (await b.pull("d")).done[D].held == {F: PathState.MISSING}
            assert len(asked) == 1

    asyncio.run(main())
