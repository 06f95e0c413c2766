"""A request as the operations see it, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

from tests.servers.access_log import bucket_and_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.servers.refusals import Refusal
    from tests.servers.responder.receiving import Received

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
XML: Final = "Content-Type: application/xml\r\n"


@dataclass(frozen=True)
class Request:
    """One request."""

    method: str
    path: str
    """Encoded, without the query."""
    query: str
    headers: dict[str, str]
    """By lower-case name."""
    content: Received
    connection: object
    """The same for two requests that came through one connection."""

    @cached_property
    def place(self) -> tuple[str, str]:
        """The bucket and the key."""
        return bucket_and_key(self.path)

    @cached_property
    def arguments(self) -> dict[str, str]:
        """What the query says."""
        return dict(parse_qsl(self.query, keep_blank_values=True)) if self.query else {}


class Reply(NamedTuple):
    """One answer."""

    status: int
    fields: str = ""
    """Header lines, each with its end."""
    body: bytes = b""
    length: int | None = None
    """Of a body that is told of and not sent (HEAD), or sent in pieces."""
    pieces: Iterable[memoryview] | None = None

    def head(self) -> bytes:
        """What stands before the body."""
        if self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            length = ""
        else:
            count = len(self.body) if self.length is None else self.length
            length = f"Content-Length: {count}\r\n"
        line = f"HTTP/1.1 {self.status} {_REASONS[self.status]}\r\n"
        return f"{line}{self.fields}{length}\r\n".encode("latin-1")


def refuse(refusal: Refusal, method: str, path: str) -> Reply:
    """The answer that says no."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in refusal.headers.items())
    body = b"" if method == "HEAD" else refusal.body(path)
    return Reply(refusal.status, XML + fields, body)
