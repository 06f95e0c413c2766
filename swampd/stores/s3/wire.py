"""Connections of boto3 that can be cut off, and take no half answer for a whole one.

Keeps true: a call knows the socket that its request is on; an answer whose head breaks off is none
(`http.client` takes what it got so far for all of it, so that a token could lack its end and an
object its metadata).

Limits: this rests on where botocore keeps its pools; a test pins it.
"""

from __future__ import annotations

import socket
from http.client import HTTPResponse, RemoteDisconnected
from typing import Any, Final

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

from swampd.stores.s3.calls import this_call

SEND_BUFFER: Final = 256 * 1024


def use_our_wire(client: Any) -> None:
    """Let the client's requests go through the connections of this module."""
    pools = client._endpoint.http_session._manager.pool_classes_by_scheme  # noqa: SLF001
    pools.update({"http": _PlainPool, "https": _SecurePool})


class _Head:
    """A file of an answer, of which the lines of the head are read."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readline(self, limit: int = -1) -> bytes:
        """The next line; raises RemoteDisconnected where there is none."""
        line: bytes = self._file.readline(limit)
        if not line.endswith(b"\n") and len(line) != limit:
            raise RemoteDisconnected("the answer breaks off in its head")
        return line

    def close(self) -> None:
        """What `http.client` does after a line that is no HTTP."""
        self._file.close()


class _Answer(HTTPResponse):
    def begin(self) -> None:
        file: Any = self.fp
        self.fp: Any = _Head(file)
        try:
            super().begin()
        finally:
            if self.fp is not None:  # None: closed after a line that is no HTTP
                self.fp = file


class _Plain(AWSHTTPConnection):
    response_class: Any = _Answer

    def request(self, *args: Any, **kwargs: Any) -> Any:
        _announce(self)
        return super().request(*args, **kwargs)

    def connect(self) -> None:
        super().connect()
        _hold_little(self.sock)
        _announce(self)


class _Secure(AWSHTTPSConnection):
    response_class: Any = _Answer

    def request(self, *args: Any, **kwargs: Any) -> Any:
        _announce(self)
        return super().request(*args, **kwargs)

    def connect(self) -> None:
        super().connect()
        _hold_little(self.sock)
        _announce(self)


def _hold_little(connection: Any) -> None:
    """What the kernel holds on its way out nobody sees: on a slow line the time-out of the answer
    would run while it drains."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


def _announce(connection: Any) -> None:
    call = this_call()
    if call is not None and connection.sock is not None:
        call.uses(connection.sock)


class _PlainPool(AWSHTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(AWSHTTPSConnectionPool):
    ConnectionCls = _Secure
