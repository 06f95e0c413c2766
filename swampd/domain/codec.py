"""Documents as bytes: locks, heads, manifests, layout.  Keys sorted, compact JSON.

What comes from a store is hostile: a document is decoded whole and checked, or refused as damaged;
no bytes at all make a decoder raise.  Bounds and forms stand in the types (`values`).  A row whose
key is no cache path of the scope never fails the rest, it is left out and named (section 8); a
child that cannot be does, since children decide which rows count at all.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from swampd.domain import scopes
from swampd.domain.entries import Entry, Record, Redo, Tombstone
from swampd.domain.heads import SCHEMA as HEAD_SCHEMA
from swampd.domain.heads import Child, Head, HeadKind, ManifestRef
from swampd.domain.layout import SCHEMA as LAYOUT_SCHEMA
from swampd.domain.layout import Layout
from swampd.domain.leases import SCHEMA as LOCK_SCHEMA
from swampd.domain.leases import LockRecord
from swampd.domain.metadata import is_wid
from swampd.domain.paths import PathProblem, parse_cache_path
from swampd.domain.values import (
    HEX_32,
    HEX_64,
    LEAST_TIME,
    MOST_TIME,
    CachePath,
    Count,
    DatastoreId,
    Epoch,
    Nonce,
    Scope,
    Seq,
    Sha256,
    Time,
    Token,
    Wid,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST_LIMIT: Final = 1 << 30
"""A manifest that unpacks to more bytes than this is damaged (a bomb)."""
_encoder: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Damaged:
    """A document that is not what it should be."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooNew:
    """A document of a schema that this version does not know."""

    schema: int


class _Schema(msgspec.Struct):
    schema: Count


class _Row(msgspec.Struct, gc=False):
    """An entry or a tombstone as it stands in JSON, before we know which.

    Its ids are looked at when its key is known to be one: the row of a hostile key is not used.
    """

    wid: str
    sha256: str | None = None
    size: Count | None = None
    mtime_ns: Time | None = None
    x: bool | None = None
    token: Token | None = None
    redo: Redo | None = None
    gone: bool = False
    seq: Seq | None = None
    at: Time | None = None
    swept: bool | None = None


class _HeadRow(msgspec.Struct, kw_only=True):
    schema: Count
    datastore_id: DatastoreId
    scope: Scope
    epoch: Epoch
    nonce: Nonce
    seq: Seq
    wid: Wid
    kind: HeadKind
    writer: str
    recent: tuple[Wid, ...]
    children: dict[str, Child]
    forgotten_seq: Seq
    manifests: tuple[ManifestRef, ...]
    delta: dict[str, _Row]


class _ManifestRow(msgspec.Struct):
    schema: Count
    datastore_id: DatastoreId
    scope: Scope
    entries: dict[str, _Row]


_head_decoder: Final = msgspec.json.Decoder(_HeadRow)
_manifest_decoder: Final = msgspec.json.Decoder(_ManifestRow)
_lock_decoder: Final = msgspec.json.Decoder(LockRecord)
_layout_decoder: Final = msgspec.json.Decoder(Layout)
_schema_decoder: Final = msgspec.json.Decoder(_Schema)
_row_decoder: Final = msgspec.json.Decoder(_Row)
_are_ids: Final = re.compile(f"{HEX_32} {HEX_64}").fullmatch


@dataclass(frozen=True, slots=True)
class DecodedHead:
    """A head, and the keys that were left out of it because no cache path can be spelt so."""

    head: Head
    refused: Mapping[str, PathProblem | str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of one manifest, and what was left out of it."""

    scope: Scope
    datastore_id: DatastoreId
    entries: dict[CachePath, Record]
    refused: Mapping[str, PathProblem | str]


class _HasSchema(Protocol):
    @property
    def schema(self) -> int: ...


_Document = TypeVar("_Document", bound=_HasSchema)


def _decode(
    decoder: msgspec.json.Decoder[_Document], raw: bytes, known: int
) -> _Document | Damaged | TooNew:
    """A document of the schema that is known.  One of another schema need not fit the decoder."""
    try:
        document = decoder.decode(raw)
    except (ValueError, RecursionError) as error:
        try:
            schema = _schema_decoder.decode(raw).schema
        except (ValueError, RecursionError):
            schema = known
        return Damaged(str(error)) if schema == known else TooNew(schema)
    return document if document.schema == known else TooNew(document.schema)


# --- rows -------------------------------------------------------------------------------------


def _as_row(record: Record) -> Record | dict[str, Any]:
    """What the encoder is given for a record: mostly itself."""
    if isinstance(record, Tombstone):
        return {**msgspec.to_builtins(record), "gone": True}
    if LEAST_TIME <= record.mtime_ns <= MOST_TIME:
        return record
    time_ns = min(max(record.mtime_ns, LEAST_TIME), MOST_TIME)
    return msgspec.structs.replace(record, mtime_ns=time_ns)


def encode_record(record: Record) -> bytes:
    """One entry or tombstone as JSON (the journal keeps it so).

    The time of a file may be later than 64 bits of nanoseconds hold (the year 2262); what is
    written is the latest time that they do.
    """
    return _encoder.encode(_as_row(record))


def decode_record(raw: bytes) -> Record:
    """What `encode_record` wrote.  Raises ValueError for anything else."""
    try:
        return _record(_row_decoder.decode(raw))
    except RecursionError as error:
        raise ValueError(str(error)) from error


def _record(row: _Row) -> Record:
    """Raises ValueError for what is neither."""
    sure = is_wid(row.wid) if row.sha256 is None else _are_ids(f"{row.wid} {row.sha256}")
    if not sure:
        raise ValueError("a wid or sha256 that is not 32 or 64 hex digits")
    sha256 = Sha256(row.sha256) if row.sha256 is not None else None
    if row.gone:
        if row.seq is None or row.at is None or row.swept is None:
            raise ValueError("a tombstone without seq, at or swept")
        return Tombstone(Wid(row.wid), sha256, row.seq, row.at, row.swept)
    if sha256 is None or row.size is None or row.mtime_ns is None or row.x is None:
        raise ValueError("an entry without sha256, size, mtime_ns or x")
    redo = row.redo
    if redo is not None and (redo.inline is None) == (redo.staged is None):
        raise ValueError("a redo copy that is not in one place")
    return Entry(row.size, sha256, row.mtime_ns, row.x, Wid(row.wid), row.token, redo)


def _rows(
    scope: Scope, rows: Mapping[str, _Row], refused: dict[str, PathProblem | str]
) -> dict[CachePath, Record]:
    kept: dict[CachePath, Record] = {}
    for key, row in rows.items():
        path = parse_cache_path(key)
        if isinstance(path, PathProblem):
            refused[key] = path
        elif not scopes.contains(scope, path):
            refused[key] = f"outside the scope {scope}"
        else:
            kept[path] = _record(row)
    return kept


# --- heads ------------------------------------------------------------------------------------


def encode_head(head: Head) -> bytes:
    """A head as it is stored."""
    shallow = {name: getattr(head, name) for name in head.__struct_fields__ if name != "delta"}
    shallow["delta"] = {path: _as_row(record) for path, record in head.delta.items()}
    return _encoder.encode(shallow)


def decode_head(raw: bytes, scope: Scope) -> DecodedHead | Damaged | TooNew:
    """A stored head of `scope`; rows that cannot be are left out and named."""
    row = _decode(_head_decoder, raw, HEAD_SCHEMA)
    if not isinstance(row, _HeadRow):
        return row
    if row.scope != scope:
        return Damaged(f"it is the head of {row.scope!r}")
    refused: dict[str, PathProblem | str] = {}
    try:
        children = _children(scope, row.children, refused)
        delta = _rows(scope, row.delta, refused)
    except ValueError as error:
        return Damaged(str(error))
    head = Head(
        datastore_id=row.datastore_id,
        scope=row.scope,
        epoch=row.epoch,
        nonce=row.nonce,
        seq=row.seq,
        wid=row.wid,
        kind=row.kind,
        writer=row.writer,
        recent=row.recent,
        children=children,
        forgotten_seq=row.forgotten_seq,
        manifests=row.manifests,
        delta=delta,
    )
    return DecodedHead(head, refused)


def _children(
    scope: Scope, named: Mapping[str, Child], refused: dict[str, PathProblem | str]
) -> dict[Scope, Child]:
    """Those that can be children of this scope; raises ValueError where one is inside another,
    for it cannot be told then whose head speaks for the rows below."""
    found: dict[Scope, Child] = {}
    for name, child in named.items():
        one, problem = Scope(name), parse_cache_path(name)
        if isinstance(problem, PathProblem):
            refused[name] = problem
        elif not (scopes.is_child(one, scope) and scopes.fits_a_key(one)):
            refused[name] = f"no child of the scope {scope}"
        else:
            found[one] = child
    inner = scopes.nested(found)
    if inner is not None:
        raise ValueError(f"it names the child {inner!r}, which is inside another")
    return found


# --- manifests --------------------------------------------------------------------------------


def encode_manifest(
    datastore_id: DatastoreId, scope: Scope, entries: Mapping[CachePath, Record]
) -> bytes:
    """A manifest as it is stored.  Most of it is digests, which no level makes much smaller."""
    document = {
        "schema": HEAD_SCHEMA,
        "datastore_id": datastore_id,
        "scope": scope,
        "entries": {path: _as_row(record) for path, record in entries.items()},
    }
    return gzip.compress(_encoder.encode(document), compresslevel=1, mtime=0)


def manifest_ref(wid: Wid, entries: int, raw: bytes) -> ManifestRef:
    """The reference to a manifest of these stored bytes."""
    return ManifestRef(wid, entries, len(raw), Sha256(hashlib.sha256(raw).hexdigest()))


def decode_manifest(raw: bytes, scope: Scope) -> Manifest | Damaged | TooNew:
    """A stored manifest, as a part of the head of `scope` (its rows outside are left out)."""
    try:
        plain = _gunzip(raw)
    except (zlib.error, ValueError) as error:
        return Damaged(str(error))
    row = _decode(_manifest_decoder, plain, HEAD_SCHEMA)
    if not isinstance(row, _ManifestRow):
        return row
    refused: dict[str, PathProblem | str] = {}
    try:
        entries = _rows(scope, row.entries, refused)
    except ValueError as error:
        return Damaged(str(error))
    return Manifest(row.scope, row.datastore_id, entries, refused)


def _gunzip(raw: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    plain = unpacker.decompress(raw, MANIFEST_LIMIT)
    if not unpacker.eof or unpacker.unused_data:
        message = "not one whole gzip stream"
        raise ValueError(message)
    return plain


# --- locks and layout -------------------------------------------------------------------------


def encode_lock(record: LockRecord) -> bytes:
    """A lock record as it is stored."""
    return _encoder.encode(record)


def decode_lock(raw: bytes, scope: Scope) -> LockRecord | Damaged | TooNew:
    """A stored lock record of `scope`."""
    record = _decode(_lock_decoder, raw, LOCK_SCHEMA)
    if not isinstance(record, LockRecord) or record.scope == scope:
        return record
    return Damaged(f"it is the lock of {record.scope!r}")


def encode_layout(layout: Layout) -> bytes:
    """The layout document as it is stored."""
    return _encoder.encode(layout)


def decode_layout(raw: bytes) -> Layout | Damaged | TooNew:
    """The stored layout document."""
    return _decode(_layout_decoder, raw, LAYOUT_SCHEMA)
