"""The health of a store, as its operations show it, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from swampd.chance import SystemRng
from swampd.domain.health import Health, StoreIdentity, StoreState
from swampd.domain.layout import Keys
from swampd.domain.outcomes import Applied, Missing, Rejected, Unknown
from swampd.domain.values import RemoteKey, Token
from swampd.errors import KeyRefused, StoreDenied, StoreUnavailable
from swampd.minding import mind
from swampd.ports import Wanted
from swampd.stores.memory import Dialect, MemoryObjects, MemoryStore
from swampd.stores.watched import SILENT_S, WatchedStore
from tests.sim import loop
from tests.sim.clock import BEGAN_MS, LoopClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

KEY = RemoteKey("a")
CLOCK = LoopClock()


class Answering(MemoryStore):
    """A store that answers what it is told to."""

    def __init__(self) -> None:
        super().__init__(MemoryObjects(Dialect.S3))
        self.answer: Any = None
        self.asked = 0

    async def _said(self, usual: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, asyncio.Event):
            await self.answer.wait()
            return await usual()
        return await usual() if self.answer is None else self.answer

    async def head(self, key: RemoteKey) -> Any:
        return await self._said(lambda: MemoryStore.head(self, key))

    async def create(self, key: RemoteKey, body: Any, metadata: Any) -> Any:
        return await self._said(lambda: MemoryStore.create(self, key, body, metadata))

    async def delete(self, key: RemoteKey) -> Any:
        return await self._said(lambda: MemoryStore.delete(self, key))


def scenario(play: Callable[[Answering, WatchedStore], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        store = Answering()
        await play(store, WatchedStore(store, CLOCK))

    loop.run(main())


def state(watched: WatchedStore) -> StoreState:
    return watched.health.state


async def fails(watched: WatchedStore, store: Answering, error: Exception) -> None:
    store.answer = error
    with pytest.raises(type(error)):
        await watched.head(KEY)
    store.answer = None


def test_a_store_that_nobody_asked_is_well() -> None:
    async def play(_store: Answering, watched: WatchedStore) -> None:
        assert watched.health == Health()
        assert watched.name == "memory"
        assert watched.capabilities.conditional_delete

    scenario(play)


def test_a_trouble_lasts_from_the_first_failure_to_the_next_answer() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        await watched.head(KEY)
        await CLOCK.sleep(1)
        with capture_logs() as logs:
            await fails(watched, store, StoreUnavailable("no route", "see the cable"))
            await CLOCK.sleep(2)
            await fails(watched, store, StoreUnavailable("still none"))
            assert watched.health == Health(
                StoreState.UNREACHABLE, "still none", "", BEGAN_MS + 1000, None, BEGAN_MS
            )
            assert watched.lost.is_set()
            assert isinstance(await watched.head(KEY), Missing)
        assert watched.health == Health(last_answer_ms=BEGAN_MS + 3000)
        assert not watched.lost.is_set()
        assert [(one["event"], one.get("after_s")) for one in logs] == [
            ("store_lost", None),
            ("store_back", 2.0),
        ]

    scenario(play)


@pytest.mark.parametrize(
    "answer", [Missing(), Rejected(), Applied(Token("t", "")), KeyRefused("a//b is no key")]
)
def test_whatever_decides_something_shows_a_store_that_is_well(answer: Any) -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        await fails(watched, store, StoreUnavailable("no route"))
        store.answer = answer
        if isinstance(answer, Exception):
            with pytest.raises(KeyRefused):
                await watched.head(KEY)
        else:
            await watched.head(KEY)
        assert state(watched) is StoreState.OK

    scenario(play)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreUnavailable("no route"), StoreState.UNREACHABLE),
        (StoreUnavailable("503 SlowDown"), StoreState.THROTTLED),
        (StoreUnavailable("busy", trouble="throttled"), StoreState.THROTTLED),
        (StoreDenied("403 AccessDenied"), StoreState.DENIED),
        (StoreDenied("400 ExpiredToken"), StoreState.EXPIRED_CREDENTIALS),
        (StoreDenied("over", trouble="expired_credentials"), StoreState.EXPIRED_CREDENTIALS),
        (StoreDenied("cannot read 'data/expired/slowdown'"), StoreState.DENIED),
    ],
)
def test_an_error_names_its_trouble(error: Exception, expected: StoreState) -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        await fails(watched, store, error)
        assert state(watched) is expected

    scenario(play)


def test_a_bug_or_a_full_local_disk_says_nothing_of_the_store() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        await fails(watched, store, OSError("disk full"))
        assert watched.health == Health()

    scenario(play)


def test_one_unclear_answer_is_shown_and_two_are_logged() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        with capture_logs() as logs:
            store.answer = Unknown("cut: 503 SlowDown")
            await watched.create(KEY, b"", {})
            assert state(watched) is StoreState.THROTTLED
            store.answer = None
            await watched.head(KEY)
            assert state(watched) is StoreState.OK
            assert [one["event"] for one in logs] == ["write_unknown"]
            store.answer = Unknown("cut")
            await watched.create(KEY, b"", {})
            await watched.create(KEY, b"", {})
            await watched.create(KEY, b"", {})
        lost = [one["state"] for one in logs if one["event"] == "store_lost"]
        assert lost == ["unreachable"]
        assert sum(one["event"] == "write_unknown" for one in logs) == 4

    scenario(play)


def test_one_outage_is_logged_once_however_it_shows() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        with capture_logs() as logs:
            for said in ("no route", "503 SlowDown", "no route", "503 SlowDown"):
                await fails(watched, store, StoreUnavailable(said))
            await fails(watched, store, StoreDenied("400 ExpiredToken"))
            await watched.head(KEY)
        assert [(one["event"], one.get("state")) for one in logs] == [
            ("store_lost", "unreachable"),
            ("store_lost", "expired_credentials"),
            ("store_back", None),
        ]

    scenario(play)


def test_who_may_read_may_still_not_delete() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        store.answer = StoreDenied("no right to delete")
        with pytest.raises(StoreDenied):
            await watched.delete(KEY)
        store.answer = None
        await watched.head(KEY)
        assert state(watched) is StoreState.DENIED
        assert not watched.lost.is_set()
        await watched.delete(KEY)
        assert state(watched) is StoreState.OK

    scenario(play)


def test_requests_without_an_answer_are_a_silence() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        await watched.head(KEY)
        store.answer = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(watched.head(KEY))
            large = group.create_task(watched.create(KEY, b"." * 100_000, {}))
            await CLOCK.sleep(SILENT_S - 0.1)
            assert state(watched) is StoreState.OK
            await CLOCK.sleep(0.1)
            assert watched.health == Health(
                StoreState.SILENT, "1 request waits for an answer", "", BEGAN_MS, None, BEGAN_MS
            )
            store.answer.set()
        assert large.done()
        assert state(watched) is StoreState.OK

    scenario(play)


def test_a_large_body_on_a_slow_line_is_no_silence() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        store.answer = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(watched.create(KEY, b"." * 100_000, {}))
            await CLOCK.sleep(60)
            assert state(watched) is StoreState.OK
            store.answer.set()

    scenario(play)


async def watched_for(watched: WatchedStore, seconds: float) -> set[StoreState]:
    """The states that it is in meanwhile."""
    met = set()
    for _ in range(int(seconds * 10)):
        await CLOCK.sleep(0.1)
        met.add(state(watched))
    return met


@pytest.mark.parametrize("act", ["create", "get", "get_each"])
def test_a_store_that_answers_nothing_is_told_from_a_slow_line_in_time(act: str) -> None:
    class OneHangs(Answering):
        async def get(self, key: RemoteKey, **_: Any) -> Any:
            return await self._said(lambda: MemoryStore.get(self, key))

        async def get_each(self, wanted: Any) -> Any:
            return await self._said(lambda: MemoryStore.get_each(self, wanted))

        async def head(self, key: RemoteKey) -> Any:
            return await (self._said if self.gone else _usual)(lambda: MemoryStore.head(self, key))

        gone = False

    acts: dict[str, Callable[[WatchedStore], Coroutine[Any, Any, Any]]] = {
        "create": lambda watched: watched.create(KEY, b"." * 100_000, {}),
        "get": lambda watched: watched.get(KEY),
        "get_each": lambda watched: watched.get_each([Wanted(KEY)]),
    }

    async def main() -> None:
        store = OneHangs()
        watched = WatchedStore(store, CLOCK)
        loop_ = asyncio.get_running_loop()
        minding = loop_.create_task(mind(watched, Keys(), CLOCK, SystemRng()))
        store.answer = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(acts[act](watched))
            assert await watched_for(watched, 60) == {StoreState.OK}
            store.gone = True
            assert StoreState.SILENT in await watched_for(watched, 5)
            store.answer.set()
        assert await watched_for(watched, 5) == {StoreState.OK}
        minding.cancel()

    loop.run(main())


async def _usual(usual: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return await usual()


def test_a_cancelled_request_is_not_waited_for() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        store.answer = asyncio.Event()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await watched.head(KEY)
        await CLOCK.sleep(60)
        assert watched.health == Health()

    scenario(play)


def test_as_whom_it_speaks_is_told_where_the_store_can() -> None:
    class Known(Answering):
        def identity(self) -> StoreIdentity:
            return StoreIdentity("profile team", "arn:aws:iam::1:user/u")

    async def main() -> None:
        known = WatchedStore(Known(), CLOCK).identity()
        assert known == StoreIdentity("profile team", "arn:aws:iam::1:user/u")
        assert WatchedStore(Answering(), CLOCK).identity() is None

    loop.run(main())


def test_a_lost_store_is_looked_at_until_it_is_back_and_then_left_alone() -> None:
    async def play(store: Answering, watched: WatchedStore) -> None:
        minding = asyncio.get_running_loop().create_task(mind(watched, Keys(), CLOCK, SystemRng()))
        await CLOCK.sleep(100)
        assert store.asked == 0
        await fails(watched, store, StoreUnavailable("no route"))
        store.answer = StoreUnavailable("no route")
        await CLOCK.sleep(0)
        await CLOCK.sleep(0)
        ahead = watched.health.next_try_ms
        assert ahead is not None
        assert 400 <= ahead - CLOCK.wall_ms() <= 1000
        await CLOCK.sleep(600)
        assert 40 <= store.asked <= 90
        store.answer = None
        await CLOCK.sleep(15)
        assert state(watched) is StoreState.OK
        assert watched.health.next_try_ms is None
        asked = store.asked
        await CLOCK.sleep(600)
        assert store.asked == asked
        minding.cancel()

    scenario(play)
