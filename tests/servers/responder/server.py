"""The responder as an object in a test: in a thread, or as a process of its own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import msgspec

from tests.servers.access_log import read_log
from tests.servers.loop_thread import LoopThread
from tests.servers.responder.buckets import Bucket
from tests.servers.responder.service import DENIALS, LOG, Service
from tests.servers.responder.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swampd.stores.probe import Check
    from tests.servers.access_log import Logged
    from tests.servers.refusals import Denial

ROOT: Final = Path(__file__).parents[3]
LIMIT_S: Final = 60.0


class Server:
    """The service at a port, on the loop that runs."""

    def __init__(self, service: Service, hash_over: int | None = None) -> None:
        self._service = service
        self._hash_over = hash_over
        self._wires: set[Wire] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> str:
        """Listen; the URL."""
        listening = socket.create_server(("127.0.0.1", port), backlog=512)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Wire(self._service, self._hash_over, self._wires), sock=listening
        )
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    async def stop(self) -> None:
        """End it, with all connections."""
        if self._server:
            self._server.close()
        for wire in tuple(self._wires):
            wire.abort()
        await asyncio.sleep(0)  # they end in the loop's next round


class Responder:
    """The responder in a thread; `broken` is the one promise that it does not keep."""

    def __init__(
        self,
        *,
        broken: Check | None = None,
        hash_over: int | None = None,
        buckets: Iterable[str] = (),
    ) -> None:
        self._service = Service(broken)
        self._service.buckets.update((name, Bucket()) for name in buckets)
        self._server = Server(self._service, hash_over)
        self._thread: LoopThread | None = None
        self.url = ""

    def start(self) -> Self:
        """Begin to serve, on a free port."""
        self._thread = LoopThread()
        self.url = self._thread.run(self._server.start())
        return self

    def close(self) -> None:
        """End it."""
        if thread := self._thread:
            thread.run(self._server.stop())
            thread.close()
            self._thread = None

    def deny(self, *denials: Denial) -> None:
        """From now on the first of these rules that fits a request answers it; none: nobody."""
        self._service.denials = list(denials)

    def requests(self) -> list[Logged]:
        """What was asked since `reset`."""
        return list(self._service.log)

    def reset(self) -> None:
        """Count from here."""
        self._service.log.clear()


class ResponderProcess:
    """The responder as a process, so that it takes no time from who measures."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """Of the process, to measure it."""
        assert self._process, "not started"
        return self._process.pid

    def start(self) -> Self:
        """Begin to serve, on a free port."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.responder", "--leash", *self._options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        return self

    def close(self) -> None:
        """End it."""
        if process := self._process:
            process.communicate(timeout=LIMIT_S)
            self._process = None

    def deny(self, *denials: Denial) -> None:
        """From now on the first of these rules that fits a request answers it; none: nobody."""
        self._ask("PUT", DENIALS, msgspec.json.encode(denials))

    def requests(self) -> list[Logged]:
        """What was asked since `reset`."""
        return read_log(self._ask("GET", LOG))

    def reset(self) -> None:
        """Count from here."""
        self._ask("DELETE", LOG)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        with closing(HTTPConnection(urlsplit(self.url).netloc, timeout=LIMIT_S)) as connection:
            connection.request(method, path, body)
            return connection.getresponse().read()
