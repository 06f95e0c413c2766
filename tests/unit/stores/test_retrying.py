"""Reads are asked again for a bounded time; writes never are."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.outcomes import Applied, Found, Page, Unknown
from swampd.domain.values import Token
from swampd.errors import StoreDenied, StoreUnavailable
from swampd.ports import Lacking, StoreCapabilities
from swampd.stores.retrying import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    PATIENCE_S,
    Again,
    RetryingStore,
)
from tests.contract.subjects import A, B
from tests.sim.clock import LoopClock
from tests.sim.loop import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

FOUND = Found(Token("t"), 1, {}, b"x")


class Rng:
    """`ports.Rng` that always draws at the same place of the range, and notes the ranges."""

    def __init__(self, at: float = 0.0) -> None:
        self._at = at
        self.ranges: list[tuple[float, float]] = []

    def uuid(self) -> str:
        raise AssertionError("nobody needs one")

    def uniform(self, low: float, high: float) -> float:
        self.ranges.append((low, high))
        return low + self._at * (high - low)


class Away:
    """A store, and parts, that answer only after so many questions, and note when they came."""

    name = "away"
    capabilities = StoreCapabilities(conditional_delete=True, server_copy=True)

    def __init__(self, errors: list[Exception] | None = None) -> None:
        self.errors = errors or []
        self.asked: list[tuple[str, float]] = []
        self.narrowed: Lacking | None = None
        self.closed = False

    @property
    def parts(self) -> Any:
        return self

    def narrow(self, lacking: Lacking) -> None:
        self.narrowed = lacking

    async def close(self) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Any:
        async def ask(*_: object, **__: object) -> object:
            self.asked.append((name, asyncio.get_running_loop().time()))
            if self.errors:
                raise self.errors.pop(0)
            return ANSWERS[name]

        return ask

    @property
    def times(self) -> list[float]:
        return [time for _, time in self.asked]


ANSWERS: dict[str, object] = {
    "get": FOUND,
    "get_if_changed": FOUND,
    "head": FOUND,
    "list": Page((), None),
    "put": Applied(None),
    "create": Applied(None),
    "replace": Applied(None),
    "delete": Applied(None),
    "delete_if": Applied(None),
    "copy_to": Applied(None),
    "begin": "upload",
    "send": "part",
    "complete": Applied(None),
    "abort": None,
}


def busy(times: int = 1, retry_after_s: float | None = None) -> list[Exception]:
    errors: list[Exception] = []
    for number in range(times):
        error = StoreUnavailable(f"busy {number}")
        error.retry_after_s = retry_after_s
        errors.append(error)
    return errors


def on_virtual_time(work: Coroutine[Any, Any, object]) -> object:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def retrying(store: Any, rng: Rng | None = None) -> RetryingStore:
    return RetryingStore(store, Again(LoopClock(), rng or Rng()))


READS = {
    "get": lambda store: store.get(A),
    "get if": lambda store: store.get(A, if_token=Token("t")),
    "get_if_changed": lambda store: store.get_if_changed(A, Token("t")),
    "head": lambda store: store.head(A),
    "list": lambda store: store.list(A),
}
ONCE = {
    "get into a sink": lambda store: store.get(A, sink=lambda _: None),
    "put": lambda store: store.put(A, b"", {}),
    "create": lambda store: store.create(A, b"", {}),
    "replace": lambda store: store.replace(A, b"", Token("t"), {}),
    "delete": lambda store: store.delete(A),
    "delete_if": lambda store: store.delete_if(A, Token("t")),
    "copy_to": lambda store: store.copy_to(A, B, None, {}),
    "begin": lambda store: store.parts.begin(A, {}),
    "send": lambda store: store.parts.send(A, "u", 1, b"x"),
    "complete": lambda store: store.parts.complete(A, "u", ["p"]),
    "abort": lambda store: store.parts.abort(A, "u"),
}


@pytest.mark.parametrize("ask", READS.values(), ids=READS)
def test_a_read_is_asked_until_there_is_an_answer(ask: Any) -> None:
    away = Away(busy(4))
    answer = on_virtual_time(ask(retrying(away)))
    (name,) = {name for name, _ in away.asked}
    assert answer == ANSWERS[name]
    assert len(away.asked) == 5


@pytest.mark.parametrize("ask", ONCE.values(), ids=ONCE)
def test_a_write_is_sent_once(ask: Any) -> None:
    away = Away(busy(1))
    with pytest.raises(StoreUnavailable, match="busy 0"):
        on_virtual_time(ask(retrying(away)))
    assert len(away.asked) == 1
    assert away.times == [0.0]


def test_an_unclear_write_is_told_to_whoever_can_look() -> None:
    class Unclear(Away):
        async def put(self, *_: object) -> Unknown:
            self.asked.append(("put", 0.0))
            return Unknown("cut")

    away = Unclear()
    assert on_virtual_time(retrying(away).put(A, b"", {})) == Unknown("cut")
    assert len(away.asked) == 1


def test_pauses_double_up_to_a_limit() -> None:
    away, rng = Away(busy(50)), Rng(at=1.0)
    with pytest.raises(StoreUnavailable):
        on_virtual_time(retrying(away, rng).get(A))
    pauses = [high for _, high in rng.ranges]
    assert pauses[0] == FIRST_PAUSE_S
    assert max(pauses) == LONGEST_PAUSE_S
    assert all(b == min(2 * a, LONGEST_PAUSE_S) for a, b in pairwise(pauses))


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_a_pause_is_between_its_half_and_the_whole(at: float) -> None:
    away, rng = Away(busy(5)), Rng(at)
    on_virtual_time(retrying(away, rng).get(A))
    assert all(low == high / 2 for low, high in rng.ranges)
    waited = [b - a for a, b in pairwise(away.times)]
    assert waited == pytest.approx([low + at * (high - low) for low, high in rng.ranges])


@pytest.mark.parametrize("at", [0.0, 1.0])
def test_nobody_asks_before_the_store_said(at: float) -> None:
    away = Away(busy(2, retry_after_s=3.0))
    on_virtual_time(retrying(away, Rng(at)).get(A))
    first, second, third = away.times
    assert 3.0 <= second - first <= 3.001 + FIRST_PAUSE_S
    assert 3.0 <= third - second <= 3.001 + 2 * FIRST_PAUSE_S


def test_patience_ends_with_the_last_error() -> None:
    away = Away(busy(50))
    with pytest.raises(StoreUnavailable) as met:
        on_virtual_time(retrying(away, Rng(at=1.0)).list(A))
    assert PATIENCE_S - LONGEST_PAUSE_S <= away.times[-1] < PATIENCE_S
    assert met.value.summary == f"busy {len(away.asked) - 1}"


def test_nobody_waits_for_what_comes_after_the_patience() -> None:
    away = Away(busy(2, retry_after_s=PATIENCE_S + 1))
    with pytest.raises(StoreUnavailable, match="busy 0") as met:
        on_virtual_time(retrying(away).head(A))
    assert away.times == [0.0]
    assert met.value.retry_after_s == PATIENCE_S + 1


def test_patience_counts_what_the_question_took() -> None:
    class Slow(Away):
        async def head(self, *_: object) -> Found:
            self.asked.append(("head", 0.0))
            await LoopClock().sleep(PATIENCE_S)
            raise StoreUnavailable("silent")

    away = Slow()
    with pytest.raises(StoreUnavailable, match="silent"):
        on_virtual_time(retrying(away).head(A))
    assert len(away.asked) == 1


@pytest.mark.parametrize("error", [StoreDenied("no"), ValueError("a bug")])
def test_another_error_comes_at_once(error: Exception) -> None:
    away = Away([error])
    with pytest.raises(type(error)):
        on_virtual_time(retrying(away).get(A))
    assert len(away.asked) == 1


def test_who_waits_can_be_cancelled() -> None:
    async def run() -> None:
        away = Away(busy(1, retry_after_s=5.0))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(retrying(away).get(A))
            await LoopClock().sleep(1.0)
            task.cancel()
        assert away.times == [0.0]

    on_virtual_time(run())


def test_the_rest_is_the_stores_own() -> None:
    class Whole(Away):
        @property
        def parts(self) -> None:
            return None

    whole = Whole()
    store = retrying(whole)
    assert (store.name, store.capabilities, store.parts) == ("away", Away.capabilities, None)
    store.narrow(Lacking(server_copy=True))
    assert whole.narrowed == Lacking(server_copy=True)
    on_virtual_time(store.close())
    assert whole.closed
