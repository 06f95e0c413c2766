"""The threads port: blocking and CPU-bound work on bounded pools.

Keeps true: when `io` or `cpu` has returned or raised, its work is not running.  Cancelling the
caller drops work that has not begun and waits for work that has: whoever takes over after a
cancellation does not meet half of it in the tree.

A hop costs little, for small files make many: one future a call, and the loop is woken once for
all that was done meanwhile.

Limits: work that hangs (a dead NFS server) holds its caller and one thread until it comes back; the
process may end without it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from swampd.errors import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

IO_THREADS: Final = 8


class BoundedThreads:
    """A `ports.Threads` on two pools: `io_threads` for the file system, one for the CPU."""

    def __init__(self, io_threads: int = IO_THREADS) -> None:
        self._io = _Pool(io_threads, "io")
        self._cpu = _Pool(1, "cpu")

    async def io(self, work: Callable[[], T]) -> T:
        """Run blocking work; what it raises comes out.  Raises Stopping after `close`."""
        return await self._io.run(work)

    async def cpu(self, work: Callable[[], T]) -> T:
        """Run CPU-bound work, one at a time in the process.  Raises Stopping after `close`."""
        return await self._cpu.run(work)

    def close(self) -> None:
        """Take no more work and drop what has not begun: its callers get Stopping."""
        self._io.close()
        self._cpu.close()


class _Wakes:
    """Tells one loop what is done: many jobs with one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[_Job[Any]] = deque()
        self._coming = False

    def tell(self, job: _Job[Any]) -> None:
        """Called in any thread.  Two that find nothing coming both wake the loop: no harm."""
        self._done.append(job)
        if self._coming:
            return
        self._coming = True
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed, nobody waits
            self._coming = False

    def _wake(self) -> None:
        self._coming = False  # before the look: what is appended after it wakes again
        while self._done:
            self._done.popleft().wake()


class _Job(Generic[T]):
    """One piece of work and who waits for it."""

    __slots__ = ("_beginning", "_work", "error", "finished", "result", "waiter", "wakes")

    def __init__(self, work: Callable[[], T], wakes: _Wakes) -> None:
        self._work = work
        self._beginning = Lock()
        self.wakes = wakes
        self.waiter: asyncio.Future[None] = wakes.loop.create_future()
        self.finished = False
        self.result: T | None = None
        self.error: BaseException | None = None

    def claim(self) -> bool:
        """True for the one who begins it, or drops it before it has begun."""
        return self._beginning.acquire(blocking=False)

    def run(self) -> None:
        """Do the work, in a thread of the pool."""
        try:
            self.result = self._work()
        except StopIteration as error:  # no future can carry it: the caller would hang
            self.error = RuntimeError("the work raised StopIteration")
            self.error.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self.error = error
        self._end()

    def refuse(self) -> None:
        """Drop it: its caller is told."""
        self.error = _stopping()
        self._end()

    def _end(self) -> None:
        self.finished = True
        self.wakes.tell(self)

    def wake(self) -> None:
        """Whoever waits goes on, in the loop."""
        if not self.waiter.done():
            self.waiter.set_result(None)

    async def wait(self) -> T:
        """What the work gave or raised."""
        try:
            await self.waiter
        except asyncio.CancelledError:
            if not self.claim():
                await self._wait_to_its_end()
            raise
        if self.error is None:
            return cast("T", self.result)
        try:
            raise self.error
        finally:
            self.error = None  # its traceback holds this frame

    async def _wait_to_its_end(self) -> None:
        """Wait for it, however often we are cancelled meanwhile: the caller raises that at the
        end."""
        while not self.finished:
            self.waiter = self.wakes.loop.create_future()
            try:
                await self.waiter
            except asyncio.CancelledError:
                continue


class _Pool:
    """At most so many threads, started when there is work for one more."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._threads = 0
        self._open = 0
        self._closed = False
        self._wakes: _Wakes | None = None

    async def run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise _stopping()
        loop = asyncio.get_running_loop()
        if self._wakes is None or self._wakes.loop is not loop:
            self._wakes = _Wakes(loop)
        job = _Job(work, self._wakes)
        self._open += 1
        try:
            if self._open > self._threads and self._threads < self._most:
                self._start()
            self._jobs.put(job)
            return await job.wait()
        finally:
            self._open -= 1

    def close(self) -> None:
        self._closed = True
        with suppress(Empty):
            while (job := self._jobs.get_nowait()) is not None:
                if job.claim():
                    job.refuse()
        for _ in range(self._threads):
            self._jobs.put(None)

    def _start(self) -> None:
        thread = Thread(target=self._serve, name=f"{self._name}_{self._threads}", daemon=True)
        thread.start()
        self._threads += 1

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.claim():
                job.run()
            del job  # nothing of it is kept while there is no more


def _stopping() -> Stopping:
    return Stopping("the daemon's threads are stopped", "the daemon is going down: try again")
