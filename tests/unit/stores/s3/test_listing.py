"""A page of a listing is taken as it is meant, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Listed, Page
from swampd.domain.values import RemoteKey, Token
from swampd.errors import StoreUnavailable
from tests.servers.canned import Canned, reply
from tests.servers.stores import s3_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from swampd.stores.s3.store import S3Store

ROW = '<Contents><Key>data/a%2F%0Ab</Key><ETag>"t"</ETag><Size>3</Size></Contents>'
LISTED = Listed(RemoteKey("data/a/\nb"), Token("t"), 3)
LAST, MORE = "<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated>"
NEXT = "<NextContinuationToken>next</NextContinuationToken>"


@pytest.fixture
def server() -> Iterator[Canned]:
    with closing(Canned(b"").start()) as canned:
        yield canned


@pytest.fixture
def store(server: Canned, tmp_path: Path) -> Iterator[S3Store]:
    with s3_store(server.url, tmp_path) as opened:
        yield opened


def page(*inside: str) -> bytes:
    body = "".join(inside)
    encoding = "<EncodingType>url</EncodingType>"
    return reply(200, f"<ListBucketResult>{encoding}{body}</ListBucketResult>".encode())


def listed(store: S3Store, after: str | None = None) -> Page:
    return asyncio.run(store.list(RemoteKey("data/"), after))


def test_a_last_page_and_one_that_is_not(server: Canned, store: S3Store) -> None:
    server.answer = page(LAST, ROW)
    assert listed(store, "data/0") == Page((LISTED,), None)
    server.answer = page(MORE, NEXT, ROW)
    assert listed(store) == Page((LISTED,), LISTED.key)
    server.answer = page(LAST)
    assert listed(store) == Page((), None)
    assert "start-after=data%2F0" in server.heard[0].target
    assert "start-after" not in server.heard[1].target


def test_a_page_without_rows_is_not_the_last_one(server: Canned, store: S3Store) -> None:
    """Such as of a bucket with versions, of which many are deletions."""
    pages = iter([page(MORE, NEXT), page(MORE, NEXT), page(LAST, ROW)])
    server.answer = lambda _: next(pages)
    assert listed(store, "data/0") == Page((LISTED,), None)
    assert ["continuation-token=next" in heard.target for heard in server.heard] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "answer",
    [
        page(ROW),
        page(MORE),
        page(LAST, ROW.replace("<Size>3</Size>", "")),
        page(LAST, ROW.replace('<ETag>"t"</ETag>', "")),
        page(LAST, ROW.replace("<Key>", "<Name>").replace("</Key>", "</Name>")),
        page(LAST, ROW.replace("3", "three")),
    ],
    ids=["end", "way on", "size", "tag", "key", "number"],
)
def test_a_page_that_lacks_something_is_no_answer(
    server: Canned, store: S3Store, answer: bytes
) -> None:
    server.answer = answer
    with pytest.raises(StoreUnavailable, match="usable answer"):
        listed(store)
