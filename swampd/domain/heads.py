"""Heads: which paths of a scope exist, with which content (section 4).

A head is changed by compare-and-swap only, and only by the functions here.  Keeps L3 (epochs never
go down), L4 (`recent`, seq + 1), and the shape that makes a commit cost what it changed: changes
go to `delta`, which overflows into immutable manifests.
"""

from __future__ import annotations

# msgspec reads the annotations when the class is made, so the names must be there then.
from collections.abc import Mapping  # noqa: TC003
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from swampd.domain.entries import Entry, Record, Tombstone
from swampd.domain.values import (
    CachePath,
    Count,
    DatastoreId,
    Epoch,
    Nonce,
    Scope,
    Seq,
    Sha256,
    Wid,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SCHEMA: Final = 1
RECENT: Final = 16
"""So many wids of commits a head remembers."""
DELTA_LIMIT: Final = 16 * 1024
"""A delta larger than so many bytes of JSON, inline contents aside, becomes a manifest."""
LEAST_ROW: Final = 80
"""No row of a delta takes fewer bytes."""
FORGET_AFTER_MS: Final = 90 * 24 * 3600 * 1000
"""Swept tombstones are dropped after so many milliseconds."""


class HeadKind(Enum):
    """What the last write of a head was."""

    COMMIT = "commit"
    CLAIM = "claim"
    DECLARE = "declare"
    SETTLE = "settle"


class ManifestRef(msgspec.Struct, frozen=True):
    """An immutable manifest: `bytes` and `sha256` are of the object as stored (gzip)."""

    wid: Wid
    entries: Count
    bytes: Count
    sha256: Sha256


Nothing = Annotated[dict[str, str], msgspec.Meta(max_length=0)]
"""`{}`."""


class Child(msgspec.Struct, frozen=True):
    """A declared scope, as its top-level head names it.

    `pending` is the wid of the manifest its head is to be created on, `{}` when nothing moved,
    None once somebody has seen its head.
    """

    pending: Wid | Nothing | None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`heads/<esc>.json`; `manifests` newest first; `delta` is newer than all of them.  Nobody
    changes one: decoded heads are kept and shared."""

    schema: Count = SCHEMA
    datastore_id: DatastoreId
    scope: Scope
    epoch: Epoch
    nonce: Nonce
    seq: Seq
    wid: Wid
    kind: HeadKind
    writer: str
    recent: tuple[Wid, ...] = ()
    children: Mapping[Scope, Child] = msgspec.field(default_factory=dict)
    forgotten_seq: Seq = Seq(0)
    manifests: tuple[ManifestRef, ...] = ()
    delta: Mapping[CachePath, Record] = msgspec.field(default_factory=dict)


class Stamp(msgspec.Struct, frozen=True):
    """Who writes a head: the lease's epoch and nonce, the daemon, the fresh wid of this write."""

    epoch: Epoch
    nonce: Nonce
    wid: Wid
    writer: str


def fresh(datastore_id: DatastoreId, scope: Scope, stamp: Stamp) -> Head:
    """The head of a scope that nobody has written to: created as a claim (section 3)."""
    return Head(
        datastore_id=datastore_id,
        scope=scope,
        epoch=stamp.epoch,
        nonce=stamp.nonce,
        seq=Seq(0),
        wid=stamp.wid,
        kind=HeadKind.CLAIM,
        writer=stamp.writer,
    )


def restamped(head: Head, stamp: Stamp, kind: HeadKind) -> Head:
    """The same content under another write: a claim, a declaration or a settlement.

    None of them raises seq; only a commit does.  Entries of `delta` that are masked leave it: the
    children have them.
    """
    delta = {path: row for path, row in head.delta.items() if not masked(path, head.children)}
    return msgspec.structs.replace(
        head,
        delta=delta,
        epoch=stamp.epoch,
        nonce=stamp.nonce,
        wid=stamp.wid,
        writer=stamp.writer,
        kind=kind,
    )


def committed(head: Head, stamp: Stamp, changes: Mapping[CachePath, Record]) -> Head:
    """The next commit: seq + 1, its wid in `recent`, its changes in `delta` (L4)."""
    recent = (stamp.wid, *head.recent)[:RECENT]
    restamp = restamped(head, stamp, HeadKind.COMMIT)
    return msgspec.structs.replace(
        restamp,
        seq=Seq(head.seq + 1),
        recent=recent,
        delta={**restamp.delta, **changes},
    )


def settled(head: Head, stamp: Stamp, changes: Mapping[CachePath, Record]) -> Head:
    """A write that only records plain tokens, drops redo copies and marks tombstones swept."""
    restamp = restamped(head, stamp, HeadKind.SETTLE)
    return msgspec.structs.replace(restamp, delta={**restamp.delta, **changes})


def with_seen_children(head: Head, seen: Collection[Scope]) -> Head:
    """Children whose own head was seen are pending no more; nobody else may say so (section 4)."""
    done = {
        child: Child(None) if child in seen else state for child, state in head.children.items()
    }
    return msgspec.structs.replace(head, children=done)


def names_commit(head: Head, wid: Wid) -> bool:
    """True when the commit `wid` is in this head's history (L4), as far as it remembers."""
    return wid in head.recent


def forgets_commit(head: Head, base_seq: Seq) -> bool:
    """True when a commit on the head of `base_seq` can no longer be told from `recent`."""
    return head.seq >= base_seq + RECENT


def went_back(head: Head, highest: tuple[Epoch, Seq]) -> bool:
    """True when this head is older than one that was seen before (section 4, going back)."""
    epoch, seq = highest
    return head.epoch < epoch or head.seq < seq


def masked(path: CachePath, children: Iterable[Scope]) -> bool:
    """True for an entry below a declared child: every reader of the parent ignores it."""
    for child in children:  # noqa: SIM110 - asked for each path of a scope, mostly without children
        if path.startswith(child + "/"):
            return True
    return False


def overflow(head: Head) -> dict[CachePath, Record]:
    """The rows of `delta` that have to become a manifest now: all loose ones when they exceed
    DELTA_LIMIT, else none."""
    rows = loose(head)
    if len(rows) * LEAST_ROW <= DELTA_LIMIT and len(msgspec.json.encode(rows)) <= DELTA_LIMIT:
        return {}
    return rows


def loose(head: Head) -> dict[CachePath, Record]:
    """The rows of `delta` that may stand in a manifest: all but those with an inline copy."""
    return {
        path: record
        for path, record in head.delta.items()
        if not (
            isinstance(record, Entry) and record.redo is not None and record.redo.inline is not None
        )
    }


def may_forget(record: Record, now_ms: int) -> bool:
    """True for a tombstone that nobody needs any more: swept, and older than 90 days."""
    return isinstance(record, Tombstone) and record.swept and record.at + FORGET_AFTER_MS < now_ms


def neighbours_to_merge(newest_bytes: int, manifests: tuple[ManifestRef, ...]) -> int:
    """How many of the newest manifests join a new one of `newest_bytes`: neighbours are merged
    while the newer is larger than half the older."""
    size = newest_bytes
    count = 0
    for ref in manifests:
        if size * 2 <= ref.bytes:
            break
        size += ref.bytes
        count += 1
    return count
