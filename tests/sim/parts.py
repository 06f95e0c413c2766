"""Uploads in parts to the simulated store: the same network, the same faults.

An upload is the store's own: its parts are seen by nobody, and what was aborted or completed is
gone, so that a part or a completion that lands later does nothing.  The answer to a beginning may
be lost, and then nobody knows the upload (`Upload.known`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swampd.domain.outcomes import Applied, Unknown
from swampd.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swampd.domain.outcomes import Rejected, WriteOutcome
    from swampd.domain.values import RemoteKey
    from swampd.stores.memory import MemoryObjects
    from tests.sim.store import SimStore


@dataclass(slots=True)
class Upload:
    """One object that is being sent in parts."""

    name: str
    key: RemoteKey
    metadata: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)
    known: bool = False
    """Somebody has asked something of it since it began."""


@dataclass(slots=True)
class Uploads:
    """All uploads of one bucket that are neither completed nor aborted."""

    objects: MemoryObjects
    open: dict[str, Upload] = field(default_factory=dict)
    begun: int = 0

    def begin(self, key: RemoteKey, metadata: Mapping[str, str]) -> str:
        """A new upload; its id."""
        self.begun += 1
        name = f"upload-{self.begun}"
        self.open[name] = Upload(name, key, dict(metadata))
        return name

    def send(self, name: str, number: int, body: bytes) -> str | Unknown:
        """Take a part; what it is called."""
        if name not in self.open:
            return Unknown("NoSuchUpload")
        self.open[name].parts[number] = body
        return hashlib.md5(body, usedforsecurity=False).hexdigest()

    def complete(self, name: str, sent: Sequence[str]) -> Applied | Rejected | Unknown:
        """Make the object if there is none; a refused upload stays open, as with S3."""
        upload = self.open.get(name)
        if upload is None:
            return Unknown("NoSuchUpload")
        parts = [upload.parts.get(number, b"") for number in range(1, len(sent) + 1)]
        called = [hashlib.md5(part, usedforsecurity=False).hexdigest() for part in parts]
        if called != list(sent):
            return Unknown("InvalidPart")
        outcome = self.objects.create(upload.key, b"".join(parts), upload.metadata)
        if isinstance(outcome, Applied):
            del self.open[name]
        return outcome

    def abort(self, name: str) -> str:
        """Throw the parts away."""
        self.open.pop(name, None)
        return "aborted"

    def note(self, name: str) -> None:
        """Somebody knows this upload: the answer to its beginning came, and was remembered."""
        if name in self.open:
            self.open[name].known = True


class SimParts:
    """One daemon's way to write in parts."""

    def __init__(self, store: SimStore, uploads: Uploads) -> None:
        self._store = store
        self._uploads = uploads

    async def begin(self, key: RemoteKey, metadata: Mapping[str, str]) -> str:
        """See `ports.PartStore`."""
        return await self._asked("begin", key, lambda: self._uploads.begin(key, metadata))

    async def send(self, key: RemoteKey, upload: str, number: int, body: bytes) -> str:
        """See `ports.PartStore`."""
        self._uploads.note(upload)
        return await self._asked("part", key, lambda: self._uploads.send(upload, number, body))

    async def complete(self, key: RemoteKey, upload: str, parts: Sequence[str]) -> WriteOutcome:
        """See `ports.PartStore`."""
        return await self._store.write(
            "complete", key, None, {}, lambda: self._uploads.complete(upload, parts)
        )

    async def abort(self, key: RemoteKey, upload: str) -> None:
        """See `ports.PartStore`."""
        await self._asked("abort", key, lambda: self._uploads.abort(upload))

    async def _asked(self, what: str, key: RemoteKey, request: Callable[[], str | Unknown]) -> str:
        answer = await self._store.write(what, key, None, {}, request)
        if isinstance(answer, Unknown):
            raise StoreUnavailable(answer.reason, "try again")
        return answer
