"""HTTP/1.1 by hand, at little cost: connections kept, requests that follow each other at once,
bodies of any size in and out, and `Expect: 100-continue`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.servers.http1 import CONTINUE
from tests.servers.refusals import Refusal
from tests.servers.responder.messages import Reply, Request, refuse
from tests.servers.responder.receiving import (
    Collector,
    Malformed,
    plain_length,
    received,
    receiver,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.responder.receiving import Received, Sink
    from tests.servers.responder.service import Service

_NO_BODY: Final = received(b"")
_BAD_REQUEST: Final = Refusal(400, "BadRequest", "An error occurred when parsing the HTTP request.")


class Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self, service: Service, hash_over: int | None, open_wires: set[Wire]) -> None:
        self._service = service
        self._hash_over = hash_over
        self._open = open_wires
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._head: tuple[str, str, str, dict[str, str]] | None = None
        """What the body that is on its way belongs to."""
        self._sink: Sink | None = None
        self._collector: Collector | None = None
        self._pieces: Iterator[memoryview] | None = None
        """What of an answer is still to be sent."""
        self._full = False

    # --- as asyncio calls it ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's)
        """Whatever was under way has not happened."""
        self._transport = None
        self._open.discard(self)

    def data_received(self, data: bytes) -> None:
        """Go on with the request under way, and with those after it."""
        self._buffer = self._buffer + data if self._buffer else data
        self._go_on()

    def pause_writing(self) -> None:
        """The client is slow to read."""
        self._full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._full = False
        self._send_pieces()
        self._go_on()

    # --- in -----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        try:
            while self._buffer and self._pieces is None and self._next():
                pass
        except (Malformed, ValueError):
            self._send(refuse(_BAD_REQUEST, "", ""))
            self.close()

    def _next(self) -> bool:
        """Deal with what is in the buffer; False: it takes more to go on."""
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = _parse(self._buffer[:end].decode("latin-1"))
            self._buffer = self._buffer[end + 4 :]
            if self._whole(head):
                return True
            self._head = head
        return self._receive()

    def _whole(self, head: tuple[str, str, str, dict[str, str]]) -> bool:
        """Answer a request that is all there already: nearly every small one."""
        headers = head[3]
        length = plain_length(headers)
        if length == 0:
            self._answer(head, _NO_BODY)
            return True
        small = self._hash_over is None or (length or 0) <= self._hash_over
        if length is not None and length <= len(self._buffer) and small:
            body, self._buffer = self._buffer[:length], self._buffer[length:]
            self._answer(head, received(body))
            return True
        self._collector = Collector(self._hash_over)
        self._sink = receiver(headers, self._collector)
        if "expect" in headers and self._transport:
            self._transport.write(CONTINUE)
        return False

    def _receive(self) -> bool:
        assert self._head
        assert self._sink
        assert self._collector
        rest = self._sink.feed(self._buffer)
        if rest is None:
            self._buffer = b""
            return False
        head, self._head = self._head, None
        self._buffer = rest
        self._answer(head, self._collector.received())
        self._sink = self._collector = None
        return True

    # --- out ----------------------------------------------------------------------------------

    def _answer(self, head: tuple[str, str, str, dict[str, str]], content: Received) -> None:
        self._send(self._service.answer(Request(*head, content, self)))
        if head[3].get("connection") == "close":
            self.close()

    def _send(self, reply: Reply) -> None:
        if self._transport is None:
            return
        self._transport.write(reply.head() + reply.body)
        if reply.pieces is not None:
            self._pieces = iter(reply.pieces)
            self._send_pieces()

    def _send_pieces(self) -> None:
        while self._pieces is not None and self._transport and not self._full:
            piece = next(self._pieces, None)
            if piece is None:
                self._pieces = None
                self._transport.resume_reading()
            else:
                self._transport.write(piece)
        if self._pieces is not None and self._transport:
            self._transport.pause_reading()

    def close(self) -> None:
        """After what is still to be sent."""
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """At once."""
        if self._transport:
            self._transport.abort()


def _parse(text: str) -> tuple[str, str, str, dict[str, str]]:
    """Method, path, query and headers."""
    first, *lines = text.split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        raise Malformed(f"no first line: {first!r}")
    path, _, query = words[1].partition("?")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return words[0], path, query, headers
