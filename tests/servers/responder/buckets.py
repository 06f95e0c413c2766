"""What the responder holds: buckets of objects in key order, and uploads under way."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers.responder.receiving import Received

SHARED_OVER: Final = 1 << 20
_BLOCK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """An object."""

    parts: tuple[bytes, ...] | None
    """None: only hashed."""
    size: int
    etag: str
    """With its quotes."""
    fields: str
    """The header lines that came with it: metadata, content type."""
    modified_s: float
    only_for: object = None
    """The one connection that sees it; None: all do."""

    def slices(self, start: int, end: int) -> Iterator[memoryview]:
        """The bytes from `start` to before `end`."""
        for part in self.parts or ():
            view = memoryview(part)[max(start, 0) : max(end, 0)]
            for at in range(0, len(view), _BLOCK):
                yield view[at : at + _BLOCK]
            start -= len(part)
            end -= len(part)


@dataclass(slots=True)
class Upload:
    """A multipart upload under way."""

    key: str
    fields: str
    parts: dict[int, Received] = field(default_factory=dict)


class Bucket:
    """Objects by key, in the order of their keys; uploads by id."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.keys: list[str] = []
        self.uploads: dict[str, Upload] = {}

    def put(self, key: str, stored: Stored) -> None:
        """Create or replace."""
        if key not in self.objects:
            insort(self.keys, key)
        self.objects[key] = stored

    def delete(self, key: str) -> None:
        """Forget it, if it is there."""
        if self.objects.pop(key, None):
            del self.keys[bisect_left(self.keys, key)]


class Shared:
    """Large bodies that are the same are kept once, so a file of one block over and over is small
    here however large it is."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}

    def part(self, content: Received) -> Received:
        """The same, with a body that is shared."""
        if content.body is None or content.size < SHARED_OVER:
            return content
        return content._replace(body=self._bodies.setdefault(content.digest, content.body))


def joined_etag(parts: Sequence[Received]) -> str:
    """The ETag of an object made of parts."""
    digests = b"".join(bytes.fromhex(part.digest) for part in parts)
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
