"""No bytes make a decoder raise, and what it lets through is within its bounds and forms (S9)."""

from __future__ import annotations

import copy
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import codec
from swampd.domain.codec import Damaged, DecodedHead, Manifest, TooNew
from swampd.domain.entries import Entry, Tombstone
from swampd.domain.leases import HORIZON_S, LEAST_TTL_MS, MOST_TTL_MS, LockRecord
from swampd.domain.markers import Marker, decode_marker, encode_marker
from swampd.domain.paths import PathProblem, parse_cache_path
from swampd.domain.values import LEAST_TIME, MOST, MOST_TIME, CachePath
from tests.unit.domain.documents import (
    DATA,
    DOCUMENT,
    ENTRY,
    HEADS,
    LAYOUT,
    NO_WIDS,
    ROWS,
    SHA,
    STORE,
    TOMBSTONE,
    WID,
    lock,
    manifest,
    row,
    with_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swampd.domain.layout import Layout

    Decoded = DecodedHead | LockRecord | Manifest | Layout | Damaged | TooNew
    Decode = Callable[[bytes], Decoded]

MARKER = Marker(STORE, "workspace", 7)
BEYOND_COUNT = [-1, MOST + 1, 2**63 - 1, 2**63, 2**64, 10**40, int("9" * 4000)]
BEYOND_TIME = [LEAST_TIME - 1, MOST_TIME + 1, -(10**40), 10**40]
NO_DIGESTS = ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n"]


def head_of(raw: bytes) -> Decoded:
    return codec.decode_head(raw, DATA)


def lock_of(raw: bytes) -> Decoded:
    return codec.decode_lock(raw, DATA)


def manifest_of(plain: bytes) -> Decoded:
    return codec.decode_manifest(gzip.compress(plain, compresslevel=1), DATA)


DECODERS: dict[Decode, bytes] = {
    head_of: DOCUMENT,
    lock_of: lock(),
    manifest_of: gzip.decompress(
        manifest(entries={"data/x": row(ENTRY), "data/y": row(TOMBSTONE)})
    ),
    codec.decode_layout: codec.encode_layout(LAYOUT),
}
each_decoder = pytest.mark.parametrize("decode", DECODERS)


# --- bounds -----------------------------------------------------------------------------------


def heads_with(number: int, name: str) -> bytes:
    """The head with this number, wherever a head has one of this name."""
    ref = {"wid": WID, "entries": 1, "bytes": 1, "sha256": SHA}
    fields: dict[str, dict[str, Any]] = {
        "entries": {"manifests": [{**ref, "entries": number}]},
        "bytes": {"manifests": [{**ref, "bytes": number}]},
        "size": {"delta": {"data/x": {**row(ENTRY), "size": number}}},
        "mtime_ns": {"delta": {"data/x": {**row(ENTRY), "mtime_ns": number}}},
        "row_seq": {"delta": {"data/x": {**row(TOMBSTONE), "seq": number}}},
        "at": {"delta": {"data/x": {**row(TOMBSTONE), "at": number}}},
    }
    return with_fields(DOCUMENT, **fields.get(name, {name: number}))


@pytest.mark.parametrize("number", BEYOND_COUNT)
@pytest.mark.parametrize(
    "name", ["epoch", "seq", "forgotten_seq", "entries", "bytes", "size", "row_seq"]
)
def test_a_number_of_a_head_beyond_its_bounds_is_damage(name: str, number: int) -> None:
    assert isinstance(head_of(heads_with(number, name)), Damaged)
    assert isinstance(head_of(heads_with(0, name)), DecodedHead)
    assert isinstance(head_of(heads_with(MOST, name)), DecodedHead)


@pytest.mark.parametrize("number", BEYOND_TIME)
@pytest.mark.parametrize("name", ["mtime_ns", "at"])
def test_a_time_of_a_head_beyond_64_bits_is_damage(name: str, number: int) -> None:
    assert isinstance(head_of(heads_with(number, name)), Damaged)
    assert isinstance(head_of(heads_with(LEAST_TIME, name)), DecodedHead)
    assert isinstance(head_of(heads_with(MOST_TIME, name)), DecodedHead)


@pytest.mark.parametrize("number", BEYOND_COUNT)
@pytest.mark.parametrize("name", ["epoch", "beat", "in_doubt", "pid", "ttl_ms"])
def test_a_number_of_a_lock_beyond_its_bounds_is_damage(name: str, number: int) -> None:
    assert isinstance(lock_of(lock(**{name: number})), Damaged)


@pytest.mark.parametrize("ttl_ms", [1, LEAST_TTL_MS, MOST_TTL_MS, int(HORIZON_S) * 1000])
def test_a_lock_of_a_ttl_that_nobody_here_grants_is_read(ttl_ms: int) -> None:
    record = lock_of(lock(ttl_ms=ttl_ms))
    assert isinstance(record, LockRecord)
    assert record.ttl_ms == ttl_ms


@pytest.mark.parametrize("ttl_ms", [0, int(HORIZON_S) * 1000 + 1])
def test_a_ttl_beyond_the_horizon_is_damage(ttl_ms: int) -> None:
    assert isinstance(lock_of(lock(ttl_ms=ttl_ms)), Damaged)


@pytest.mark.parametrize("number", BEYOND_COUNT)
@each_decoder
def test_a_schema_beyond_all_bounds_is_damage(decode: Decode, number: int) -> None:
    assert isinstance(decode(with_fields(DECODERS[decode], schema=number)), Damaged)
    assert decode(with_fields(DECODERS[decode], schema=MOST)) == TooNew(MOST)


@pytest.mark.parametrize("mtime_ns", [99_999_999_999_000_000_000, -99_999_999_999_000_000_000])
def test_what_is_written_of_a_file_from_another_age_is_within_bounds(mtime_ns: int) -> None:
    strange = Entry(3, SHA, mtime_ns, x=False, wid=WID, token=None)
    read = codec.decode_record(codec.encode_record(strange))
    assert isinstance(read, Entry)
    assert read.mtime_ns == (MOST_TIME if mtime_ns > 0 else LEAST_TIME)
    assert read.content == strange.content


# --- forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NO_WIDS)
def test_an_id_of_another_form_is_damage(text: str) -> None:
    for fields in ({"wid": text}, {"nonce": text}, {"datastore_id": text}, {"recent": [WID, text]}):
        assert isinstance(head_of(with_fields(DOCUMENT, **fields)), Damaged)
    for name in ("wid", "nonce"):
        assert isinstance(lock_of(lock(**{name: text})), Damaged)
    for name in ("wid", "datastore_id"):
        raw = with_fields(codec.encode_layout(LAYOUT), **{name: text})
        assert isinstance(codec.decode_layout(raw), Damaged)
    assert isinstance(codec.decode_manifest(manifest(datastore_id=text), DATA), Damaged)
    assert decode_marker(with_fields(encode_marker(MARKER), datastore_id=text)) is None


@pytest.mark.parametrize("text", NO_DIGESTS)
def test_a_digest_of_another_form_is_damage(text: str) -> None:
    ref = {"wid": WID, "entries": 1, "bytes": 1, "sha256": text}
    assert isinstance(head_of(with_fields(DOCUMENT, manifests=[ref])), Damaged)
    for record in (ENTRY, TOMBSTONE):
        rows = {"data/x": {**row(record), "sha256": text}}
        assert isinstance(head_of(with_fields(DOCUMENT, delta=rows)), Damaged)
        assert isinstance(codec.decode_manifest(manifest(entries=rows), DATA), Damaged)


@pytest.mark.parametrize("pending", [{"a": "b"}, {"wid": WID}, [], [WID], 0, False, "", "{}"])
def test_what_a_child_waits_for_is_a_wid_or_nothing(pending: object) -> None:
    raw = with_fields(DOCUMENT, children={"data/a": {"pending": pending}})
    assert isinstance(head_of(raw), Damaged)


@pytest.mark.parametrize("redo", [{}, {"inline": "YWJj", "staged": WID}])
def test_a_redo_copy_is_in_one_place(redo: dict[str, str]) -> None:
    rows = {"data/x": {**row(ENTRY), "redo": redo}}
    assert isinstance(head_of(with_fields(DOCUMENT, delta=rows)), Damaged)
    assert isinstance(codec.decode_manifest(manifest(entries=rows), DATA), Damaged)


@each_decoder
def test_a_document_that_nests_too_deeply_is_damage(decode: Decode) -> None:
    for deep in (b"[" * 100_000, b'{"a":' * 100_000):
        assert isinstance(decode(deep), Damaged)
        assert isinstance(decode(b'{"schema":1,"more":' + deep), Damaged)
        assert isinstance(decode(b'{"schema":2,"more":' + deep), Damaged)
    with pytest.raises(ValueError, match="recursion"):
        codec.decode_record(b'{"wid":"%s","more":' % WID.encode() + b"[" * 100_000)


# --- anything ---------------------------------------------------------------------------------

NUMBERS = st.integers() | st.sampled_from([*BEYOND_COUNT, *BEYOND_TIME]) | st.floats()
TEXTS = st.text(st.characters(exclude_categories=[]), max_size=40) | st.sampled_from(
    ["", "data", "data/a", "data/a/b", "../x", ".", "*", WID, SHA, STORE, "held", "commit"]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def as_bytes(document: Any) -> bytes:
    """As JSON, lone surrogates and infinite numbers included."""
    return json.dumps(document).encode()


def check(decoded: Decoded) -> None:
    """What the rest of the daemon relies on in whatever was let through."""
    if isinstance(decoded, DecodedHead):
        head = decoded.head
        assert head.scope == DATA
        check_rows(head.delta)
        for child in head.children:
            assert child.startswith("data/")
            assert not isinstance(parse_cache_path(child), PathProblem)
            assert not any(other.startswith(child + "/") for other in head.children)
    if isinstance(decoded, Manifest):
        check_rows(decoded.entries)
    if isinstance(decoded, LockRecord):
        assert decoded.scope == DATA
        assert 0 <= decoded.epoch <= MOST


def check_rows(rows: Mapping[CachePath, Entry | Tombstone]) -> None:
    for path, record in rows.items():
        assert parse_cache_path(path) == path
        assert path.startswith("data/")
        assert codec.decode_record(codec.encode_record(record)) == record


@each_decoder
@given(raw=st.binary())
def test_any_bytes_are_damage(decode: Decode, raw: bytes) -> None:
    assert isinstance(decode(raw), Damaged)


@given(st.binary())
def test_any_bytes_are_no_manifest_and_no_marker(raw: bytes) -> None:
    assert isinstance(codec.decode_manifest(raw, DATA), Damaged)
    assert decode_marker(raw) is None


@each_decoder
@given(document=JSON)
def test_any_json_is_damage_or_too_new(decode: Decode, document: Any) -> None:
    assert isinstance(decode(as_bytes(document)), Damaged | TooNew)
    assert decode_marker(as_bytes(document)) is None


def places(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a document."""
    keys: list[Any] = []
    if isinstance(document, dict):
        keys.extend(document)
    elif isinstance(document, list):
        keys.extend(range(len(document)))
    found = []
    for key in keys:
        way = (*above, key)
        found += [way, *places(document[key], way)]
    return found


def _at(document: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        document = document[key]
    return document


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> Any:
    """The document with one value changed or missing, or one key more or spelt otherwise."""
    whole = copy.deepcopy(document)
    *above, last = draw(st.sampled_from(places(whole)))
    holder = _at(whole, tuple(above))
    how = draw(st.sampled_from(["change", "drop", "rename", "more"]))
    if how == "change" or isinstance(holder, list):
        holder[last] = draw(JSON)
    elif how == "drop":
        del holder[last]
    elif how == "rename":
        holder[draw(TEXTS)] = holder.pop(last)
    else:
        holder[draw(TEXTS)] = draw(JSON)
    return whole


@each_decoder
@given(data=st.data())
def test_a_document_with_one_thing_spoilt_is_read_or_refused(
    decode: Decode, data: st.DataObject
) -> None:
    document = json.loads(DECODERS[decode])
    check(decode(as_bytes(data.draw(spoilt(document)))))


@given(HEADS, st.data())
def test_any_head_with_one_thing_spoilt_is_read_or_refused(head: Any, data: st.DataObject) -> None:
    document = json.loads(codec.encode_head(head))
    check(head_of(as_bytes(data.draw(spoilt(document)))))


@given(ROWS, st.data())
def test_any_manifest_with_one_thing_spoilt_is_read_or_refused(
    rows: dict[CachePath, Entry | Tombstone], data: st.DataObject
) -> None:
    raw = codec.encode_manifest(STORE, DATA, rows)
    document = json.loads(gzip.decompress(raw))
    check(manifest_of(as_bytes(data.draw(spoilt(document)))))


@given(data=st.data())
def test_a_marker_with_one_thing_spoilt_is_read_or_refused(data: st.DataObject) -> None:
    raw = as_bytes(data.draw(spoilt(json.loads(encode_marker(MARKER)))))
    marker = decode_marker(raw)
    assert marker is None or 0 <= marker.generation <= MOST


@each_decoder
@given(data=st.data())
def test_a_document_with_one_byte_spoilt_is_read_or_refused(
    decode: Decode, data: st.DataObject
) -> None:
    raw = bytearray(DECODERS[decode])
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    check(decode(bytes(raw)))


@given(data=st.data())
def test_a_stored_manifest_with_one_byte_spoilt_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(manifest(entries={"data/x": row(ENTRY)}))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    check(codec.decode_manifest(bytes(raw), DATA))
