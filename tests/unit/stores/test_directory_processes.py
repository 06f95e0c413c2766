"""One folder, several processes: no lost update, and no torn object after `kill -9`."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random  # noqa: TID251 - seeded, to vary the moment of the kill
import signal
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Found, Missing
from tests.contract.subjects import applied, key
from tests.unit.stores import writers
from tests.unit.stores.forcing import open_folder

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from pathlib import Path

# A fresh interpreter, as another daemon would be; a fork would share descriptors.  All processes
# are daemonic: a test that fails must not wait for them.
SPAWN = multiprocessing.get_context("spawn")
KILLS = 12


def finish(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.join()
        assert process.exitcode == 0


def test_processes_that_count_lose_no_increment(folder: Path) -> None:
    store = open_folder(folder)
    asyncio.run(store.create(writers.COUNTER, b"0", {}))
    processes: list[BaseProcess] = [
        SPAWN.Process(target=writers.count_up, args=(str(folder), 60), daemon=True)
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    writers.count_up(str(folder), 60)
    finish(processes)
    found = asyncio.run(store.get(writers.COUNTER))
    assert isinstance(found, Found)
    assert (found.body, dict(found.metadata)) == (b"240", {"count": "240"})


def test_each_key_is_created_by_one_process(folder: Path) -> None:
    pipes = [SPAWN.Pipe() for _ in range(3)]
    processes: list[BaseProcess] = [
        SPAWN.Process(
            target=writers.create_all, args=(str(folder), str(mark), 200, end), daemon=True
        )
        for mark, (_, end) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    won = [here.recv() for here, _ in pipes]
    finish(processes)
    assert sorted(index for each in won for index in each) == list(range(200))
    store = open_folder(folder)
    for mark, indices in enumerate(won):
        for index in indices:
            found = asyncio.run(store.get(key(f"race/{index % 7}/{index}")))
            assert isinstance(found, Found)
            assert (found.body, dict(found.metadata)) == (str(mark).encode(), {"by": str(mark)})


def number_of(found: object) -> int | None:
    """The write that made an object; fails on a mix of two."""
    if found == Missing():
        return None
    assert isinstance(found, Found)
    number = int(found.metadata["number"])
    assert found.body == writers.body_of(number)
    return number


def run_and_kill(folder: Path, seed: int, known: list[set[int | None]]) -> int:
    """One process that is killed after some changes; afterwards `known` is what may be there."""
    rng = random.Random(seed)  # noqa: S311 - as above
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(
        target=writers.write_for_ever,
        args=(str(folder), seed, seed * 1_000_000, there),
        daemon=True,
    )
    process.start()
    there.close()
    steps = rng.randrange(1, 200)
    ended = 0
    pending: dict[int, int | None] = {}
    reader = open_folder(folder)
    try:
        while True:
            event, index, number = here.recv()
            if event == "begin":
                pending[index] = number
                known[index].add(number)
            else:
                known[index] = {pending.pop(index)}
            ended += 1
            if ended == steps:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
            elif ended % 17 == 0:
                number_of(asyncio.run(reader.get(writers.KEYS[index])))
    except EOFError:
        process.join()
    here.close()
    assert process.exitcode == -signal.SIGKILL
    return ended


@pytest.mark.timeout(120)
def test_kill_9_at_any_moment_leaves_every_object_old_or_new(folder: Path) -> None:
    known: list[set[int | None]] = [{None} for _ in writers.KEYS]
    for seed in range(1, KILLS + 1):
        run_and_kill(folder, seed, known)
        store = open_folder(folder)
        rows = {row.key for row in asyncio.run(store.list(key(""))).rows}
        for index, name in enumerate(writers.KEYS):
            number = number_of(asyncio.run(store.get(name)))
            assert number in known[index]
            assert (name in rows) == (number is not None)
            known[index] = {number}
        assert rows <= set(writers.KEYS)
    # The lock of the dead is free, and nothing of theirs is in the way.
    store = open_folder(folder)
    for name in writers.KEYS:
        token = applied(asyncio.run(store.put(name, b"alive", {})))
        assert asyncio.run(store.get(name)) == Found(token, 5, {}, b"alive")
