"""Work in threads: bounded, and not running any more when its caller goes on."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from swampd.errors import Stopping
from swampd.threads import BoundedThreads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swampd.ports import Threads


@contextmanager
def pools(io_threads: int = 8) -> Iterator[BoundedThreads]:
    threads = BoundedThreads(io_threads)
    try:
        yield threads
    finally:
        threads.close()


class Gate:
    """Work that says that it has begun, and ends when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = False

    def __call__(self) -> str:
        self.begun.set()
        self.may_end.wait(20)  # seconds; a test that fails before it opens must not hang
        self.ended = True
        return "done"


def fail() -> None:
    raise ValueError("no")


def end_of_rows() -> None:
    next(iter(()))


def test_results_and_errors_come_out() -> None:
    async def scenario() -> None:
        with pools() as found:
            threads: Threads = found
            for run in (threads.io, threads.cpu):
                assert await run(threading.current_thread) is not threading.current_thread()
                with pytest.raises(ValueError, match="no"):
                    await run(fail)
                with pytest.raises(RuntimeError, match="StopIteration"):
                    await run(end_of_rows)

    asyncio.run(scenario())


def test_io_runs_side_by_side_up_to_its_bound() -> None:
    together = threading.Barrier(3)

    async def scenario() -> None:
        with pools(3) as threads, threads_counted() as most:
            async with asyncio.TaskGroup() as group:
                for _ in range(9):
                    group.create_task(threads.io(lambda: most(together.wait)))
            assert most.seen == 3

    asyncio.run(scenario())


def test_cpu_work_runs_one_at_a_time() -> None:
    async def scenario() -> None:
        with pools() as threads, threads_counted() as most:
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(threads.cpu(lambda: most(lambda: sum(range(1000)))))
            assert most.seen == 1

    asyncio.run(scenario())


class Most:
    """Counts how much work runs at once, at most."""

    def __init__(self) -> None:
        self.seen = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, work: object) -> None:
        with self._lock:
            self._now += 1
            self.seen = max(self.seen, self._now)
        work()  # type: ignore[operator]
        with self._lock:
            self._now -= 1


@contextmanager
def threads_counted() -> Iterator[Most]:
    yield Most()


def test_cpu_work_does_not_wait_for_io() -> None:
    async def scenario() -> None:
        gate = Gate()
        with pools(1) as threads:
            async with asyncio.TaskGroup() as group:
                group.create_task(threads.io(gate))
                assert await threads.cpu(lambda: 1) == 1
                gate.may_end.set()

    asyncio.run(scenario())


def test_a_cancelled_caller_waits_for_work_that_has_begun() -> None:
    async def scenario() -> None:
        gate = Gate()
        with pools() as threads:
            async with asyncio.TaskGroup() as group:
                caller = group.create_task(threads.io(gate))
                await asyncio.to_thread(gate.begun.wait)
                for _ in range(3):  # however often
                    caller.cancel()
                    await asyncio.to_thread(int)
                    assert not caller.done()
                gate.may_end.set()
            assert caller.cancelled()
            assert gate.ended

    asyncio.run(scenario())


def test_an_error_of_work_whose_caller_was_cancelled_is_not_heard() -> None:
    gate = Gate()

    def work() -> None:
        gate()
        fail()

    async def scenario() -> None:
        with pools() as threads:
            async with asyncio.TaskGroup() as group:
                caller = group.create_task(threads.io(work))
                await asyncio.to_thread(gate.begun.wait)
                caller.cancel()
                await asyncio.to_thread(gate.may_end.set)
            assert caller.cancelled()

    asyncio.run(scenario())


def test_work_that_has_not_begun_is_dropped_with_its_caller() -> None:
    async def scenario() -> None:
        gate, never = Gate(), Gate()
        with pools(1) as threads:
            async with asyncio.TaskGroup() as group:
                group.create_task(threads.io(gate))
                waiting = group.create_task(threads.io(never))
                await asyncio.to_thread(gate.begun.wait)
                waiting.cancel()
                await asyncio.wait((waiting,))
                assert waiting.cancelled()
                gate.may_end.set()
            assert await threads.io(lambda: 1) == 1
        assert not never.begun.is_set()

    asyncio.run(scenario())


def test_after_close_nothing_is_taken_and_what_waits_is_told() -> None:
    async def scenario() -> None:
        gate = Gate()
        threads = BoundedThreads(1)

        async def told() -> None:
            with pytest.raises(Stopping, match="going down"):
                await threads.io(gate)

        async with asyncio.TaskGroup() as group:
            running = group.create_task(threads.io(gate))
            waiting = group.create_task(told())
            await asyncio.to_thread(gate.begun.wait)
            threads.close()
            await waiting
            await told()
            gate.may_end.set()
        assert running.result() == "done"

    asyncio.run(scenario())


def test_a_cancelled_caller_stays_cancelled_when_the_pools_are_closed() -> None:
    async def scenario() -> None:
        gate = Gate()
        threads = BoundedThreads(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(threads.io(gate))
            waiting = group.create_task(threads.io(gate))
            await asyncio.to_thread(gate.begun.wait)
            waiting.cancel()
            threads.close()
            await asyncio.wait((waiting,))
            assert waiting.cancelled()
            gate.may_end.set()

    asyncio.run(scenario())


def test_one_loop_after_another_may_use_the_same_pools() -> None:
    with pools() as threads:
        for number in range(3):
            assert asyncio.run(threads.io(partial(abs, number))) == number


def test_no_more_threads_than_there_is_work_for() -> None:
    async def scenario() -> None:
        with pools() as threads:
            seen = {await threads.io(threading.get_ident) for _ in range(20)}
            assert len(seen) == 1

    asyncio.run(scenario())


def test_many_that_end_together_are_all_told() -> None:
    async def scenario() -> None:
        with pools() as threads:
            results = await asyncio.gather(*(threads.io(partial(abs, n)) for n in range(2000)))
            assert results == list(range(2000))

    asyncio.run(scenario())


def test_work_may_outlive_its_loop() -> None:
    gate = Gate()
    loop = asyncio.new_event_loop()
    with pools() as threads:
        caller = threads.io(gate)
        loop.call_soon(loop.stop)
        waiting = loop.create_task(caller)
        loop.run_forever()
        assert gate.begun.wait(20)
        loop.close()
        gate.may_end.set()
        assert asyncio.run(threads.io(lambda: 1)) == 1
        assert not waiting.done()
        caller.close()
