"""The stores that the contract is held against, and the threads that they run in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from swampd.domain.outcomes import Applied
from swampd.domain.values import RemoteKey, Token
from swampd.stores.directory import DirectoryStore
from swampd.stores.memory import Dialect, MemoryObjects, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from swampd.domain.outcomes import WriteOutcome
    from swampd.ports import ObjectStore

T = TypeVar("T")

A = RemoteKey("data/a.yaml")
B = RemoteKey("data/b.yaml")
META = {"swampd": "1 w 7 d", "swampd-sha256": "f" * 64}
STRANGE = Token("no-such-token", "0")

KINDS = ("memory-s3", "memory-gcs", "directory")


class PoolThreads:
    """`ports.Threads` on a pool."""

    def __init__(self, workers: int = 8) -> None:
        self._pool = ThreadPoolExecutor(workers)

    async def io(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def cpu(self, work: Callable[[], T]) -> T:
        return await self.io(work)

    def shut_down(self) -> None:
        self._pool.shutdown()


class InlineThreads:
    """`ports.Threads` that does the work at once, in the caller's thread."""

    async def io(self, work: Callable[[], T]) -> T:
        return work()

    async def cpu(self, work: Callable[[], T]) -> T:
        return work()


@dataclass(frozen=True)
class Subject:
    """A store under test: two connections to it, and what its tokens are."""

    store: ObjectStore
    other: ObjectStore
    tokens_come_back: bool


def make_subject(kind: str, folder: Path, threads: PoolThreads) -> Subject:
    if kind == "directory":
        one, two = (DirectoryStore(folder, threads) for _ in range(2))
        return Subject(one, two, tokens_come_back=False)
    dialect = Dialect(kind.removeprefix("memory-"))
    objects = MemoryObjects(dialect)
    return Subject(
        MemoryStore(objects), MemoryStore(objects), tokens_come_back=dialect is Dialect.S3
    )


def key(text: str) -> RemoteKey:
    return RemoteKey(text)


def applied(outcome: WriteOutcome) -> Token:
    """The token of a write that landed."""
    assert isinstance(outcome, Applied)
    assert outcome.token is not None
    return outcome.token


class Pieces:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def __call__(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
