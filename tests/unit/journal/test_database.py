"""The journal from a loop: never blocking, never half done, there after kill -9."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from swampd.errors import Stopping
from swampd.journal.connection import Connection
from swampd.journal.database import SqliteJournal, open_journal
from swampd.journal.migrating import migrate
from swampd.journal.migrations import MIGRATIONS
from swampd.journal.opening import Existing, Fresh
from tests.unit.journal.test_connection import keys, put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection as Pipe
    from pathlib import Path

    from swampd.ports import Journal, Transaction


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteJournal]:
    journal, _ = open_journal(path)
    try:
        yield journal
    finally:
        await journal.close()


def test_it_is_a_journal(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal, found = open_journal(tmp_path / "journal")
        port: Journal = journal
        assert found == Fresh()
        assert await port.write(put("a")) is None
        assert await port.read(keys) == ["a"]
        await journal.close()
        again, found = open_journal(tmp_path / "journal")
        assert found == Existing()
        assert await again.read(keys) == ["a"]
        await again.close()

    asyncio.run(scenario())


def test_an_error_of_work_rolls_back_and_reaches_the_caller(tmp_path: Path) -> None:
    def work(tx: Transaction) -> None:
        put("lost")(tx)
        raise ValueError("no")

    async def scenario() -> None:
        async with opened(tmp_path / "journal") as journal:
            with pytest.raises(ValueError, match="no"):
                await journal.write(work)
            assert await journal.read(keys) == []

    asyncio.run(scenario())


def test_the_loop_runs_on_and_the_waiting_can_be_cancelled_but_not_the_work(
    tmp_path: Path,
) -> None:
    begun = threading.Event()
    may_go_on = threading.Event()

    def slow(tx: Transaction) -> None:
        put("slow")(tx)
        begun.set()
        may_go_on.wait(20)  # seconds; a test that fails before it must not hang

    async def scenario() -> None:
        async with opened(tmp_path / "journal") as journal, asyncio.TaskGroup() as group:
            running = group.create_task(journal.write(slow))
            queued = group.create_task(journal.write(put("queued")))
            failing = group.create_task(journal.write(put("slow")))
            await asyncio.to_thread(begun.wait)  # the loop is free; all three are handed over
            for task in (running, queued, failing):
                task.cancel()
            await asyncio.wait((running, queued, failing))
            assert all(task.cancelled() for task in (running, queued, failing))
            may_go_on.set()
            assert await journal.read(keys) == ["queued", "slow"]

    asyncio.run(scenario())


def test_many_tasks_at_once_lose_no_update(tmp_path: Path) -> None:
    def add_one(tx: Transaction) -> int:
        ((value,),) = tx.execute("SELECT value FROM meta WHERE key = 'n'")
        tx.execute("UPDATE meta SET value = ? WHERE key = 'n'", (value + 1,))
        return int(value) + 1

    def value(tx: Transaction) -> int:
        ((found,),) = tx.execute("SELECT value FROM meta WHERE key = 'n'")
        return int(found)

    async def scenario() -> None:
        async with opened(tmp_path / "journal") as journal:
            await journal.write(put("n", 0))
            async with asyncio.TaskGroup() as group:
                writes = [
                    group.create_task(journal.write(add_one, durable=number % 10 == 0))
                    for number in range(200)
                ]
                reads = [group.create_task(journal.read(value)) for _ in range(200)]
            assert [task.result() for task in writes] == list(range(1, 201))
            assert {task.result() for task in reads} <= set(range(201))
            assert await journal.read(value) == 200

    asyncio.run(scenario())


def test_close_lets_what_was_asked_for_finish(tmp_path: Path) -> None:
    path = tmp_path / "journal"

    async def scenario() -> None:
        journal, _ = open_journal(path)
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(journal.write(put(f"{number:02}"), durable=False))
            await group.create_task(journal.close())  # asked last: all writes were before it
            await journal.close()
        with pytest.raises(Stopping, match="closed"):
            await journal.write(put("late"))
        with pytest.raises(Stopping, match="closed"):
            await journal.read(keys)
        async with opened(path) as again:
            assert len(await again.read(keys)) == 50

    asyncio.run(scenario())
    assert [member.name for member in tmp_path.iterdir()] == ["journal"]


def test_it_takes_a_connection_in_memory() -> None:
    async def scenario() -> None:
        connection = Connection.in_memory()
        migrate(connection, MIGRATIONS)
        journal = SqliteJournal(connection)
        await journal.write(put("a"))
        assert await journal.read(keys) == ["a"]
        await journal.close()

    asyncio.run(scenario())


def _write_for_ever(path: Path, pipe: Pipe) -> None:
    async def scenario() -> None:
        journal, _ = open_journal(path)
        number = 0
        while True:
            await journal.write(put(f"{number:06}"), durable=number % 2 == 0)
            pipe.send(number)
            number += 1

    asyncio.run(scenario())


def test_kill_9_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    context = multiprocessing.get_context("spawn")
    for round_number in range(2):
        ours, theirs = context.Pipe(duplex=False)
        target = path.with_name(f"{path.name}-{round_number}")
        child = context.Process(target=_write_for_ever, args=(target, theirs))
        child.start()
        theirs.close()
        acknowledged = -1
        while acknowledged < 50 * (round_number + 1):
            acknowledged = ours.recv()
        child.kill()
        child.join()
        while ours.poll():
            try:
                acknowledged = ours.recv()
            except EOFError:
                break
        ours.close()

        async def found(target: Path = target) -> list[str]:
            journal, how = open_journal(target)
            assert how == Existing()
            try:
                return await journal.read(keys)
            finally:
                await journal.close()

        rows = asyncio.run(found())
        assert rows[: acknowledged + 1] == [f"{number:06}" for number in range(acknowledged + 1)]
        assert len(rows) <= acknowledged + 2
