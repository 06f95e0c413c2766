"""The marker: read exactly, or not at all, since a missing one only costs a join (S4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain.markers import Marker, decode_marker, encode_marker
from swampd.domain.values import MOST, DatastoreId

if TYPE_CHECKING:
    from uuid import UUID

MARKER = Marker(DatastoreId("d" * 32), "workspace", 7)
LINE = b'{"datastore_id":"' + b"d" * 32 + b'","workspace":"workspace","generation":7}\n'
TEXT = st.text(st.characters(codec="utf-8"))


@given(st.uuids(), TEXT, st.integers(0, MOST))
def test_a_marker_comes_back(datastore: UUID, workspace: str, generation: int) -> None:
    marker = Marker(DatastoreId(datastore.hex), workspace, generation)
    assert decode_marker(encode_marker(marker)) == marker


def test_a_marker_is_a_line_of_json() -> None:
    assert encode_marker(MARKER) == LINE


@pytest.mark.parametrize("length", range(len(LINE) - 1))
def test_half_a_marker_is_none(length: int) -> None:
    assert decode_marker(LINE[:length]) is None


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"\x00" * len(LINE),
        LINE + LINE,
        LINE.replace(b"7", b'"7"'),
        LINE.replace(b"7", b"7.5"),
        LINE.replace(b"7", b"null"),
        LINE.replace(b"7", b"-7"),
        LINE.replace(b"7", b"%d" % (MOST + 1)),
        LINE.replace(b"7", b"9" * 5000),
        LINE.replace(b"7", b"[" * 100_000),
        LINE.replace(b"d" * 32, b"d"),
        LINE.replace(b"7", b'7,"more":1'),
        LINE.replace(b"workspace", b"\xff"),
        LINE.replace(b'"generation"', b'"generations"'),
    ],
)
def test_what_is_not_exactly_a_marker_is_none(content: bytes) -> None:
    assert decode_marker(content) is None


@given(st.binary())
def test_garbage_is_never_an_error(content: bytes) -> None:
    assert decode_marker(content) is None
