"""Documents as bytes: what we wrote comes back, what is hostile is refused and named."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import codec
from swampd.domain.codec import Damaged, DecodedHead, Manifest, TooNew
from swampd.domain.entries import Entry, Record, Redo
from swampd.domain.heads import Head, ManifestRef
from swampd.domain.leases import LockRecord, LockState
from swampd.domain.paths import PathProblem
from swampd.domain.scopes import ROOT, Covers
from swampd.domain.values import BootId, CachePath, Epoch, Scope, Sha256, Token
from tests.unit.domain.documents import (
    DATA,
    DOCUMENT,
    ENTRY,
    HEAD,
    HEADS,
    LAYOUT,
    LOCK,
    NO_WIDS,
    RECORDS,
    ROWS,
    SHA,
    STORE,
    TEXT,
    TOMBSTONE,
    WHOLE,
    WID,
    lock,
    manifest,
    row,
    with_fields,
)

HOSTILE = [
    ("", PathProblem.EMPTY),
    ("/data/x", PathProblem.ABSOLUTE),
    ("data/../etc/passwd", PathProblem.DOT_SEGMENT),
    ("../data/x", PathProblem.DOT_SEGMENT),
    ("data/./x", PathProblem.DOT_SEGMENT),
    ("data//x", PathProblem.EMPTY_SEGMENT),
    ("data/x/", PathProblem.TRAILING_SLASH),
    ("data/x\0", PathProblem.CONTROL_CHARACTER),
    ("data/x\n", PathProblem.CONTROL_CHARACTER),
    ("data\\x", PathProblem.BACKSLASH),
    ("data/" + "x" * 300, PathProblem.SEGMENT_TOO_LONG),
    ("data/" + "x/" * 600 + "x", PathProblem.TOO_LONG),
    ("data/.lock", PathProblem.NEVER_SYNCED),
    (".swampd/cache-id", PathProblem.NEVER_SYNCED),
    ("_control/swampd/layout.json", PathProblem.NEVER_SYNCED),
    ("*/x", PathProblem.RESERVED_SCOPE),
]
OUTSIDE = ["other/x", "x", "data", "database/x"]


def read_head(raw: bytes, scope: Scope = DATA) -> DecodedHead:
    decoded = codec.decode_head(raw, scope)
    assert isinstance(decoded, DecodedHead)
    return decoded


def with_children(*names: str) -> bytes:
    return with_fields(DOCUMENT, children={name: {"pending": None} for name in names})


def read_manifest(raw: bytes, scope: Scope = DATA) -> Manifest:
    decoded = codec.decode_manifest(raw, scope)
    assert isinstance(decoded, Manifest)
    return decoded


# --- rows -------------------------------------------------------------------------------------


@given(RECORDS)
def test_a_record_comes_back(record: Record) -> None:
    assert codec.decode_record(codec.encode_record(record)) == record


def test_an_entry_is_compact_json_with_sorted_keys() -> None:
    inline = Entry(3, SHA, 5, x=True, wid=WID, token=Token("e"), redo=Redo(inline=b"abc"))
    assert codec.encode_record(inline) == (
        b'{"mtime_ns":5,"redo":{"inline":"YWJj"},"sha256":"%s","size":3,"token":["e",null],'
        b'"wid":"%s","x":true}' % (SHA.encode(), WID.encode())
    )


def test_a_tombstone_says_that_the_path_is_gone() -> None:
    assert row(TOMBSTONE) == {
        "gone": True,
        "wid": WID,
        "sha256": SHA,
        "seq": 4,
        "at": 6,
        "swept": True,
    }


@pytest.mark.parametrize("missing", ["seq", "at", "swept", "wid"])
def test_half_a_tombstone_is_refused(missing: str) -> None:
    half = {name: value for name, value in row(TOMBSTONE).items() if name != missing}
    with pytest.raises(ValueError, match=missing):
        codec.decode_record(json.dumps(half).encode())


@pytest.mark.parametrize("missing", ["sha256", "size", "mtime_ns", "x", "wid"])
def test_half_an_entry_is_refused(missing: str) -> None:
    half = {name: value for name, value in row(ENTRY).items() if name != missing}
    with pytest.raises(ValueError, match=missing):
        codec.decode_record(json.dumps(half).encode())


def test_an_entry_of_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match=">= 0"):
        codec.decode_record(json.dumps({**row(ENTRY), "size": -1}).encode())


@pytest.mark.parametrize("wid", NO_WIDS)
def test_a_record_whose_wid_is_none_is_refused(wid: str) -> None:
    with pytest.raises(ValueError, match=r"hex digits|regex"):
        codec.decode_record(json.dumps({**row(ENTRY), "wid": wid}).encode())
    with pytest.raises(ValueError, match=r"hex digits|regex"):
        codec.decode_record(json.dumps({**row(TOMBSTONE), "wid": wid}).encode())
    with pytest.raises(ValueError, match=r"hex digits|regex"):
        codec.decode_record(json.dumps({**row(ENTRY), "redo": {"staged": wid}}).encode())


@given(st.binary())
def test_a_record_that_is_garbage_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        codec.decode_record(raw)


# --- heads ------------------------------------------------------------------------------------


@given(HEADS)
def test_a_head_comes_back(head: Head) -> None:
    assert codec.decode_head(codec.encode_head(head), DATA) == DecodedHead(head, {})


def test_a_head_is_compact_json_with_sorted_keys() -> None:
    ordered = json.dumps(
        json.loads(DOCUMENT), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert ordered.encode() == DOCUMENT
    assert set(json.loads(DOCUMENT)) == {
        "schema",
        "datastore_id",
        "scope",
        "epoch",
        "nonce",
        "seq",
        "wid",
        "kind",
        "writer",
        "recent",
        "children",
        "forgotten_seq",
        "manifests",
        "delta",
    }


@pytest.mark.parametrize("schema", [0, 2, 99])
def test_a_head_of_an_unknown_schema_names_it(schema: int) -> None:
    assert codec.decode_head(with_fields(DOCUMENT, schema=schema), DATA) == TooNew(schema)
    assert codec.decode_head(b'{"schema": %d}' % schema, DATA) == TooNew(schema)


def test_a_head_of_another_scope_is_damaged() -> None:
    assert isinstance(codec.decode_head(DOCUMENT, Scope("dat")), Damaged)
    assert isinstance(codec.decode_head(DOCUMENT, Scope("data/a")), Damaged)


def test_every_part_of_a_head_is_damaged() -> None:
    for length in range(len(DOCUMENT)):
        assert isinstance(codec.decode_head(DOCUMENT[:length], DATA), Damaged)


@given(st.binary())
def test_garbage_is_a_damaged_head(raw: bytes) -> None:
    assert isinstance(codec.decode_head(raw, DATA), Damaged)


@pytest.mark.parametrize(
    "fields",
    [
        {"schema": None},
        {"schema": "1"},
        {"epoch": "7"},
        {"seq": 1.5},
        {"kind": "rebase"},
        {"recent": WID},
        {"children": []},
        {"children": {"data/a": {}}},
        {"children": {"data/a": {"pending": 1}}},
        {"manifests": [{"wid": WID}]},
        {"delta": {"data/x": {}}},
        {"delta": {"data/x": {**row(ENTRY), "size": "3"}}},
        {"delta": {"data/x": {**row(ENTRY), "size": -3}}},
        {"delta": {"data/x": {**row(ENTRY), "redo": {"inline": "?"}}}},
        {"delta": {"data/x": {"wid": WID, "gone": True}}},
    ],
)
def test_a_head_with_a_field_that_cannot_be_is_damaged(fields: dict[str, object]) -> None:
    assert isinstance(codec.decode_head(with_fields(DOCUMENT, **fields), DATA), Damaged)


def test_a_head_that_is_not_utf8_is_damaged() -> None:
    assert isinstance(codec.decode_head(DOCUMENT.replace(b"daemon", b"\xff"), DATA), Damaged)


@pytest.mark.parametrize(("key", "problem"), HOSTILE)
def test_a_hostile_key_is_left_out_of_a_head_and_named(key: str, problem: PathProblem) -> None:
    raw = with_fields(DOCUMENT, delta={key: row(ENTRY), "data/x": row(ENTRY)})
    decoded = read_head(raw)
    assert decoded.head.delta == {"data/x": ENTRY}
    assert decoded.refused == {key: problem}


@pytest.mark.parametrize("key", OUTSIDE)
def test_a_key_outside_the_scope_is_left_out_of_a_head_and_named(key: str) -> None:
    decoded = read_head(with_fields(DOCUMENT, delta={key: row(ENTRY), "data/x": row(ENTRY)}))
    assert decoded.head.delta == {"data/x": ENTRY}
    assert list(decoded.refused) == [key]
    assert "outside" in str(decoded.refused[key])


def test_the_head_of_the_root_has_the_files_at_the_root_only() -> None:
    delta = {"x": row(ENTRY), "data/x": row(ENTRY)}
    decoded = read_head(with_fields(DOCUMENT, scope=ROOT, children={}, delta=delta), ROOT)
    assert decoded.head.delta == {"x": ENTRY}
    assert list(decoded.refused) == ["data/x"]


def test_a_bad_row_under_a_hostile_key_does_not_fail_the_rest() -> None:
    decoded = read_head(with_fields(DOCUMENT, delta={"../x": {"wid": ""}, "data/x": row(ENTRY)}))
    assert decoded.head.delta == {"data/x": ENTRY}


@pytest.mark.parametrize(
    "name",
    [
        "data",
        "other/a",
        "a",
        ".",
        "*",
        "",
        "/data/a",
        "data/../a",
        "data/a\0",
        "data/.lock",
        "data/" + "x" * 196,
        "data/" + "%" * 66,
    ],
)
def test_what_cannot_be_a_child_is_left_out_and_named(name: str) -> None:
    children = {name: {"pending": None}, "data/a": {"pending": None}}
    decoded = read_head(with_fields(DOCUMENT, children=children))
    assert list(decoded.head.children) == ["data/a"]
    assert list(decoded.refused) == [name]


def test_children_lie_beside_each_other() -> None:
    beside = ["data/a", "data/a-", "data/a_/x/y", "data/a.b", "data/ab", "data/b/x", "data/b/y"]
    assert list(read_head(with_children(*beside)).head.children) == beside


@pytest.mark.parametrize("inner", ["data/a/b", "data/a/b/c", "data/a-/x/y/z"])
def test_a_child_inside_another_makes_a_damaged_head(inner: str) -> None:
    for order in (("data/a", "data/a-/x", inner), (inner, "data/a-/x", "data/a")):
        decoded = codec.decode_head(with_children(*order), DATA)
        assert decoded == Damaged(f"it names the child {inner!r}, which is inside another")


def test_only_top_level_directories_have_children() -> None:
    deep = with_fields(DOCUMENT, scope="data/a", delta={}, children={"data/a/b": {"pending": None}})
    assert read_head(deep, Scope("data/a")).head.children == {}
    root = with_fields(DOCUMENT, scope=ROOT, delta={}, children={"data/a": {"pending": None}})
    assert read_head(root, ROOT).head.children == {}


@pytest.mark.parametrize("wid", NO_WIDS)
def test_a_head_that_names_an_object_by_what_is_no_wid_is_damaged(wid: str) -> None:
    ref = {"wid": wid, "entries": 1, "bytes": 1, "sha256": SHA}
    hostile: list[dict[str, object]] = [
        {"manifests": [ref]},
        {"children": {"data/a": {"pending": wid}}},
        {"delta": {"data/x": {**row(ENTRY), "wid": wid}}},
        {"delta": {"data/x": {**row(TOMBSTONE), "wid": wid}}},
        {"delta": {"data/x": {**row(ENTRY), "redo": {"staged": wid}}}},
    ]
    for fields in hostile:
        assert isinstance(codec.decode_head(with_fields(DOCUMENT, **fields), DATA), Damaged)


# --- manifests --------------------------------------------------------------------------------


@given(ROWS)
def test_a_manifest_comes_back(rows: dict[CachePath, Record]) -> None:
    raw = codec.encode_manifest(STORE, DATA, rows)
    assert codec.decode_manifest(raw, DATA) == Manifest(DATA, STORE, rows, {})


@given(ROWS)
def test_a_manifest_of_the_same_rows_is_the_same_bytes(rows: dict[CachePath, Record]) -> None:
    backwards = dict(reversed(rows.items()))
    assert codec.encode_manifest(STORE, DATA, rows) == codec.encode_manifest(STORE, DATA, backwards)


def test_the_reference_to_a_manifest_is_of_its_stored_bytes() -> None:
    raw = codec.encode_manifest(STORE, DATA, HEAD.delta)
    ref = ManifestRef(WID, 2, len(raw), Sha256(hashlib.sha256(raw).hexdigest()))
    assert codec.manifest_ref(WID, 2, raw) == ref


def test_a_manifest_of_a_parent_serves_its_declared_child() -> None:
    raw = manifest(entries={"data/x": row(ENTRY), "data/a/y": row(ENTRY)})
    decoded = read_manifest(raw, Scope("data/a"))
    assert decoded.entries == {"data/a/y": ENTRY}
    assert list(decoded.refused) == ["data/x"]


@pytest.mark.parametrize(("key", "problem"), HOSTILE)
def test_a_hostile_key_is_left_out_of_a_manifest_and_named(key: str, problem: PathProblem) -> None:
    decoded = read_manifest(manifest(entries={key: row(ENTRY), "data/x": row(TOMBSTONE)}))
    assert decoded.entries == {"data/x": TOMBSTONE}
    assert decoded.refused == {key: problem}


@pytest.mark.parametrize("key", OUTSIDE)
def test_a_key_outside_the_scope_is_left_out_of_a_manifest_and_named(key: str) -> None:
    decoded = read_manifest(manifest(entries={key: row(ENTRY)}))
    assert decoded.entries == {}
    assert list(decoded.refused) == [key]


@pytest.mark.parametrize("schema", [0, 2])
def test_a_manifest_of_an_unknown_schema_names_it(schema: int) -> None:
    assert codec.decode_manifest(manifest(schema=schema), DATA) == TooNew(schema)


@pytest.mark.parametrize("wid", NO_WIDS)
def test_a_manifest_with_a_wid_that_is_none_is_damaged(wid: str) -> None:
    raw = manifest(entries={"data/x": {**row(ENTRY), "wid": wid}})
    assert isinstance(codec.decode_manifest(raw, DATA), Damaged)


@pytest.mark.parametrize("fields", [{"entries": []}, {"scope": 1}, {"schema": "1"}])
def test_a_manifest_with_a_field_that_cannot_be_is_damaged(fields: dict[str, object]) -> None:
    assert isinstance(codec.decode_manifest(manifest(**fields), DATA), Damaged)


def test_every_part_of_a_manifest_is_damaged() -> None:
    raw = manifest()
    for length in range(len(raw)):
        assert isinstance(codec.decode_manifest(raw[:length], DATA), Damaged)


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage",
        gzip.decompress(manifest()),
        manifest() + b"\0",
        manifest() + manifest(),
        manifest()[:-8] + b"\xff" * 8,
        gzip.compress(b""),
        gzip.compress(b"\xff"),
    ],
    ids=["no gzip", "unpacked", "a byte more", "twice", "checksum", "empty", "no JSON"],
)
def test_what_is_not_one_whole_gzip_stream_of_a_manifest_is_damaged(raw: bytes) -> None:
    assert isinstance(codec.decode_manifest(raw, DATA), Damaged)


@given(st.binary())
def test_garbage_is_a_damaged_manifest(raw: bytes) -> None:
    assert isinstance(codec.decode_manifest(raw, DATA), Damaged)
    assert isinstance(codec.decode_manifest(gzip.compress(raw), DATA), Damaged)


def test_a_manifest_that_unpacks_to_too_much_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MANIFEST_LIMIT", 1 << 16)
    bomb = manifest(padding="x" * (1 << 20))
    assert codec.decode_manifest(bomb, DATA) == Damaged("not one whole gzip stream")


# --- locks and layout -------------------------------------------------------------------------


@given(
    st.sampled_from(LockState),
    st.sampled_from(Covers),
    WHOLE.map(Epoch),
    st.none() | WHOLE.map(Epoch),
    TEXT,
)
def test_a_lock_comes_back(
    state: LockState, covers: Covers, epoch: Epoch, in_doubt: Epoch | None, purpose: str
) -> None:
    record = LockRecord(
        scope=DATA,
        state=state,
        covers=covers,
        epoch=epoch,
        nonce=LOCK.nonce,
        wid=WID,
        beat=0,
        ttl_ms=2_000,
        in_doubt=in_doubt,
        holder=purpose,
        hostname="host",
        pid=1,
        daemon="d",
        boot_id=BootId("b"),
        version="1",
        acquired_at="",
        purpose=purpose,
    )
    assert codec.decode_lock(codec.encode_lock(record), DATA) == record


def test_a_lock_has_the_fields_that_other_versions_read() -> None:
    fields = json.loads(codec.encode_lock(LOCK))
    assert list(fields) == sorted(fields)
    assert fields["schema"] == 1
    assert (fields["state"], fields["covers"], fields["in_doubt"]) == ("held", "tree", 6)


@pytest.mark.parametrize("schema", [0, 2])
def test_a_lock_of_an_unknown_schema_names_it(schema: int) -> None:
    assert codec.decode_lock(lock(schema=schema), DATA) == TooNew(schema)


def test_a_lock_of_another_scope_is_damaged() -> None:
    assert isinstance(codec.decode_lock(lock(), Scope("other")), Damaged)


@pytest.mark.parametrize(
    "fields",
    [{"state": "mine"}, {"covers": "all"}, {"epoch": None}, {"ttl_ms": "30"}, {"scope": 1}],
)
def test_a_lock_with_a_field_that_cannot_be_is_damaged(fields: dict[str, object]) -> None:
    assert isinstance(codec.decode_lock(lock(**fields), DATA), Damaged)


def test_every_part_of_a_lock_is_damaged() -> None:
    raw = lock()
    for length in range(len(raw)):
        assert isinstance(codec.decode_lock(raw[:length], DATA), Damaged)


def test_a_layout_comes_back() -> None:
    assert codec.decode_layout(codec.encode_layout(LAYOUT)) == LAYOUT


@pytest.mark.parametrize("schema", [0, 2])
def test_a_layout_of_an_unknown_schema_names_it(schema: int) -> None:
    raw = with_fields(codec.encode_layout(LAYOUT), schema=schema)
    assert codec.decode_layout(raw) == TooNew(schema)


def test_a_layout_with_a_field_that_cannot_be_is_damaged() -> None:
    raw = with_fields(codec.encode_layout(LAYOUT), datastore_id=7)
    assert isinstance(codec.decode_layout(raw), Damaged)


def test_every_part_of_a_layout_is_damaged() -> None:
    raw = codec.encode_layout(LAYOUT)
    for length in range(len(raw)):
        assert isinstance(codec.decode_layout(raw[:length]), Damaged)


@given(st.binary())
def test_garbage_is_a_damaged_lock_and_a_damaged_layout(raw: bytes) -> None:
    assert isinstance(codec.decode_lock(raw, DATA), Damaged)
    assert isinstance(codec.decode_layout(raw), Damaged)
