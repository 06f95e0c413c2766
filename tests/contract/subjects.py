"""The stores that the contract is held against, and the threads that they run in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pytest

from swampd.domain.datastores import CloudEnvironment, S3Settings
from swampd.domain.outcomes import Applied
from swampd.domain.values import RemoteKey, Token
from swampd.stores.directory import DirectoryStore
from swampd.stores.memory import Dialect, MemoryObjects, MemoryStore
from swampd.stores.probe import Check
from swampd.stores.s3.store import S3Store
from tests.servers.clients import credentials_file

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

KINDS = ("memory-s3", "memory-gcs", "directory", "s3-responder", "s3-moto")

many_requests = pytest.mark.parametrize(
    "subject",
    [*KINDS[:-1], pytest.param(KINDS[-1], marks=pytest.mark.servers)],
    indirect=True,
)
"""For a test of so many requests that moto takes seconds for them: on moto with the others that
take a while only."""


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
    lacks: frozenset[Check] = frozenset({Check.PARTS})
    holds_newlines: bool = True
    """False for a server that cannot have a line end in a key."""

    def can_hold(self, name: str) -> bool:
        """Can the server have this key?"""
        return self.holds_newlines or "\n" not in name


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


def s3_subject(url: str, bucket: str, home: Path, *, holds_newlines: bool) -> Subject:
    """A bucket behind this endpoint, through two connections."""
    settings = S3Settings(bucket, region="us-east-1", endpoint=url, force_path_style=True)
    environment = CloudEnvironment(shared_credentials_file=str(credentials_file(home)))
    one, two = (S3Store(settings, environment) for _ in range(2))
    lacks: frozenset[Check] = frozenset()
    return Subject(one, two, tokens_come_back=True, lacks=lacks, holds_newlines=holds_newlines)
