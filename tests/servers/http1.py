"""As much of HTTP/1.1 as a proxy needs: heads, and how far a body goes.

A body is passed on as it stands on the wire, chunks and trailers included.  Limits: a head of at
most LIMIT bytes; no upgrade, no CONNECT, no pipelining by the proxy itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT: Final = 256 * 1024
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_BLOCK: Final = 64 * 1024
_NO_BODY: Final = (204, 304)


class Malformed(Exception):
    """What came is not HTTP/1.1."""


GONE: Final = (OSError, Malformed, asyncio.IncompleteReadError)
"""What a connection that ends looks like."""


class Until(Enum):
    """Where a body ends that does not tell its length."""

    LAST_CHUNK = "last chunk"
    CLOSE = "close"


Framing = int | Until


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the fields of a request or an answer."""

    raw: bytes
    words: tuple[str, str, str]
    fields: dict[str, str]
    """By lower-case name; of a repeated one, the last."""

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.words[1])

    @property
    def closes(self) -> bool:
        """The connection ends after this."""
        said = self.fields.get("connection", "").lower()
        return said == "close" or ("HTTP/1.0" in self.words and said != "keep-alive")

    @property
    def awaits_continue(self) -> bool:
        """The body of this request comes only after `100 Continue`."""
        return self.fields.get("expect", "").lower() == "100-continue"

    @property
    def closing(self) -> bytes:
        """The head of this answer as bytes, and it says that the connection ends."""
        return self.without("connection").removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"

    def without(self, name: str) -> bytes:
        """The head as bytes, without this field."""
        lines = self.raw.split(b"\r\n")
        start = name.encode() + b":"
        return b"\r\n".join(line for line in lines if not line.lower().startswith(start))


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None when the other side is done."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Malformed("the connection ended within a head") from None
        return None
    except asyncio.LimitOverrunError:
        raise Malformed("the head is too long") from None
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2:
        raise Malformed(f"no first line: {first!r}")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return Head(raw, (words[0], words[1], words[2] if len(words) > 2 else ""), fields)


def request_framing(head: Head) -> Framing:
    """How far the body of a request goes."""
    if "chunked" in head.fields.get("transfer-encoding", "").lower():
        return Until.LAST_CHUNK
    return int(head.fields.get("content-length", "0"))


def answer_framing(head: Head, method: str) -> Framing:
    """How far the body of the answer to a `method` goes."""
    if method == "HEAD" or head.status < 200 or head.status in _NO_BODY:
        return 0
    if "chunked" in head.fields.get("transfer-encoding", "").lower():
        return Until.LAST_CHUNK
    length = head.fields.get("content-length")
    return Until.CLOSE if length is None else int(length)


async def read_body(reader: asyncio.StreamReader, framing: Framing) -> AsyncIterator[bytes]:
    """The body, in pieces, as it stands on the wire."""
    match framing:
        case Until.LAST_CHUNK:
            async for piece in _chunks(reader):
                yield piece
        case Until.CLOSE:
            while piece := await reader.read(_BLOCK):
                yield piece
        case length:
            async for piece in _exactly(reader, length):
                yield piece


async def discard(reader: asyncio.StreamReader, framing: Framing) -> None:
    """Take a body off the wire."""
    async for _ in read_body(reader, framing):
        pass


async def _exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length:
        piece = await reader.read(min(length, _BLOCK))
        if not piece:
            raise Malformed("the connection ended within a body")
        length -= len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        yield line
        size = None
        with suppress(ValueError):
            size = int(line.split(b";")[0], 16)
        if size is None:
            raise Malformed(f"no size of a chunk: {line!r}")
        if not size:
            break
        async for piece in _exactly(reader, size + 2):
            yield piece
    while True:
        line = await reader.readuntil(b"\r\n")
        yield line
        if line == b"\r\n":
            return
