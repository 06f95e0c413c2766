"""Opening a workspace whose store is away, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from swampd.chance import SystemRng
from swampd.config.datastore import Source, parse_spelling
from swampd.config.directory import Whereabouts
from swampd.config.repo import RepoConfig, RepoId
from swampd.domain.datastores import CloudEnvironment
from swampd.domain.health import StoreState
from swampd.errors import NoLayout, StoreDenied, StoreUnavailable, SwampdError
from swampd.opening import Located
from swampd.reopening import ASKED_WITHIN_S, LONGEST_PAUSE_S, Opening
from swampd.waiting import trouble_of
from tests.sim import loop
from tests.sim.clock import BEGAN_MS, LoopClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

CLOCK = LoopClock()
AWAY = StoreUnavailable("no route", "see the cable")


def located() -> Located:
    store = parse_spelling("directory:/nowhere", Source.OPTION, Whereabouts(Path("/r"), {}))
    config = RepoConfig(Path("/r/.swamp.yaml"), RepoId("r"), store)
    return Located(config, Path("/c"), CloudEnvironment(), said_who=False)


class Attempts:
    """What opening comes to, try by try; the last one is repeated."""

    def __init__(self, *outcomes: Exception | None, takes_s: float = 0.0) -> None:
        self.outcomes = list(outcomes)
        self.takes_s = takes_s
        self.made: list[float] = []
        self.opening = Opening(located(), CLOCK, SystemRng(), self._once)

    async def _once(self) -> None:
        self.made.append(CLOCK.now())
        await CLOCK.sleep(self.takes_s)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if outcome is not None:
            raise outcome


def scenario(
    attempts: Callable[[], Attempts],
    play: Callable[[Attempts, asyncio.Task[None]], Coroutine[object, object, None]],
) -> None:
    async def main() -> None:
        made = attempts()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.opening.run())
            await play(made, task)
            task.cancel()

    loop.run(main())


def test_a_store_that_is_back_is_noticed_unasked() -> None:
    async def play(made: Attempts, task: asyncio.Task[None]) -> None:
        first = made.opening.ask()
        await first.done.wait()
        assert first.error is AWAY
        health = made.opening.health
        assert (health.state, health.detail) == (StoreState.UNREACHABLE, "no route")
        assert health.since_ms == BEGAN_MS
        assert health.next_try_ms is not None
        await task
        assert len(made.made) == 4

    scenario(lambda: Attempts(AWAY, AWAY, AWAY, None), play)


def test_the_pauses_grow_to_a_bound_and_end_when_nobody_asks() -> None:
    async def play(made: Attempts, task: asyncio.Task[None]) -> None:
        made.opening.ask()
        await task
        pauses = [later - sooner for sooner, later in zip(made.made, made.made[1:], strict=False)]
        assert pauses[0] <= 1.0
        assert max(pauses) <= LONGEST_PAUSE_S
        assert max(pauses) > LONGEST_PAUSE_S / 2
        assert ASKED_WITHIN_S - LONGEST_PAUSE_S < made.made[-1] <= ASKED_WITHIN_S + LONGEST_PAUSE_S

    scenario(lambda: Attempts(AWAY), play)


def test_who_asks_has_it_tried_at_once() -> None:
    async def play(made: Attempts, _task: asyncio.Task[None]) -> None:
        made.opening.ask()
        await CLOCK.sleep(200)
        asked_at = CLOCK.now()
        await made.opening.ask().done.wait()
        assert made.made[-1] == asked_at

    scenario(lambda: Attempts(AWAY), play)


def test_all_who_ask_share_one_attempt() -> None:
    async def play(made: Attempts, task: asyncio.Task[None]) -> None:
        first, second = made.opening.ask(), made.opening.ask()
        assert first is second
        await CLOCK.sleep(5)
        assert made.opening.health.state is StoreState.SILENT
        assert made.opening.ask() is first
        await task
        assert (first.error, len(made.made)) == (None, 1)

    scenario(lambda: Attempts(None, takes_s=10), play)


@pytest.mark.parametrize("error", [NoLayout("none"), SwampdError("broken"), ValueError("a bug")])
def test_what_is_no_trouble_of_the_store_ends_it(error: Exception) -> None:
    async def play(made: Attempts, task: asyncio.Task[None]) -> None:
        attempt = made.opening.ask()
        await task
        assert attempt.done.is_set()
        assert isinstance(attempt.error, SwampdError)
        assert trouble_of(attempt.error) is None
        assert len(made.made) == 1

    scenario(lambda: Attempts(error), play)


def test_credentials_are_a_trouble_that_is_tried_again() -> None:
    async def play(made: Attempts, task: asyncio.Task[None]) -> None:
        await made.opening.ask().done.wait()
        assert made.opening.health.state is StoreState.EXPIRED_CREDENTIALS
        await task
        assert len(made.made) == 2

    scenario(lambda: Attempts(StoreDenied("400 ExpiredToken"), None), play)


def test_who_waits_is_told_when_it_is_broken_off() -> None:
    async def play(made: Attempts, task: asyncio.Task[None]) -> None:
        attempt = made.opening.ask()
        await CLOCK.sleep(1)
        task.cancel()
        await attempt.done.wait()
        assert attempt.error is not None
        assert attempt.error.code == "stopping"

    scenario(lambda: Attempts(None, takes_s=10), play)
