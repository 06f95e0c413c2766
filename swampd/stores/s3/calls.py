"""Blocking calls in threads, each of which can be cut off.

Keeps true: a caller that is cancelled goes on at once.  Its call is *cut*: dropped if it has not
begun; its sockets are shut down if it uses boto3; its sink is never called again.  What became of
its request is then unknown to everybody, which is what the protocol takes a cancelled write for
(section 2).

Limits: a call of obstore cannot be cut from outside; it ends by its own time-out, and meanwhile
holds one thread.  The threads are daemons: they never keep the process from ending.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from queue import SimpleQueue
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, TypeVar

from swampd import operation
from swampd.errors import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.ports import Sink

T = TypeVar("T")


class Cut(Exception):
    """The caller of this call is gone."""


class Call:
    """One call under way."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        """What it belongs to: a thread knows nothing of its caller's context."""
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.is_cut = False

    def uses(self, connection: socket.socket) -> None:
        """From now on the call works on this socket; raises Cut when it is too late."""
        with self._lock:
            if self.is_cut:
                raise Cut
            if connection not in self._sockets:
                self._sockets.append(connection)

    def demand(self) -> None:
        """Raise Cut when the caller is gone."""
        if self.is_cut:
            raise Cut

    def sink(self, sink: Sink) -> Sink:
        """The sink, which is not called any more once the call is cut."""

        def guarded(chunk: bytes) -> None:
            with self._lock:
                if self.is_cut:
                    raise Cut
                sink(chunk)

        return guarded

    def cut(self) -> None:
        """End it: whoever waits on one of its sockets gets an error at once."""
        with self._lock:
            self.is_cut = True
            for connection in self._sockets:
                with suppress(OSError):
                    # Not `connection.shutdown`: that of TLS lets go of its session first, and a
                    # thread that is sending then would go on without it, in the clear.
                    socket.socket.shutdown(connection, SHUT_RDWR)
            self._sockets.clear()

    def done(self) -> None:
        """Its sockets go back to their pool."""
        with self._lock:
            self._sockets.clear()


_local = threading.local()


def this_call() -> Call | None:
    """The call that this thread is working for."""
    return getattr(_local, "call", None)


def operation_here() -> str:
    """The operation that this thread is working for."""
    call = this_call()
    return call.operation if call is not None else operation.NONE


class Calls:
    """At most so many calls side by side; further ones wait in a queue."""

    def __init__(self, threads: int, name: str) -> None:
        self._most = threads
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = 0
        self._waiting = 0
        """Jobs in the queue and under way."""
        self._under_way: set[Call] = set()
        self._closed = False

    async def run(self, work: Callable[[Call], T]) -> T:
        """Run blocking work; what it raises comes out.  Raises Stopping for what is asked after
        `close`, or has not begun then."""
        if self._closed:
            raise _closed()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        call = Call(operation.current())

        def job() -> None:
            _local.call = call
            try:
                if call.is_cut:
                    raise Cut  # noqa: TRY301 - one way out for all
                result = work(call)
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
                _tell(loop, self._failed, answer, error)
            else:
                _tell(loop, self._succeeded, answer, result)
            finally:
                call.done()
                _local.call = None

        self._under_way.add(call)
        self._submit(job)
        try:
            return await answer
        except asyncio.CancelledError:
            call.cut()
            raise
        finally:
            self._under_way.discard(call)

    def close(self) -> None:
        """Take no more work, and cut what is under way."""
        self._closed = True
        for call in tuple(self._under_way):
            call.cut()
        for _ in range(self._threads):
            self._queue.put(None)

    def _submit(self, job: Callable[[], None]) -> None:
        self._waiting += 1
        if self._threads < min(self._waiting, self._most):
            self._threads += 1
            name = f"{self._name}-{self._threads}"
            threading.Thread(target=_work, args=(self._queue,), name=name, daemon=True).start()
        self._queue.put(job)

    def _failed(self, answer: asyncio.Future[T], error: BaseException) -> None:
        self._waiting -= 1
        if answer.done():
            return
        if isinstance(error, StopIteration):  # no future can carry it
            error = RuntimeError("the work raised StopIteration")
        if isinstance(error, Cut):
            error = _closed()
        answer.set_exception(error)

    def _succeeded(self, answer: asyncio.Future[T], result: T) -> None:
        self._waiting -= 1
        if not answer.done():
            answer.set_result(result)


def _closed() -> Stopping:
    return Stopping("the connection to the store is closed", "the daemon is going down")


def _work(queue: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := queue.get()) is not None:
        job()


def _tell(loop: asyncio.AbstractEventLoop, how: Callable[..., None], *what: object) -> None:
    with suppress(RuntimeError):  # the loop is closed, and nobody waits
        loop.call_soon_threadsafe(how, *what)
