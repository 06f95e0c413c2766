"""A hold as the client of a command sees it: bound to a stream, and to a stream of the next daemon
when its daemon was killed.

Keeps true: a deadline that was told is never forgotten, and only ever grows.  A daemon that was
killed finds the hold in its journal, so the same request with the token binds it again; one that
was stopped has freed its leases, so the hold is over.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from swampctl.autostart import answers, ensure_daemon
from swampctl.client import SHORT_S, as_seconds, connected_to, rebuilt
from swampctl.supervising import Limit
from swampd import locations
from swampd.errors import DaemonUnreachable, LockLost, NotHolder, SwampdError
from swampd.v1 import lock_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampctl.client import Client

STREAM_S: Final = 30 * 24 * 3600.0
"""A command under a lock may run for so long."""
_GRACE_S: Final = 10.0
_AGAIN_S: Final = 0.2
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC_RAW", 0))


def clock() -> float:
    """Seconds on the clock that the daemon's deadlines are on."""
    return time.clock_gettime(_CLOCK)


class Holding:
    """The hold as its stream tells of it; the stream is read by a thread."""

    def __init__(
        self, client: Client, request: lock_pb2.AcquireRequest, environ: Mapping[str, str]
    ) -> None:
        self._call: Any = client.locks.Acquire(request, timeout=STREAM_S)
        self._request = request
        self._environ = environ
        self._over = threading.Event()
        self._changed = threading.Condition()
        self._failure: SwampdError | None = None
        self.granted: lock_pb2.HoldGranted | None = None
        self.deadline = 0.0
        self.lost = ""
        self._reader = threading.Thread(target=self._read, name="hold", daemon=True)
        self._reader.start()

    def wait(self) -> lock_pb2.HoldGranted:
        """Until it is granted.  Raises what the daemon raised."""
        with self._changed:
            while self.granted is None and self._failure is None:
                self._changed.wait(1.0)
            if self.granted is None:
                raise self._failure or DaemonUnreachable("the daemon ended the call", "try again")
            return self.granted

    def let_go(self) -> None:
        """It is about to be released: its end is no loss from now on."""
        self._over.set()

    def end(self) -> None:
        """Close the stream: the hold ends with it."""
        with self._changed:
            self._over.set()
            self._call.cancel()
        self._reader.join(SHORT_S)

    def limit(self) -> Limit:
        """How long the command may run on, as known now."""
        granted = self.granted
        if granted is None or granted.joined:
            return Limit(None, None)
        if self.lost:
            return Limit(0.0, min(self.deadline, clock() + _GRACE_S))
        ttl = as_seconds(granted.ttl)
        margin = min(2.0, ttl / 10)
        begun = self.deadline - (ttl - margin)
        return Limit(max(self.deadline - _GRACE_S, begun + ttl / 2), self.deadline)

    # --- the thread that reads ----------------------------------------------------------------

    def _read(self) -> None:
        failure = self._read_call()
        while self._may_come_back():
            failure = self._read_again()
            if isinstance(failure, LockLost | NotHolder):
                self.lost = self.lost or failure.summary
        with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def _read_call(self) -> SwampdError:
        """Take in what the stream tells, to its end; how it ended."""
        try:
            for event in self._call:
                with self._changed:
                    self._take(event)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            return rebuilt(error)
        return DaemonUnreachable("the daemon ended the call without an answer", "try again")

    def _may_come_back(self) -> bool:
        """Did the stream end under a hold of ours that a daemon may still have?"""
        granted = self.granted
        ours = granted is not None and not granted.joined and not self.lost
        return ours and clock() < self.deadline and not self._over.wait(_AGAIN_S)

    def _read_again(self) -> SwampdError:
        """Bind the hold to a stream of the next daemon, which is started if need be."""
        path = locations.client_socket(self._environ)
        if not path.exists() and not answers(path):  # a clean end removes it
            return LockLost("the daemon was stopped")
        try:
            with connected_to(ensure_daemon(self._environ)) as client:
                with self._changed:
                    if self._over.is_set():
                        return DaemonUnreachable("it is over")
                    self._call = client.locks.Acquire(self._with_token(), timeout=STREAM_S)
                return self._read_call()
        except SwampdError as error:
            return error
        except OSError as error:
            return DaemonUnreachable(f"no daemon can be started: {error}")

    def _with_token(self) -> lock_pb2.AcquireRequest:
        request = lock_pb2.AcquireRequest()
        request.CopyFrom(self._request)
        if self.granted is not None:
            request.caller.token = self.granted.token
        return request

    def _take(self, event: lock_pb2.AcquireResponse) -> None:
        if event.HasField("held"):
            self.granted = self.granted or event.held
            self.deadline = max(self.deadline, as_seconds(event.held.deadline))
        elif event.HasField("renewed"):
            self.deadline = max(self.deadline, as_seconds(event.renewed.deadline))
        elif event.HasField("lost"):
            self.lost = event.lost.reason
