"""A store: objects, and compare-and-swap on them (section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swampd.domain.outcomes import (
        Found,
        Mismatch,
        Missing,
        Page,
        Unchanged,
        WriteOutcome,
    )
    from swampd.domain.values import RemoteKey, Sha256, Token
    from swampd.errors import SwampdError


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """What a store can do beyond the contract."""

    conditional_delete: bool
    """`delete_if` is honoured (atomic or not is the store's own promise)."""
    server_copy: bool
    """`copy_to` is there, and its condition is honoured."""
    side_by_side: int = 8
    """So many requests at a time pay off: a local folder gains nothing from threads in a queue."""
    most_bytes: int | None = None
    """It takes no more in one request, nor copies more (None: any)."""
    least_write_interval_s: float = 0.0
    """Least time between two writes of one key (GCS: 1 s); `waiting.Pace` keeps it (L12)."""


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A private copy of a file's bytes that nobody changes, for bodies too large to hold."""

    location: str
    size: int
    sha256: Sha256


Body = bytes | SealedFile

Read: TypeAlias = "Found | Missing | Mismatch"
"""What `ObjectStore.get` answers."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """What of its capabilities a store was found not to keep."""

    conditional_delete: bool = False
    server_copy: bool = False
    parts: bool = False


class Sink(Protocol):
    """Where the bytes of a large `get` go, in order; called from a worker thread."""

    def __call__(self, chunk: bytes) -> None:
        """Take the next bytes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One of many objects to read, on condition of a token or in any case."""

    key: RemoteKey
    if_token: Token | None = None


@dataclass(frozen=True, slots=True)
class Creation:
    """One of many small objects to write where there is none."""

    key: RemoteKey
    body: bytes
    metadata: Mapping[str, str]


MaySend: TypeAlias = "Callable[[int], bool]"
"""Asked right before one of many writes is sent, from any thread: may this one (from 0)?"""


class PartStore(Protocol):
    """Writes objects in parts; nobody sees anything of one before it is completed."""

    async def begin(self, key: RemoteKey, metadata: Mapping[str, str]) -> str:
        """Begin to write an object; the upload's id.  Raises like a read."""

    async def send(self, key: RemoteKey, upload: str, number: int, body: bytes) -> str:
        """Send a part (numbers from 1; only the last may be under 5 MiB); what `complete` wants
        of it.  Sending it again is safe.  Raises like a read."""

    async def complete(self, key: RemoteKey, upload: str, parts: Sequence[str]) -> WriteOutcome:
        """Make the object of all parts, in order, if there is none at this key."""

    async def abort(self, key: RemoteKey, upload: str) -> None:
        """Throw the parts away: the upload cannot be completed any more.  One that is completed or
        gone is left as it is.  Raises like a read."""


class ObjectStore(Protocol):
    """One bucket (or folder) of objects, strongly consistent, with compare-and-swap.

    Every write is sent once and answers Applied, Rejected or Unknown (section 2).  A read that
    fails raises `errors.StoreUnavailable`, or `errors.StoreDenied` for missing rights.
    """

    @property
    def name(self) -> str:
        """What a person calls this store in a message, e.g. `directory /mnt/team`."""

    @property
    def capabilities(self) -> StoreCapabilities:
        """What it can do."""

    async def get(
        self, key: RemoteKey, *, if_token: Token | None = None, sink: Sink | None = None
    ) -> Found | Missing | Mismatch:
        """The object.  With `if_token`, Mismatch when it has another one.  With `sink`, the bytes
        go there; on anything but Found what the sink got is to be thrown away."""

    async def get_each(self, wanted: Sequence[Wanted]) -> Sequence[Read | SwampdError]:
        """Many small objects, each as `get` would answer it; what `get` would raise of one is its
        answer.  For where a call for each would cost more than the object."""

    async def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        """The object, unless it still has this token."""

    async def head(self, key: RemoteKey) -> Found | Missing:
        """Token, size and metadata, without the body."""

    async def put(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """Write without a condition."""

    async def create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """Write if there is no object at this key."""

    async def create_each(
        self, creations: Sequence[Creation], may_send: MaySend
    ) -> Sequence[WriteOutcome | SwampdError | None]:
        """Many small objects, each as `create` would answer it; what `create` would raise of one is
        its answer, and None stands for one that was not sent.  Once this is cancelled `may_send` is
        asked no more, so nothing is sent that it has not been asked of."""

    async def replace(
        self, key: RemoteKey, body: Body, token: Token, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        """Write if the object has this token; a missing object is Rejected."""

    async def delete(self, key: RemoteKey) -> WriteOutcome:
        """Delete without a condition; a missing object counts as deleted."""

    async def delete_if(self, key: RemoteKey, token: Token) -> WriteOutcome:
        """Delete if the object has this token (capability `conditional_delete`)."""

    async def copy_to(
        self,
        source: RemoteKey,
        target: RemoteKey,
        token: Token | None,
        metadata: Mapping[str, str],
    ) -> WriteOutcome:
        """Copy on the server to `target` if it has this token (None: if there is none), with new
        metadata (capability `server_copy`).  A missing source is Rejected."""

    @property
    def parts(self) -> PartStore | None:
        """For writing an object in parts; None where any body is written at once."""

    def narrow(self, lacking: Lacking) -> None:
        """Go on without what the probe found not to be kept here."""

    async def list(self, prefix: RemoteKey, after: str | None = None) -> Page:
        """Keys that start with `prefix` (a string prefix), in UTF-8 byte order, at most 1,000,
        those behind `after` only."""

    async def close(self) -> None:
        """Let go of connections and threads."""
