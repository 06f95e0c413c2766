"""The probe notices each broken promise, says what would be lost, and cleans up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from swampd.domain.layout import Keys
from swampd.domain.outcomes import Applied, Found, Missing, Rejected, Unknown
from swampd.domain.values import RemoteKey, Wid
from swampd.errors import StoreDenied, StoreRefused, StoreUnavailable
from swampd.ports import StoreCapabilities
from swampd.stores.memory import Dialect, MemoryObjects, MemoryStore
from swampd.stores.probe import CLEAN_UP_S, LOSS, Check, ProbeReport, Verdict, probe, require_kept
from tests.sim.loop import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.domain.outcomes import WriteOutcome
    from swampd.domain.values import Token
    from swampd.ports import Body


WID = Wid(f"{1:032x}")


class CountingRng:
    """`ports.Rng` without chance."""

    def __init__(self) -> None:
        self._count = 0

    def uuid(self) -> str:
        self._count += 1
        return f"{self._count:032x}"

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class Store(MemoryStore):
    """A store to break; two connections share the objects."""

    def __init__(self, objects: MemoryObjects) -> None:
        super().__init__(objects, "memory under test")
        self.objects = objects


class IgnoresIfAbsent(Store):
    async def create(
        self, key: RemoteKey, body: Body, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        return await self.put(key, body, metadata)


class IgnoresTokens(Store):
    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        del token
        return await self.put(key, body, metadata)


class BringsBackTheMissing(Store):
    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        if await self.get(key) == Missing():
            return await self.put(key, body, metadata)
        return await super().replace(key, body, token, metadata)


class DeletesAnyway(Store):
    async def delete_if(self, key: RemoteKey, token: Token) -> Applied | Rejected:
        del token
        return await self.delete(key)


class RefusesAndWrites(Store):
    """The answer is right, the deed is not."""

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        outcome = await super().replace(key, body, token, metadata)
        if outcome == Rejected():
            await self.put(key, body, metadata)
        return outcome


class RefusesReplace(Store):
    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> Rejected:
        del key, body, token, metadata
        return Rejected()


class RefusesCreate(Store):
    async def create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> Rejected:
        del key, body, metadata
        return Rejected()


class NamesAnotherToken(Store):
    async def create(
        self, key: RemoteKey, body: Body, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        outcome = await super().create(key, body, metadata)
        return Applied(None) if isinstance(outcome, Applied) else outcome


class KeepsItsTokens(Store):
    """Every version of an object has the same token."""

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        outcome = await super().replace(key, body, token, metadata)
        return Applied(token) if isinstance(outcome, Applied) else outcome


BROKEN = {
    IgnoresIfAbsent: Check.CREATE_AGAIN,
    IgnoresTokens: Check.REPLACE_STALE,
    BringsBackTheMissing: Check.REPLACE_MISSING,
    DeletesAnyway: Check.DELETE_STALE,
    RefusesAndWrites: Check.REPLACE_STALE,
    RefusesReplace: Check.REPLACE,
    RefusesCreate: Check.CREATE,
    NamesAnotherToken: Check.CREATE,
    KeepsItsTokens: Check.REPLACE,
}


def run_probe(first: MemoryStore, second: MemoryStore) -> ProbeReport:
    return asyncio.run(probe(first, second, Keys("p"), CountingRng()))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(("kind", "check"), BROKEN.items())
def test_a_broken_promise_is_noticed(kind: type[Store], check: Check, dialect: Dialect) -> None:
    objects = MemoryObjects(dialect)
    report = run_probe(kind(objects), kind(objects))
    assert [each for each, v in report.verdicts.items() if v is Verdict.BROKEN] == [check]
    assert report.refused is not None
    for part in ("memory under test", check.value, LOSS[check]):
        assert part in report.refused
    with pytest.raises(StoreRefused, match="memory under test"):
        report.require()
    after = list(report.verdicts).index(check) + 1
    assert set(list(report.verdicts.values())[after:]) <= {Verdict.NOT_RUN}
    assert objects.list(RemoteKey("")).rows == ()


def test_two_connections_that_do_not_see_each_other_are_noticed() -> None:
    report = run_probe(Store(MemoryObjects(Dialect.S3)), Store(MemoryObjects(Dialect.S3)))
    assert report.verdicts[Check.CREATE] is Verdict.BROKEN


def test_a_store_without_conditional_delete_is_taken_and_says_so() -> None:
    objects = MemoryObjects(
        Dialect.GCS, StoreCapabilities(conditional_delete=False, server_copy=True)
    )
    report = run_probe(Store(objects), Store(objects))
    assert report.refused is None
    assert report.verdicts[Check.DELETE_STALE] is Verdict.NOT_SUPPORTED


class Uncertain(Store):
    """The answer to one write is lost; `lands`: not the write itself."""

    def __init__(self, objects: MemoryObjects, which: str, *, lands: bool) -> None:
        super().__init__(objects)
        self._which = which
        self._lands = lands

    async def create(  # type: ignore[override]
        self, key: RemoteKey, body: Body, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        if self._which != "create":
            return await super().create(key, body, metadata)
        if self._lands:
            await super().create(key, body, metadata)
        return Unknown("cut")

    async def replace(  # type: ignore[override]
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        if self._which == "race":
            return Rejected(raced=True)
        if self._which != "replace":
            return await super().replace(key, body, token, metadata)
        if self._lands:
            await super().replace(key, body, token, metadata)
        return Unknown("cut")


def test_a_lost_answer_is_read_back() -> None:
    objects = MemoryObjects(Dialect.S3)
    report = run_probe(Uncertain(objects, "create", lands=True), Store(objects))
    assert report.refused is None


@pytest.mark.parametrize(
    ("which", "first"),
    [("create", True), ("create", False), ("replace", True), ("replace", False), ("race", False)],
)
def test_what_stays_unclear_is_no_verdict(which: str, first: bool) -> None:  # noqa: FBT001
    objects = MemoryObjects(Dialect.S3)
    doubtful, sure = Uncertain(objects, which, lands=False), Store(objects)
    with pytest.raises(StoreUnavailable, match="cannot tell"):
        run_probe(*((doubtful, sure) if first else (sure, doubtful)))
    assert objects.list(RemoteKey("")).rows == ()


def test_a_probe_that_is_cancelled_cleans_up() -> None:
    objects = MemoryObjects(Dialect.S3)
    reached = asyncio.Event()

    class Hangs(Store):
        async def replace(
            self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
        ) -> Applied | Rejected:
            del key, body, token, metadata
            reached.set()
            await asyncio.Event().wait()
            raise AssertionError

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(
                probe(Hangs(objects), Hangs(objects), Keys("p"), CountingRng())
            )
            await reached.wait()
            assert isinstance(objects.get(Keys("p").probe(WID)), Found)
            task.cancel()
        assert objects.get(Keys("p").probe(WID)) == Missing()

    asyncio.run(run())


class Silent(Store):
    """It answers nothing but creates; `refuses`: not those either."""

    def __init__(self, objects: MemoryObjects, *, refuses: bool = False) -> None:
        super().__init__(objects)
        self._refuses = refuses
        self.deletes = 0

    async def create(
        self, key: RemoteKey, body: Body, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        if self._refuses:
            raise StoreUnavailable("no route", "")
        return await super().create(key, body, metadata)

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> Applied | Rejected:
        del key, body, token, metadata
        await self._never()

    async def delete(self, key: RemoteKey) -> Applied:
        del key
        self.deletes += 1
        await self._never()

    async def _never(self) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError


def test_cleaning_up_after_a_store_that_fell_silent_takes_no_time() -> None:
    store = Silent(MemoryObjects(Dialect.S3))

    async def run() -> float:
        with suppress(TimeoutError):
            async with asyncio.timeout(45.0):
                await probe(store, store, Keys("p"), CountingRng())
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert 45.0 <= runner.run(run()) <= 45.0 + CLEAN_UP_S
    assert store.deletes == 1


def test_what_was_never_written_is_not_cleaned_up() -> None:
    store = Silent(MemoryObjects(Dialect.S3), refuses=True)
    with pytest.raises(StoreUnavailable, match="no route"):
        run_probe(store, store)
    assert store.deletes == 0


class PartsAreSilent(Store):
    """An upload of it is never heard of again."""

    @property
    def parts(self) -> Any:
        return self

    async def begin(self, *_: Any) -> str:
        return "upload"

    async def send(self, *_: Any) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def abort(self, *_: Any) -> None:
        await asyncio.Event().wait()


def test_an_upload_of_a_store_that_fell_silent_is_left() -> None:
    store = PartsAreSilent(MemoryObjects(Dialect.S3))

    async def run() -> float:
        with suppress(TimeoutError):
            async with asyncio.timeout(45.0):
                await probe(store, store, Keys("p"), CountingRng())
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert 45.0 <= runner.run(run()) <= 45.0 + 2 * CLEAN_UP_S
    assert store.objects.list(RemoteKey("")).rows == ()


class LetsNothingBeDeleted(Store):
    async def delete_if(self, key: RemoteKey, token: Token) -> Applied | Rejected:
        raise StoreDenied(f"object lock on {key} at {token}", "")


def test_a_store_that_lets_nothing_be_deleted_is_taken_and_says_so() -> None:
    objects = MemoryObjects(Dialect.S3)
    stores = LetsNothingBeDeleted(objects), LetsNothingBeDeleted(objects)
    report = asyncio.run(require_kept(*stores, Keys(), CountingRng()))
    assert report.verdicts[Check.DELETE_STALE] is Verdict.DENIED
    assert report.refused is None
