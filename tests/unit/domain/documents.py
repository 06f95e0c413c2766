"""Documents for the tests of the codec: whole ones, strategies for more, and ways to spoil them."""

from __future__ import annotations

import gzip
import json
from typing import Any

from hypothesis import strategies as st

from swampd.domain import codec, heads
from swampd.domain.entries import Entry, Record, Redo, Tombstone
from swampd.domain.heads import Child, Head, HeadKind, ManifestRef
from swampd.domain.layout import Layout
from swampd.domain.leases import LockRecord, LockState
from swampd.domain.scopes import Covers
from swampd.domain.values import (
    LEAST_TIME,
    MOST,
    MOST_TIME,
    BootId,
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

WID = Wid("0123456789abcdef" * 2)
STORE = DatastoreId("d" * 32)
DATA = Scope("data")
SHA = Sha256("a" * 64)
ENTRY = Entry(3, SHA, 5, x=True, wid=WID, token=Token("e", "v"))
TOMBSTONE = Tombstone(WID, SHA, Seq(4), 6, swept=True)
LOCK = LockRecord(
    scope=DATA,
    state=LockState.HELD,
    covers=Covers.TREE,
    epoch=Epoch(7),
    nonce=Nonce("c" * 32),
    wid=WID,
    beat=2,
    ttl_ms=30_000,
    in_doubt=Epoch(6),
    holder="me@host",
    hostname="host",
    pid=1,
    daemon="d" * 32,
    boot_id=BootId("b"),
    version="1.0",
    acquired_at="2024-01-01T00:00:00Z",
    purpose="run",
)
LAYOUT = Layout(1, STORE, "ready", WID)
HEAD = Head(
    datastore_id=STORE,
    scope=DATA,
    epoch=Epoch(7),
    nonce=Nonce("c" * 32),
    seq=Seq(9),
    wid=WID,
    kind=HeadKind.COMMIT,
    writer="daemon",
    recent=(WID,),
    children={
        Scope("data/a"): Child(WID),
        Scope("data/b"): Child({}),
        Scope("data/c"): Child(None),
    },
    forgotten_seq=Seq(2),
    manifests=(ManifestRef(WID, 1, 100, SHA),),
    delta={CachePath("data/x"): ENTRY, CachePath("data/y"): TOMBSTONE},
)
DOCUMENT = codec.encode_head(HEAD)

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
WHOLE = st.integers(0, MOST)
TIMES = st.integers(LEAST_TIME, MOST_TIME)
WIDS = st.uuids().map(lambda wid: Wid(wid.hex))
DIGESTS = st.binary(min_size=32, max_size=32).map(lambda digest: Sha256(digest.hex()))
REDOS = st.builds(Redo, inline=st.binary(max_size=64)) | st.builds(Redo, staged=WIDS)
ENTRIES = st.builds(
    Entry,
    WHOLE,
    DIGESTS,
    TIMES,
    st.booleans(),
    WIDS,
    st.none() | st.builds(Token, TEXT, st.none() | TEXT),
    st.none() | REDOS,
)
TOMBSTONES = st.builds(Tombstone, WIDS, st.none() | DIGESTS, WHOLE.map(Seq), TIMES, st.booleans())
RECORDS: st.SearchStrategy[Record] = ENTRIES | TOMBSTONES
NAMES = st.text("abcäß 0", min_size=1, max_size=6)
PATHS = NAMES.map(lambda name: CachePath(f"data/{name}"))
ROWS = st.dictionaries(PATHS, RECORDS, max_size=4)
HEADS = st.builds(
    Head,
    schema=st.just(heads.SCHEMA),
    datastore_id=WIDS.map(DatastoreId),
    scope=st.just(DATA),
    epoch=WHOLE.map(Epoch),
    nonce=WIDS.map(Nonce),
    seq=WHOLE.map(Seq),
    wid=WIDS,
    kind=st.sampled_from(HeadKind),
    writer=TEXT,
    recent=st.lists(WIDS, max_size=3).map(tuple),
    children=st.dictionaries(
        PATHS.map(Scope), st.builds(Child, st.none() | WIDS | st.just({})), max_size=3
    ),
    forgotten_seq=WHOLE.map(Seq),
    manifests=st.lists(st.builds(ManifestRef, WIDS, WHOLE, WHOLE, DIGESTS), max_size=3).map(tuple),
    delta=ROWS,
)

NO_WIDS = ["", "0" * 31, "0" * 33, "0" * 32 + "\n", "A" * 32, "g" * 32, "../../layout.json"]


def with_fields(raw: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(raw), **fields}).encode()


def row(record: Record) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(codec.encode_record(record))
    return decoded


def manifest(**fields: object) -> bytes:
    whole = {"schema": 1, "datastore_id": STORE, "scope": DATA, "entries": {}}
    return gzip.compress(json.dumps({**whole, **fields}).encode())


def lock(**fields: object) -> bytes:
    return with_fields(codec.encode_lock(LOCK), **fields)
