"""Blocking calls in threads: bounded, and cut off when nobody waits any more."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from swampd.errors import Stopping
from swampd.operation import NONE, operation
from swampd.stores.s3.calls import Call, Calls, Cut, operation_here, this_call
from tests.contract.subjects import Pieces

if TYPE_CHECKING:
    from collections.abc import Callable

_numbers = count()


class Work:
    """Work that says when it has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()
        self.ended = threading.Event()
        self.call: Call | None = None

    def __call__(self, call: Call) -> str:
        self.call = call
        self.begun.set()
        self.release.wait()
        self.ended.set()
        return "done"


async def until(event: threading.Event) -> None:
    """In a thread of asyncio: the loop goes on."""
    assert await asyncio.to_thread(event.wait, 30)


def make(most: int) -> Calls:
    return Calls(most, f"calls-{next(_numbers)}")


def threads(calls: Calls) -> list[threading.Thread]:
    mine = f"{calls._name}-"
    return [thread for thread in threading.enumerate() if thread.name.startswith(mine)]


def run(work: Callable[[Calls], object], most: int = 2) -> None:
    """Run the coroutine that `work` makes, and see all threads gone."""
    calls = make(most)

    async def scene() -> None:
        coroutine = work(calls)
        assert asyncio.iscoroutine(coroutine)
        await coroutine
        calls.close()

    asyncio.run(scene())
    for thread in threads(calls):
        thread.join(30)
    assert not threads(calls)


# --- what comes out -------------------------------------------------------------------------


def test_an_answer_and_an_error_come_out() -> None:
    def fail(_: Call) -> None:
        raise ValueError("why")

    async def scene(calls: Calls) -> None:
        assert await calls.run(lambda _: 42) == 42
        with pytest.raises(ValueError, match="why"):
            await calls.run(fail)
        assert await calls.run(lambda _: 43) == 43

    run(scene)


def test_what_no_future_can_carry_is_told_apart() -> None:
    def fail(_: Call) -> None:
        raise StopIteration

    async def scene(calls: Calls) -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await calls.run(fail)

    run(scene)


def test_a_thread_knows_its_call_and_whose_operation_it_is() -> None:
    async def scene(calls: Calls) -> None:
        assert await calls.run(lambda _: operation_here()) == NONE
        with operation("push") as name:
            assert await calls.run(lambda _: operation_here()) == name
            assert await calls.run(lambda call: this_call() is call)
        assert await calls.run(lambda _: operation_here()) == NONE
        assert this_call() is None
        assert operation_here() == NONE

    run(scene)


# --- how many -------------------------------------------------------------------------------


def test_so_many_run_side_by_side_and_the_rest_waits_in_turn() -> None:
    async def scene(calls: Calls) -> None:
        works = [Work() for _ in range(5)]
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(calls.run(work))
            await until(works[0].begun)
            await until(works[1].begun)
            assert not any(work.begun.is_set() for work in works[2:])
            assert len(threads(calls)) == 2
            works[1].release.set()
            await until(works[2].begun)
            assert not works[3].begun.is_set()
            for work in works:
                work.release.set()
        assert all(work.ended.is_set() for work in works)
        assert len(threads(calls)) == 2

    run(scene)


def test_no_more_threads_than_work() -> None:
    async def scene(calls: Calls) -> None:
        for _ in range(10):
            await calls.run(lambda _: None)
        assert len(threads(calls)) == 1

    run(scene, most=8)


# --- cut ------------------------------------------------------------------------------------


def test_who_is_cancelled_goes_on_while_the_work_is_under_way() -> None:
    async def scene(calls: Calls) -> None:
        work = Work()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(calls.run(work))
            await until(work.begun)
            task.cancel()
        assert task.cancelled()
        assert not work.ended.is_set()
        assert work.call is not None
        assert work.call.is_cut
        work.release.set()
        assert await calls.run(lambda _: "next") == "next"

    run(scene)


def test_what_has_not_begun_is_dropped() -> None:
    async def scene(calls: Calls) -> None:
        first, second = Work(), Work()
        async with asyncio.TaskGroup() as group:
            group.create_task(calls.run(first))
            await until(first.begun)
            task = group.create_task(calls.run(second))
            await asyncio.to_thread(lambda: None)
            task.cancel()
            await asyncio.wait([task])
            first.release.set()
        assert await calls.run(lambda _: "next") == "next"
        assert not second.begun.is_set()

    run(scene, most=1)


def test_a_sink_gets_nothing_once_nobody_waits() -> None:
    async def scene(calls: Calls) -> None:
        pieces = Pieces()
        first, go_on, met = threading.Event(), threading.Event(), threading.Event()

        def read(call: Call) -> None:
            into = call.sink(pieces)
            into(b"1")
            first.set()
            go_on.wait()
            with pytest.raises(Cut):
                into(b"2")
            met.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(calls.run(read))
            await until(first)
            task.cancel()
        go_on.set()
        await until(met)
        assert pieces.chunks == [b"1"]

    run(scene)


def test_a_socket_is_shut_down_under_whoever_waits_on_it() -> None:
    async def scene(calls: Calls) -> None:
        ours, theirs = socket.socketpair()
        waiting, heard = threading.Event(), threading.Event()

        def receive(call: Call) -> None:
            call.uses(ours)
            call.uses(ours)
            waiting.set()
            assert ours.recv(1) == b""
            heard.set()

        with ours, theirs:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(calls.run(receive))
                await until(waiting)
                task.cancel()
            await until(heard)
            assert theirs.recv(1) == b""

    run(scene)


def test_a_socket_with_tls_keeps_it_when_it_is_shut_down() -> None:
    """Else what is being sent would go on in the clear."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours, theirs = socket.socketpair()
    secure: Any = context.wrap_socket(
        ours, server_hostname="somewhere", do_handshake_on_connect=False
    )
    with secure, theirs:
        call = Call(NONE)
        call.uses(secure)
        call.cut()
        assert secure._sslobj is not None
        with pytest.raises(ssl.SSLError):
            secure.send(b"payload")
        assert theirs.recv(1) == b""


def test_a_socket_of_a_call_that_is_over_is_left_alone() -> None:
    ours, later = socket.socketpair()
    with ours, later:
        call = Call(NONE)
        call.uses(ours)
        call.done()
        call.cut()
        ours.send(b"still open")
        with pytest.raises(Cut):
            call.uses(later)
        later.send(b"still open")


# --- the end --------------------------------------------------------------------------------


def test_nothing_is_begun_after_the_end() -> None:
    async def scene(calls: Calls) -> None:
        calls.close()
        with pytest.raises(Stopping):
            await calls.run(lambda _: None)

    run(scene)


def test_the_end_cuts_what_is_under_way_and_refuses_what_waits() -> None:
    async def scene(calls: Calls) -> None:
        ours, theirs = socket.socketpair()
        begun = threading.Event()

        def receive(call: Call) -> bytes:
            call.uses(ours)
            begun.set()
            return ours.recv(1)

        with ours, theirs:
            async with asyncio.TaskGroup() as group:
                under_way = group.create_task(calls.run(receive))
                await until(begun)
                waits = group.create_task(_refused(calls, Work()))
                await asyncio.to_thread(lambda: None)
                calls.close()
            assert under_way.result() == b""
            assert waits.result()

    run(scene, most=1)


async def _refused(calls: Calls, work: Work) -> bool:
    with suppress(Stopping):
        await calls.run(work)
    return not work.begun.is_set()


def test_a_sink_that_the_end_cuts_is_no_error_of_its_own() -> None:
    async def scene(calls: Calls) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def read(call: Call) -> None:
            begun.set()
            go_on.wait()
            call.sink(Pieces())(b"x")

        async def refused() -> None:
            with pytest.raises(Stopping):
                await calls.run(read)

        async with asyncio.TaskGroup() as group:
            group.create_task(refused())
            await until(begun)
            calls.close()
            go_on.set()

    run(scene)


def test_work_that_outlives_its_loop_ends_quietly() -> None:
    work = Work()
    calls = make(1)

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(calls.run(work))
            await until(work.begun)
            task.cancel()

    asyncio.run(scene())
    calls.close()
    (thread,) = threads(calls)
    work.release.set()
    thread.join(30)
    assert not thread.is_alive()
    assert thread.daemon
