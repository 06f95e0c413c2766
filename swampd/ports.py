"""What the core needs of the world: stores, the local tree, the journal, time, chance, threads.

The engine sees only these.  In the daemon they are real; in the simulator every one of them is
seeded and can fail, stop or lose what was not synced.  An async method may be cancelled at any
await; a sync method (the local tree, a journal transaction) runs in a worker thread and is short.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from swampd.domain.outcomes import (
        Found,
        Mismatch,
        Missing,
        Page,
        Unchanged,
        WriteOutcome,
    )
    from swampd.domain.values import BootId, CachePath, RemoteKey, Sha256, Token

T = TypeVar("T")


# --- stores -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """What a store can do beyond the contract."""

    conditional_delete: bool
    """`delete_if` is honoured (atomic or not is the store's own promise)."""
    server_copy: bool
    """`copy_to` is there, and its condition is honoured."""
    side_by_side: int = 8
    """So many requests at a time pay off: a local folder gains nothing from threads in a queue."""
    least_write_interval_s: float = 0.0
    """Least time between two writes of one key (GCS: 1 s); `waiting.Pace` keeps it (L12)."""


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A private copy of a file's bytes that nobody changes, for bodies too large to hold."""

    location: str
    size: int
    sha256: Sha256


Body = bytes | SealedFile


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

    async def get_if_changed(self, key: RemoteKey, token: Token) -> Found | Missing | Unchanged:
        """The object, unless it still has this token."""

    async def head(self, key: RemoteKey) -> Found | Missing:
        """Token, size and metadata, without the body."""

    async def put(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """Write without a condition."""

    async def create(self, key: RemoteKey, body: Body, metadata: Mapping[str, str]) -> WriteOutcome:
        """Write if there is no object at this key."""

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


# --- the local tree ---------------------------------------------------------------------------


class Kind(Enum):
    """What is at a name."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What lstat says of a regular file: any difference means look at the bytes (section 5)."""

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int
    x: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """One file of a scan.  `stamp` is there for regular files only."""

    path: str
    kind: Kind
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class Above:
    """What is on the way to a path, with the device that a Stamp of a file there has."""

    path: str
    kind: Kind
    dev: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A directory or file that could not be read: nothing below it counts as deleted."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotUtf8:
    """A name that is not UTF-8; `path` is a printable spelling of it."""

    path: str


ScanRow = Seen | Unreadable | NotUtf8


class ReadProblem(Enum):
    """Why a file's bytes could not be had whole."""

    GONE = "gone"
    NOT_A_FILE = "not_a_file"
    UNREADABLE = "unreadable"
    BUSY = "busy"
    """It changed between open and the last look."""


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file read whole while it did not change: opened without following links, fstat before
    equal to fstat and lstat after.  `body` is bytes, a sealed copy, or None when only hashed."""

    stamp: Stamp
    sha256: Sha256
    body: Body | None


class PlaceProblem(Enum):
    """Why a placement step was not done; the tree is as it was."""

    OCCUPIED = "occupied"
    """Something is at the name (NOREPLACE)."""
    ABSENT = "absent"
    """Nothing is at the name (EXCHANGE, move away)."""
    BLOCKED = "blocked"
    """A parent segment is a file, a link or not writable; or the name is a directory."""
    NAME_REFUSED = "name_refused"
    """This file system cannot have this name."""
    NO_SPACE = "no_space"
    """The disk or quota is full."""


class FileTree(Protocol):
    """A cache directory.  Every path is relative to its root's descriptor, no component of it is
    ever followed as a link (section 8).  All methods are sync and for a worker thread.

    Names in the private area are flat: `tmp/<name>`, `trash/<name>`, `conflicts/<path>` below
    `.swampd/`; callers pass the part behind the area.
    """

    @property
    def exchange_supported(self) -> bool:
        """False where the file system lacks RENAME_EXCHANGE (a shown capability)."""

    @property
    def folds_names(self) -> bool:
        """True where names that differ in case or Unicode form are one name."""

    def present(self) -> bool:
        """Is the root there, and the same directory that was opened?"""

    def marker(self) -> bytes | None:
        """The content of `.swampd/cache-id`, or None."""

    def write_marker(self, content: bytes) -> None:
        """Replace the marker atomically, durably."""

    def scan(self, under: str, prune: Callable[[str], bool]) -> Iterator[ScanRow]:
        """All names below the directory `under` ('' = root), in no order; a directory yields a row
        only when unreadable.  `prune(path)` true: skip this file, or all of this directory.
        `under` that is missing yields nothing; that is a file yields its row."""

    def children(self, under: str) -> Sequence[Seen]:
        """The names directly in a directory (with kinds, directories too); empty if missing."""

    def stat(self, path: str) -> Seen | None:
        """lstat of one name; None where nothing is there."""

    def above(self, path: str) -> Above:
        """What is deepest on the way to a path, which itself counts for nothing: mostly its
        directory; the root, where nothing else is there.  Raises OSError where it cannot tell."""

    def now_ns(self) -> int:
        """The newest timestamp the file system gives: of a private file touched just now."""

    def read(self, path: CachePath, *, keep: bool) -> FileRead | ReadProblem:
        """Read and hash a file in one pass; with `keep`, hand out its bytes too (a sealed copy in
        `tmp/` above 16 MiB)."""

    def write_tmp(self, name: str, *, x: bool) -> AbstractContextManager[Sink]:
        """A new file `tmp/<name>`, filled through the sink.  Raises OSError (ENOSPC)."""

    def finish_tmp(self, name: str, mtime_ns: int) -> Stamp:
        """Give `tmp/<name>` its mtime; its stamp."""

    def drop_tmp(self, name: str) -> None:
        """Remove `tmp/<name>` if it is there."""

    def clear_tmp(self, keep: Iterable[str]) -> None:
        """Remove every file of `tmp/` that is not named (after a crash)."""

    def sync(self) -> None:
        """Everything written so far is on disk (syncfs or fsync of what was written)."""

    def place_new(self, name: str, path: CachePath) -> PlaceProblem | None:
        """Rename `tmp/<name>` to a free name (NOREPLACE), making parent directories."""

    def exchange(self, name: str, path: CachePath) -> PlaceProblem | None:
        """Exchange `tmp/<name>` with the file at `path`: afterwards `tmp/<name>` is what was there.
        Without EXCHANGE: current to `tmp/`, link, unlink."""

    def move_to_tmp(self, path: CachePath, name: str) -> PlaceProblem | None:
        """Rename what is at `path` (a file or link, never a directory) to `tmp/<name>`."""

    def stat_tmp(self, name: str) -> Seen | None:
        """lstat of `tmp/<name>`."""

    def hash_tmp(self, name: str) -> FileRead | ReadProblem:
        """Read and hash `tmp/<name>`."""

    def tmp_to_trash(self, name: str) -> None:
        """Rename `tmp/<name>` to `trash/<name>`."""

    def tmp_to_conflicts(self, name: str, path: CachePath) -> str:
        """Keep `tmp/<name>` as a conflict copy of `path`; its place relative to the root."""

    def hash_trash(self, name: str) -> FileRead | ReadProblem:
        """Read and hash `trash/<name>`."""

    def trash_to_conflicts(self, name: str, path: CachePath) -> str:
        """Keep `trash/<name>` as a conflict copy of `path`; its place relative to the root."""

    def drop_trash(self, name: str) -> None:
        """Remove `trash/<name>` if it is there."""

    def trash(self) -> Sequence[str]:
        """The names in `trash/`."""

    def read_conflict(self, place: str) -> FileRead | ReadProblem:
        """Read a conflict copy whole (`place` as `tmp_to_conflicts` gave it)."""

    def drop_conflict(self, place: str) -> None:
        """Remove a conflict copy if it is there, and its empty parents."""

    def prune_empty(self, path: CachePath) -> None:
        """Remove the parents of `path` that are empty now, below the top level."""

    def free_bytes(self) -> int:
        """Space left for us on this file system."""


# --- journal ----------------------------------------------------------------------------------


class Transaction(Protocol):
    """SQL inside one transaction of the journal."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Run one statement; its rows."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""


class Journal(Protocol):
    """The daemon's memory of one workspace: SQLite.  Its schema is in `journal/migrations`."""

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in one transaction: all of it or nothing.  `durable`: on disk before this
        returns; otherwise a power cut may take it back, never a later durable one without it."""

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent state."""


# --- time, chance, threads --------------------------------------------------------------------


class Clock(Protocol):
    """Local time.  No store's and no other machine's time decides anything (section 3)."""

    @property
    def boot_id(self) -> BootId:
        """The boot that `now` counts in."""

    def now(self) -> float:
        """Seconds on a clock that never goes back and runs in suspend."""

    def wall_ms(self) -> int:
        """The wall clock, for people and for the 90 days of tombstones only."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Rng(Protocol):
    """Chance."""

    def uuid(self) -> str:
        """A fresh id of 32 hex digits."""

    def uniform(self, low: float, high: float) -> float:
        """A number between."""


class Threads(Protocol):
    """Where blocking and CPU-bound work is done, bounded; in the simulator a seeded delay."""

    async def io(self, work: Callable[[], T]) -> T:
        """Run blocking work (file system)."""

    async def cpu(self, work: Callable[[], T]) -> T:
        """Run CPU-bound work (hashing of large files, plans): one at a time in the process."""
