"""The threads port: blocking and CPU-bound work on bounded pools.

Keeps true: when `io` or `cpu` has returned or raised, its work is not running.  Cancelling the
caller drops work that has not begun and waits for work that has: whoever takes over after a
cancellation does not meet half of it in the tree.

Limits: work that hangs (a dead NFS server) holds its caller and one thread until it comes back.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from swampd.errors import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

IO_THREADS: Final = 8


class BoundedThreads:
    """A `ports.Threads` on two pools: `io_threads` for the file system, one for the CPU."""

    def __init__(self, io_threads: int = IO_THREADS) -> None:
        self._io = ThreadPoolExecutor(io_threads, "io")
        self._cpu = ThreadPoolExecutor(1, "cpu")
        self._closed = False

    async def io(self, work: Callable[[], T]) -> T:
        """Run blocking work; what it raises comes out.  Raises Stopping after `close`."""
        return await self._run(self._io, work)

    async def cpu(self, work: Callable[[], T]) -> T:
        """Run CPU-bound work, one at a time in the process.  Raises Stopping after `close`."""
        return await self._run(self._cpu, work)

    def close(self) -> None:
        """Take no more work and drop what has not begun: its callers get Stopping."""
        self._closed = True
        for pool in (self._io, self._cpu):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise _stopping()
        job = pool.submit(_without_stop_iteration, work)
        done = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if done.cancelled() and not _being_cancelled():
                raise _stopping() from None
            if not job.cancel():
                await _finished(done)
            raise


def _stopping() -> Stopping:
    return Stopping("the daemon's threads are stopped", "the daemon is going down: try again")


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _without_stop_iteration(work: Callable[[], T]) -> T:
    try:
        return work()
    except StopIteration as error:  # no future can carry it: the caller would hang
        raise RuntimeError("the work raised StopIteration") from error


async def _finished(done: asyncio.Future[T]) -> None:
    """Wait for it, however often we are cancelled meanwhile: the caller raises that at the end."""
    while not done.done():
        try:
            await asyncio.wait((done,))
        except asyncio.CancelledError:
            continue
