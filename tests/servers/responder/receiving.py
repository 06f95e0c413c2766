"""The body of a request off the wire: sized or chunked, once or twice, kept or only hashed.

AWS's clients may put chunks of their own, signed or with a checksum at the end, into the body;
they look like HTTP's.  The checksums and signatures are dropped unread.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Received(NamedTuple):
    """A body."""

    body: bytes | None
    """None: it was so large that it was only hashed."""
    size: int
    digest: str
    """Its MD5, in hexadecimal."""


class Malformed(Exception):
    """What came is no body."""


def received(body: bytes) -> Received:
    """A body that is there at once."""
    return Received(body, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())


class Sink(Protocol):
    """What takes the bytes of a body, in order."""

    def feed(self, data: bytes) -> bytes | None:
        """Take what belongs to it; the rest, once it is complete."""


class Collector:
    """The end of the line: keeps the bytes, or only hashes those of more than `hash_over`."""

    def __init__(self, hash_over: int | None) -> None:
        self._hash_over = hash_over
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._pieces: list[bytes] | None = []
        self._size = 0

    def feed(self, data: bytes) -> bytes | None:
        """All bytes are its own."""
        self._md5.update(data)
        self._size += len(data)
        if self._hash_over is not None and self._size > self._hash_over:
            self._pieces = None
        if self._pieces is not None:
            self._pieces.append(data)
        return None

    def received(self) -> Received:
        """What came."""
        body = None if self._pieces is None else b"".join(self._pieces)
        return Received(body, self._size, self._md5.hexdigest())


class Sized:
    """A body of so many bytes."""

    def __init__(self, length: int, sink: Sink) -> None:
        self._left = length
        self._sink = sink

    def feed(self, data: bytes) -> bytes | None:
        """Pass on what belongs to it; the rest, once it is complete."""
        mine = data[: self._left]
        self._left -= len(mine)
        self._sink.feed(mine)
        return None if self._left else data[len(mine) :]


class Chunked:
    """A body in chunks; what follows the last chunk is dropped."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._line = b""
        self._left = 0
        self._last = False
        self._between = False

    def feed(self, data: bytes) -> bytes | None:
        """Pass on what belongs to it; the rest, once it is complete."""
        while data:
            if self._left:
                mine = data[: self._left]
                self._left -= len(mine)
                self._between = not self._left
                self._sink.feed(mine)
                data = data[len(mine) :]
                continue
            # A line may come in pieces.
            line, end, rest = (self._line + data).partition(b"\n")
            if not end:
                self._line = line
                return None
            self._line, data = b"", rest
            if self._ends(line.rstrip(b"\r")):
                return data
        return None

    def _ends(self, line: bytes) -> bool:
        """Whether this line was the last one."""
        if self._last:
            return not line
        if self._between:  # the end of the line that a chunk stands on
            self._between = False
            return False
        try:
            self._left = int(line.partition(b";")[0], 16)
        except ValueError:
            raise Malformed(f"no size of a chunk: {line!r}") from None
        self._last = not self._left
        return False


def plain_length(headers: Mapping[str, str]) -> int | None:
    """How long a body is that is in no chunks; None for one in chunks."""
    if "transfer-encoding" in headers or _streams(headers):
        return None
    return int(headers.get("content-length", "0"))


def receiver(headers: Mapping[str, str], collector: Collector) -> Sink:
    """What takes the body of a request with these headers off the wire."""
    sink: Sink = collector
    if _streams(headers):
        sink = Chunked(sink)
    if "chunked" in headers.get("transfer-encoding", ""):
        return Chunked(sink)
    length = int(headers.get("content-length", "0"))
    return Sized(length, sink)


def _streams(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
