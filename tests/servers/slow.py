"""A server at the end of a slow line: it keeps the last body that was put, and gives it back."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Final, Self

STEPS_A_SECOND: Final = 20
BUFFER: Final = 16 * 1024


class Slow:
    """Takes and gives so many bytes a second on each connection."""

    def __init__(self, rate: float) -> None:
        self._step = int(rate / STEPS_A_SECOND)
        self._body = b""
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(16)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def start(self) -> Self:
        """Begin to serve."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb", BUFFER) as stream:
            while first := stream.readline():
                headers = {}
                while (line := stream.readline().strip()) != b"":
                    name, _, value = line.decode("latin-1").partition(": ")
                    headers[name.lower()] = value
                if first.startswith(b"PUT"):
                    self._body = self._take(stream.read, int(headers["content-length"]))
                    connection.sendall(_head(0))
                else:
                    connection.sendall(_head(len(self._body)))
                    self._give(connection)

    def _take(self, read: object, size: int) -> bytes:
        body = bytearray()
        while len(body) < size:
            body += read(min(self._step, size - len(body)))  # type: ignore[operator]
            time.sleep(1 / STEPS_A_SECOND)
        return bytes(body)

    def _give(self, connection: socket.socket) -> None:
        for at in range(0, len(self._body), self._step):
            connection.sendall(self._body[at : at + self._step])
            time.sleep(1 / STEPS_A_SECOND)


def _head(size: int) -> bytes:
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {size}", 'ETag: "slow"', _MODIFIED)
    return "\r\n".join((*lines, "", "")).encode()


_MODIFIED: Final = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT"
