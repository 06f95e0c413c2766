"""What the other processes of `test_directory_processes` do."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded, to vary what is written
from pathlib import Path
from typing import TYPE_CHECKING

from swampd.domain.outcomes import Applied, Found, Rejected
from swampd.domain.values import RemoteKey
from tests.unit.stores.forcing import open_folder

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from swampd.stores.directory import DirectoryStore

COUNTER = RemoteKey("counter")
KEYS = [RemoteKey(name) for name in ("data/a", "data/b/c", "data/b/d", "e", "f/g/h/i")]


def body_of(number: int) -> bytes:
    """Bytes from which a torn write shows, of a size that differs now and then."""
    return f"{number:08}".encode() * (1 + number % 3 * 20_000)


def count_up(folder: str, times: int) -> None:
    """Increment the counter so many times, by compare-and-swap."""

    async def run() -> None:
        store = open_folder(Path(folder))
        for _ in range(times):
            while True:
                found = await store.get(COUNTER)
                assert isinstance(found, Found)
                count = str(int(found.body) + 1)
                metadata = {"count": count}
                outcome = await store.replace(COUNTER, count.encode(), found.token, metadata)
                if isinstance(outcome, Applied):
                    break
                assert outcome == Rejected()

    asyncio.run(run())


def create_all(folder: str, mark: str, count: int, won: Connection) -> None:
    """Try to create the same keys as the others; tell which were won."""

    async def run() -> list[int]:
        store = open_folder(Path(folder))
        names = [RemoteKey(f"race/{index % 7}/{index}") for index in range(count)]
        outcomes = [await store.create(name, mark.encode(), {"by": mark}) for name in names]
        return [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Applied)]

    won.send(asyncio.run(run()))


def write_for_ever(folder: str, seed: int, start: int, tell: Connection) -> None:
    """Change objects until killed; tell of each change before it is made, and after."""
    rng = random.Random(seed)  # noqa: S311 - as above

    async def run() -> None:
        store = open_folder(Path(folder))
        number = start
        while True:
            number += 1
            index = rng.randrange(len(KEYS))
            change = rng.choice(("put", "put", "replace", "delete"))
            tell.send(("begin", index, None if change == "delete" else number))
            landed = await _change(store, KEYS[index], change, number)
            tell.send(("end" if landed else "none", index, number))

    asyncio.run(run())


async def _change(store: DirectoryStore, name: RemoteKey, change: str, number: int) -> bool:
    metadata = {"number": str(number)}
    if change == "delete":
        return isinstance(await store.delete(name), Applied)
    if change == "put":
        return isinstance(await store.put(name, body_of(number), metadata), Applied)
    found = await store.head(name)
    if not isinstance(found, Found):
        return isinstance(await store.create(name, body_of(number), metadata), Applied)
    return isinstance(await store.replace(name, body_of(number), found.token, metadata), Applied)
