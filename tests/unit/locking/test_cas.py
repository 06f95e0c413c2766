"""A conditional write waits as long as the store asks, and no longer than it may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from swampd.chance import SystemRng
from swampd.domain.outcomes import Applied, Missing, Unknown, WriteOutcome
from swampd.domain.values import RemoteKey, Token
from swampd.errors import StoreUnavailable
from swampd.locking.cas import LONGEST_PAUSE_S, Landed, Unanswered, Write, Writer
from swampd.waiting import Pace
from tests.sim.clock import LoopClock
from tests.sim.loop import VirtualLoop

KEY = RemoteKey("lock")
TOKEN = Token("t")


class Slow:
    """A store that asks to wait so often, by its answers or its errors, and then takes a write."""

    def __init__(self, *asked_s: float, raises: bool = False) -> None:
        self._asked = list(asked_s)
        self._raises = raises
        self.times: list[float] = []

    async def create(self, *_: Any) -> WriteOutcome:
        self.times.append(asyncio.get_running_loop().time())
        if not self._asked:
            return Applied(TOKEN)
        asked = self._asked.pop(0)
        if self._raises:
            error = StoreUnavailable("SlowDown")
            error.retry_after_s = asked
            raise error
        return Unknown("SlowDown", asked)

    async def get(self, _: RemoteKey) -> Missing:
        self.times.append(asyncio.get_running_loop().time())
        return Missing()


def written(store: Any, until: float = 60.0) -> Any:
    """What becomes of a write."""
    clock = LoopClock()
    writer = Writer(store, clock, SystemRng(), Pace(clock, 0.0))
    write = Write(KEY, b"", None, lambda _: False, lambda: clock.now() < until, until)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(writer.send(write)), runner.run(_now())


async def _now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("raises", [True, False])
def test_it_comes_back_when_the_store_said(raises: bool) -> None:  # noqa: FBT001
    store = Slow(3.0, 7.0, raises=raises)
    fate, ended = written(store)
    assert fate == Landed(TOKEN)
    first, *later = store.times
    assert [at for at in later if at < first + 3.0] == []
    assert 10.0 <= ended <= 10.0 + 4 * LONGEST_PAUSE_S


def test_it_waits_no_longer_than_its_right_lasts() -> None:
    fate, ended = written(Slow(3600.0))
    assert isinstance(fate, Unanswered)
    assert 60.0 <= ended <= 60.0 + LONGEST_PAUSE_S
