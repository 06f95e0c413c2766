"""What a server was asked and what it answered: one row a request, one JSON line a row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONDITIONS: Final = (
    "if-match",
    "if-none-match",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-none-match",
)
COPY_SOURCE: Final = "x-amz-copy-source"

_CREDENTIAL: Final = re.compile(r"Credential=([^/,\s]+)")


class Logged(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request and the status of its answer."""

    method: str
    bucket: str
    key: str
    """Decoded; empty for a request about the bucket."""
    query: str
    """As it was sent."""
    status: int
    user_agent: str = ""
    access_key: str = ""
    """The access key id that signed it."""
    conditions: dict[str, str] = {}
    """The conditional headers that were sent, by lower-case name (CONDITIONS)."""
    copy_source: str = ""
    received: int = 0
    """Bytes of the request's body, decoded."""
    sent: int = 0
    """Bytes of the answer's body."""

    @property
    def line(self) -> bytes:
        """The row as a line of the log."""
        return msgspec.json.encode(self) + b"\n"


def read_log(lines: bytes) -> list[Logged]:
    """The rows of a log; a last line without its end is still being written, and left out."""
    whole = lines[: lines.rfind(b"\n") + 1]
    return [msgspec.json.decode(line, type=Logged) for line in whole.splitlines()]


def count(rows: Iterable[Logged], user_agent: str = "") -> dict[str, int]:
    """How many requests by method, of the clients whose user agent contains `user_agent`."""
    counts: dict[str, int] = {}
    for row in rows:
        if user_agent in row.user_agent:
            counts[row.method] = counts.get(row.method, 0) + 1
    return counts


def bucket_and_key(path: str) -> tuple[str, str]:
    """What an encoded path-style path is about."""
    bucket, _, key = path.partition("?")[0].removeprefix("/").partition("/")
    return bucket, unquote(key)


def access_key(headers: Mapping[str, str]) -> str:
    """The access key id that signed a request; empty when nobody did.  Names in lower case."""
    found = _CREDENTIAL.search(headers.get("authorization", ""))
    return found[1] if found else ""


def conditions(headers: Mapping[str, str]) -> dict[str, str]:
    """The conditional ones of these headers."""
    return {name: headers[name] for name in CONDITIONS if name in headers}
