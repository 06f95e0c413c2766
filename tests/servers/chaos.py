"""A proxy before an HTTP/1.1 server that spoils what passes by rule, or makes the server go away.

Connections are kept and bodies are streamed, so that what passes unspoilt passes as without it.
Each connection of a client has one of its own to the server.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from tests.servers.exchange import Exchange
from tests.servers.http1 import GONE, LIMIT
from tests.servers.loop_thread import LoopThread
from tests.servers.mischief import Rule, Rules
from tests.servers.refusals import Match
from tests.servers.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.servers.mischief import Action

_EVERYTHING: Final = Match()


class ChaosProxy:
    """A proxy to the server at the URL `upstream`, on a port of its own that it keeps."""

    def __init__(self, upstream: str, seed: int = 0) -> None:
        where = urlsplit(upstream)
        self._upstream = (where.hostname or "127.0.0.1", where.port or 80)
        self._rules = Rules(seed)
        self._tally = Tally()
        self._links: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None
        self._port = 0
        self._thread: LoopThread | None = None

    # --- life ---------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Begin to pass on."""
        self._thread = LoopThread()
        self._kept = _bind(0)
        self._port = self._kept.getsockname()[1]
        self.accept()
        return self

    def close(self) -> None:
        """End it, with all connections."""
        if thread := self._thread:
            thread.run(self._close())
            thread.close()
            self._thread = None

    def refuse(self) -> None:
        """Go down: connections are cut, and new ones are refused."""
        self._run(self._refuse())

    def accept(self) -> None:
        """Come up again, on the same port."""
        self._run(self._accept())

    # --- rules --------------------------------------------------------------------------------

    def add(
        self,
        action: Action,
        match: Match = _EVERYTHING,
        *,
        times: int | None = None,
        probability: float = 1.0,
    ) -> Rule:
        """From now on do this: to the next `times` that match, or to each with `probability`."""
        rule = Rule(match, action, times, probability)
        self._rules.add(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Do not do it any more, and let go what it held."""
        self._rules.remove(rule)

    def clear(self) -> None:
        """No rules."""
        self._rules.clear()

    @property
    def counts(self) -> dict[str, int]:
        """How often it did what: `Cut`, `DropReply` ..., and `forwarded` for what passed."""
        return self._tally.counts

    def wait_for(self, what: str, times: int = 1) -> None:
        """Until `counts` says so often that it did this."""
        self._tally.wait(what, times)

    # --- on the loop --------------------------------------------------------------------------

    def _run(self, work: Coroutine[object, object, None]) -> None:
        assert self._thread, "not started"
        self._thread.run(work)

    async def _accept(self) -> None:
        kept, self._kept = self._kept, None
        if kept:
            self._server = await asyncio.start_server(self._serve, sock=kept, limit=LIMIT)

    async def _refuse(self) -> None:
        server, self._server = self._server, None
        if server:
            server.close()
            # Bound, but not listening: the port is refused, and nobody else gets it.
            self._kept = _bind(self._port)
        await _end(self._links)

    async def _close(self) -> None:
        await self._refuse()
        await _end(self._late)
        if self._kept:
            self._kept.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._links.add(task)
        exchange = Exchange((reader, writer), self._upstream, self._rules, self._tally, self._late)
        try:
            with suppress(*GONE):
                while await exchange.one():
                    pass
        except asyncio.CancelledError:
            exchange.abort()
        finally:
            exchange.close()
            self._links.discard(task)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel these, and see them and their connections gone."""
    for task in tuple(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)


def _bind(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
