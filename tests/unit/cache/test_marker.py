"""The marker is read exactly or not at all."""

from __future__ import annotations

import pytest

from swampd.cache import marker
from swampd.domain.values import DatastoreId

MARKER = marker.Marker(DatastoreId("d" * 32), "workspace", 7)


def test_a_marker_comes_back() -> None:
    assert marker.decode(marker.encode(MARKER)) == MARKER


def test_the_format_is_a_line_of_json() -> None:
    expected = b'{"datastore_id":"' + b"d" * 32 + b'","workspace":"workspace","generation":7}\n'
    assert marker.encode(MARKER) == expected


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"\xff\xfe",
        marker.encode(MARKER)[:-3],
        marker.encode(MARKER) * 2,
        b'{"datastore_id":"d","workspace":"w","generation":"7"}',
        b'{"datastore_id":"d","workspace":"\xff","generation":7}',
        b'{"datastore_id":"d","workspace":"w","generation":7,"more":1}',
    ],
)
def test_anything_else_is_none(damaged: bytes) -> None:
    assert marker.decode(damaged) is None
