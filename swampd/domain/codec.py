"""Documents as bytes: locks, heads, manifests, layout.  Keys sorted, compact JSON.

What comes from a store is hostile: a document is decoded whole and checked, or refused as damaged;
a bad row of a head never fails the rest, it is left out and named (section 8).
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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
    CachePath,
    DatastoreId,
    Epoch,
    Nonce,
    Scope,
    Seq,
    Sha256,
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
    schema: int


class _Row(msgspec.Struct, omit_defaults=True):
    """An entry or a tombstone as it stands in JSON, before we know which."""

    wid: Wid
    sha256: Sha256 | None = None
    size: int | None = None
    mtime_ns: int | None = None
    x: bool | None = None
    token: Token | None = None
    redo: Redo | None = None
    gone: bool = False
    seq: int | None = None
    at: int | None = None
    swept: bool | None = None


class _HeadRow(msgspec.Struct, kw_only=True):
    schema: int
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
    schema: int
    datastore_id: DatastoreId
    scope: Scope
    entries: dict[str, _Row]


_head_decoder: Final = msgspec.json.Decoder(_HeadRow)
_manifest_decoder: Final = msgspec.json.Decoder(_ManifestRow)
_row_decoder: Final = msgspec.json.Decoder(_Row)


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


def _schema_of(raw: bytes, known: int) -> Damaged | TooNew | None:
    try:
        schema = msgspec.json.decode(raw, type=_Schema).schema
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Damaged(str(error))
    return None if schema == known else TooNew(schema)


# --- rows -------------------------------------------------------------------------------------


def _as_row(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(record, builtin_types=(bytes,))
    if isinstance(record, Tombstone):
        row["gone"] = True
    return row


def encode_record(record: Record) -> bytes:
    """One entry or tombstone as JSON (the journal keeps it so)."""
    return _encoder.encode(_as_row(record))


def decode_record(raw: bytes) -> Record:
    """What `encode_record` wrote.  Raises ValueError for anything else."""
    return _record(_row_decoder.decode(raw))


def _record(row: _Row) -> Record:
    staged = row.redo.staged if row.redo is not None else None
    if not is_wid(row.wid) or not (staged is None or is_wid(staged)):
        raise ValueError("a wid that is not 32 hex digits")
    if row.gone:
        if row.seq is None or row.at is None or row.swept is None:
            message = "a tombstone without seq, at or swept"
            raise ValueError(message)
        return Tombstone(row.wid, row.sha256, Seq(row.seq), row.at, row.swept)
    if row.sha256 is None or row.size is None or row.mtime_ns is None or row.x is None:
        message = "an entry without sha256, size, mtime_ns or x"
        raise ValueError(message)
    if row.size < 0:
        message = "an entry of negative size"
        raise ValueError(message)
    return Entry(row.size, row.sha256, row.mtime_ns, row.x, row.wid, row.token, row.redo)


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
    problem = _schema_of(raw, HEAD_SCHEMA)
    if problem is not None:
        return problem
    refused: dict[str, PathProblem | str] = {}
    try:
        row = _head_decoder.decode(raw)
        delta = _rows(scope, row.delta, refused)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Damaged(str(error))
    if row.scope != scope:
        return Damaged(f"it is the head of {row.scope!r}")
    pending = (child.pending for child in row.children.values())
    named = (*(ref.wid for ref in row.manifests), *(p for p in pending if isinstance(p, str)))
    if not all(is_wid(wid) for wid in named):
        return Damaged("it names a manifest that is no wid")
    children: dict[Scope, Child] = {}
    for name, child in row.children.items():
        path = parse_cache_path(name)
        if isinstance(path, PathProblem) or not scopes.is_child(Scope(path), scope):
            refused[name] = "not a child of this scope"
        else:
            children[Scope(path)] = child
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


# --- manifests --------------------------------------------------------------------------------


def encode_manifest(
    datastore_id: DatastoreId, scope: Scope, wid: Wid, entries: Mapping[CachePath, Record]
) -> tuple[bytes, ManifestRef]:
    """A manifest as it is stored, and the reference that heads hold of it."""
    document = {
        "schema": HEAD_SCHEMA,
        "datastore_id": datastore_id,
        "scope": scope,
        "entries": {path: _as_row(record) for path, record in entries.items()},
    }
    raw = gzip.compress(_encoder.encode(document), compresslevel=6, mtime=0)
    return raw, manifest_ref(wid, len(entries), raw)


def manifest_ref(wid: Wid, entries: int, raw: bytes) -> ManifestRef:
    """The reference to a manifest of these stored bytes."""
    return ManifestRef(wid, entries, len(raw), Sha256(hashlib.sha256(raw).hexdigest()))


def decode_manifest(raw: bytes, scope: Scope) -> Manifest | Damaged | TooNew:
    """A stored manifest, as a part of the head of `scope` (its rows outside are left out)."""
    try:
        plain = _gunzip(raw)
    except (zlib.error, ValueError) as error:
        return Damaged(str(error))
    problem = _schema_of(plain, HEAD_SCHEMA)
    if problem is not None:
        return problem
    refused: dict[str, PathProblem | str] = {}
    try:
        row = _manifest_decoder.decode(plain)
        entries = _rows(scope, row.entries, refused)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
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
    problem = _schema_of(raw, LOCK_SCHEMA)
    if problem is not None:
        return problem
    try:
        record = msgspec.json.decode(raw, type=LockRecord)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Damaged(str(error))
    return record if record.scope == scope else Damaged(f"it is the lock of {record.scope!r}")


def encode_layout(layout: Layout) -> bytes:
    """The layout document as it is stored."""
    return _encoder.encode(layout)


def decode_layout(raw: bytes) -> Layout | Damaged | TooNew:
    """The stored layout document."""
    problem = _schema_of(raw, LAYOUT_SCHEMA)
    if problem is not None:
        return problem
    try:
        return msgspec.json.decode(raw, type=Layout)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Damaged(str(error))
