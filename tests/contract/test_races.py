"""Compare-and-swap under contention: one winner, and nothing is lost."""

from __future__ import annotations

import asyncio
import random

from swampd.domain.outcomes import Applied, Found, Missing, Rejected
from tests.contract.subjects import A, Subject, applied, key, many_requests

COUNTER = key("counter")


def test_one_of_32_creates_wins(subject: Subject) -> None:
    async def run() -> None:
        for attempt in range(5):
            name = key(f"race/{attempt}")
            stores = (subject.store, subject.other) * 16
            outcomes = await asyncio.gather(
                *(store.create(name, f"{i}".encode(), {}) for i, store in enumerate(stores))
            )
            winners = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Applied)]
            assert len(winners) == 1
            assert outcomes.count(Rejected()) == 31
            found = await subject.store.get(name)
            assert isinstance(found, Found)
            assert found.body == f"{winners[0]}".encode()
            assert Applied(found.token) == outcomes[winners[0]]

    asyncio.run(run())


@many_requests
def test_a_counter_loses_no_increment(subject: Subject) -> None:
    async def increment(index: int) -> int:
        store = (subject.store, subject.other)[index % 2]
        refused = 0
        for step in range(50):
            while True:
                found = await store.get(COUNTER)
                assert isinstance(found, Found)
                # The writer's mark keeps the bytes unique, as those of a head are (L9).
                count = int(found.body.split()[0]) + 1
                body = f"{count} {index} {step} {refused}".encode()
                outcome = await store.replace(COUNTER, body, found.token, {"count": str(count)})
                if isinstance(outcome, Applied):
                    break
                assert outcome == Rejected()
                refused += 1
        return refused

    async def run() -> None:
        await subject.store.create(COUNTER, b"0", {})
        await asyncio.gather(*(increment(index) for index in range(8)))
        found = await subject.store.get(COUNTER)
        assert isinstance(found, Found)
        assert int(found.body.split()[0]) == 400
        assert found.metadata == {"count": "400"}

    asyncio.run(run())


def test_a_put_and_a_delete_leave_all_or_nothing(subject: Subject) -> None:
    async def run() -> None:
        for attempt in range(50):
            body = f"body {attempt}".encode()
            put, deleted = await asyncio.gather(
                subject.store.put(A, body, {"attempt": str(attempt)}), subject.other.delete(A)
            )
            token = applied(put)
            assert deleted == Applied(None)
            whole = Found(token, len(body), {"attempt": str(attempt)}, body)
            assert await subject.store.get(A) in (Missing(), whole)

    asyncio.run(run())


def test_one_of_many_conditional_deletes_and_replaces_wins(subject: Subject) -> None:
    async def run() -> None:
        for attempt in range(20):
            token = applied(await subject.store.put(A, f"old {attempt}".encode(), {}))
            outcomes = await asyncio.gather(
                *(subject.store.delete_if(A, token) for _ in range(4)),
                *(subject.other.replace(A, b"%d %d" % (attempt, i), token, {}) for i in range(4)),
            )
            assert sum(isinstance(outcome, Applied) for outcome in outcomes) == 1
            gone = any(isinstance(outcome, Applied) for outcome in outcomes[:4])
            assert (await subject.store.get(A) == Missing()) == gone

    asyncio.run(run())


@many_requests
def test_a_reader_never_sees_a_mix_of_versions(subject: Subject) -> None:
    size = 50_000

    async def write(seed: int) -> None:
        rng = random.Random(seed)
        for step in range(60):
            body = bytes([rng.randrange(256)]) * rng.choice((1, size, size))
            mark = {"first": str(body[0]), "size": str(len(body))}
            if step % 7 == seed % 7:
                await subject.store.delete(A)
            await subject.store.put(A, body, mark)

    async def read() -> int:
        seen = 0
        for _ in range(150):
            found = await subject.other.get(A)
            head = await subject.store.head(A)
            if isinstance(found, Found):
                assert set(found.body) == {int(found.metadata["first"])}
                assert len(found.body) == found.size == int(found.metadata["size"])
                seen += 1
            if isinstance(head, Found):
                assert head.size == int(head.metadata["size"])
        return seen

    async def run() -> None:
        await subject.store.put(A, b"\0", {"first": "0", "size": "1"})
        await asyncio.gather(*(write(seed) for seed in range(3)), *(read() for _ in range(3)))

    asyncio.run(run())
