"""A server that answers what it is told to, be it S3, HTTP or neither; or never."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from tests.servers.tally import Tally

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tests.servers.refusals import Refusal

    Answer = Callable[["Heard"], bytes | None]

LIMIT_S: Final = 60.0
NEVER: Final = None
"""The answer that does not come."""


class Ends(bytes):
    """An answer after which the connection ends, whole or not."""

    __slots__ = ()


class Raw(bytes):
    """An answer that goes out beneath TLS."""

    __slots__ = ()


class Heard(NamedTuple):
    """A request."""

    method: str
    target: str
    """As it was sent: path and query, or a whole URL."""
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


class Canned:
    """The server; `answer` is for all requests, or says what is for which one."""

    def __init__(
        self, answer: bytes | Answer | None, tls: ssl.SSLContext | None = None, name: str = ""
    ) -> None:
        self.answer = answer
        self.heard: list[Heard] = []
        self.tally = Tally()
        """Counts `heard` and, of connections, `opened` and `ended` (by the client)."""
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        scheme, port = "https" if tls else "http", self._listening.getsockname()[1]
        self.url = f"{scheme}://{name or '127.0.0.1'}:{port}"
        self._open: set[socket.socket] = set()

    def start(self) -> Self:
        """Begin to serve."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def close(self) -> None:
        """End it, with all connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        self.tally.add("opened")
        try:
            with connection, suppress(OSError):
                connection.settimeout(LIMIT_S)
                if self._tls:
                    with self._tls.wrap_socket(connection, server_side=True) as secure:
                        self._talk(secure)
                else:
                    self._talk(connection)
        finally:
            self._open.discard(connection)

    def _talk(self, connection: socket.socket) -> None:
        while heard := _read(connection):
            self.heard.append(heard)
            self.tally.add("heard")
            answer = self.answer(heard) if callable(self.answer) else self.answer
            if answer is None:
                self._wait(connection)
                return
            if isinstance(answer, Raw):
                os.write(connection.fileno(), answer)
            else:
                connection.sendall(answer)
            if isinstance(answer, Ends):
                return
        self.tally.add("ended")

    def _wait(self, connection: socket.socket) -> None:
        """Until the client is gone."""
        while connection.recv(65536):
            pass
        self.tally.add("ended")


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An answer; `_` in a header's name is a hyphen."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refuse(refusal: Refusal, method: str = "") -> bytes:
    """An error as S3 answers it."""
    body = b"" if method == "HEAD" else refusal.body("/bucket/key")
    headers = {name.replace("-", "_"): value for name, value in refusal.headers.items()}
    return reply(refusal.status, body, **headers)


def _read(connection: socket.socket) -> Heard | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in rest)
    headers = {name.lower(): value for name, _, value in pairs}
    left = int(headers.get("content-length", "0")) - len(body)
    while left > 0:
        more = connection.recv(65536)
        if not more:
            return None
        body, left = body + more, left - len(more)
    method, target, _ = first.split(" ")
    return Heard(method, target, headers, body)
