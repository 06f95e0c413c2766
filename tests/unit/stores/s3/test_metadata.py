"""Metadata comes back as it was given, whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swampd.stores.s3.metadata import from_headers, to_headers

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1)


@given(st.dictionaries(NAMES, TEXT))
@example({"a": "=?UTF-8?B?eA==?="})
@example({"a": "=?UTF-8?Q?=41?= =?UTF-8?B?eA==?="})
@example({"a": "x =?UTF-8?B?eA==?= y"})
@example({"a": "line\nend\r\ttab\0"})
@example({"a": " "})
@example({"a": "\u00a0x"})
@example({"a": "=?"})
@example({"a": "ü" * 2000})
def test_what_is_sent_comes_back(metadata: dict[str, str]) -> None:
    headers = to_headers(metadata)
    assert from_headers(headers) == metadata


@given(TEXT)
def test_a_header_is_one_line_of_plain_ascii_without_spaces_around(value: str) -> None:
    header = to_headers({"a": value})["a"]
    assert header.isascii()
    assert header.isprintable()
    assert header == header.strip()


@given(st.text("abc 0123 -./:;_", min_size=1).filter(lambda text: text == text.strip()))
def test_plain_text_travels_as_it_is(value: str) -> None:
    assert to_headers({"a": value}) == {"a": value}


@given(TEXT)
def test_what_others_wrote_is_read_without_an_error(value: str) -> None:
    from_headers({"a": f"=?{value}", "b": f"=?UTF-8?B?{value}?=", "c": value})


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("=?UTF-8?Q?caf=C3=A9?=", "café"),
        ("=?UTF-8?B?Y2Fmw6k=?=", "café"),
        ("=?ISO-8859-1?Q?caf=E9?=", "café"),
        ("=?no-such-charset?B?Y2Fm?=", "=?no-such-charset?B?Y2Fm?="),
        ("=?UTF-8?B?/w==?=", "=?UTF-8?B?/w==?="),
    ],
)
def test_encoded_words_are_read_as_s3_writes_them(header: str, value: str) -> None:
    assert from_headers({"A": header}) == {"a": value}
