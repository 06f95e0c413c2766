"""One opening for all who ask: whoever brings more begins it anew, and the others go along."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from swampd import serving
from swampd.chance import SystemRng
from swampd.clock import SystemClock
from swampd.domain.datastores import CloudEnvironment
from swampd.errors import NoLayout, Stopping
from swampd.serving import Workspaces
from tests.unit.test_clashes import S3, located

if TYPE_CHECKING:
    from swampd.opening import Located


def openings(monkeypatch: pytest.MonkeyPatch, go: asyncio.Event) -> list[CloudEnvironment]:
    """Opening waits for `go`, and finds no layout; with what it was begun."""
    begun: list[CloudEnvironment] = []

    async def opens(_: Any, place: Located) -> None:
        begun.append(place.environment)
        await go.wait()
        raise NoLayout("none")

    monkeypatch.setattr(serving, "open_workspace", opens)
    return begun


def test_who_waits_goes_along_with_a_try_that_may_use_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        go = asyncio.Event()
        begun = openings(monkeypatch, go)
        world: Any = SimpleNamespace(clock=SystemClock(), rng=SystemRng())
        workspaces = Workspaces(world)
        async with asyncio.TaskGroup() as group:
            life = group.create_task(workspaces.run())
            less = located(S3, CloudEnvironment(holds_secrets=True))
            more = located(S3, CloudEnvironment(holds_secrets=True, own_secrets=True))
            asked = [
                group.create_task(_outcome(workspaces, place)) for place in (less, less, more, less)
            ]
            while more.environment not in begun:
                await _turn()
            go.set()
            outcomes = [await one for one in asked]
            assert outcomes == [NoLayout] * 4
            workspaces.stop()
            await life

    asyncio.run(main())


def test_two_users_do_not_break_each_other_off_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        go = asyncio.Event()
        begun = openings(monkeypatch, go)
        world: Any = SimpleNamespace(clock=SystemClock(), rng=SystemRng())
        workspaces = Workspaces(world)
        async with asyncio.TaskGroup() as group:
            life = group.create_task(workspaces.run())
            asked = [
                group.create_task(_outcome(workspaces, located(S3, CloudEnvironment(profile=name))))
                for name in ("one", "other")
            ]
            while not begun or begun[-1].profile != "other":
                await _turn()
            go.set()
            assert NoLayout in [await one for one in asked]
            assert len(begun) <= 3
            workspaces.stop()
            await life

    asyncio.run(main())


async def _outcome(workspaces: Workspaces, place: Located) -> type[BaseException]:
    with pytest.raises((NoLayout, Stopping)) as raised:
        await workspaces.serve(place, 0.0)
    return raised.type


async def _turn() -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(done.set)
    await done.wait()
