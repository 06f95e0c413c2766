"""The responder answers as moto does, to the same calls of the same clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.clients import failure, obstore_client, s3_client
from tests.servers.scripts import META, PART, SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.moto import MotoServer
    from tests.servers.responder import Responder
    from tests.servers.scripts import Script


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_boto3_sees_the_same(script: Script, moto: MotoServer, responder: Responder) -> None:
    theirs = list(script(s3_client(moto.url)))
    ours = list(script(s3_client(responder.url)))
    assert ours == theirs


def test_obstore_sees_the_same(moto: MotoServer, responder: Responder) -> None:
    assert list(bytes_way(responder.url)) == list(bytes_way(moto.url))


def bytes_way(url: str) -> Iterator[object]:
    """What the store's bytes go through: creates, reads, lists, copies."""
    store = obstore_client(url)
    made = store.put("data/a b/ü", b"1", mode="create", attributes=META)
    yield made["e_tag"]
    yield failure(lambda: store.put("data/a b/ü", b"2", mode="create"))
    replaced = store.put("data/a b/ü", b"2", mode={"e_tag": made["e_tag"]})
    yield replaced["e_tag"]
    yield failure(lambda: store.put("data/a b/ü", b"3", mode={"e_tag": made["e_tag"]}))
    yield failure(lambda: store.put("data/none", b"3", mode={"e_tag": made["e_tag"]}))
    store.put("data/meta", PART[:100_000], attributes=META)
    found = store.get("data/meta")
    yield found.meta["e_tag"], found.meta["size"], dict(found.attributes)
    yield found.bytes().to_bytes() == PART[:100_000]
    yield store.get_range("data/meta", start=10, length=300).to_bytes()
    yield failure(lambda: store.get("data/none"))
    head = store.head("data/meta")
    yield head["e_tag"], head["size"], head["path"]
    store.put("data/empty", b"")
    yield store.get("data/empty").bytes().to_bytes()
    store.copy("data/meta", "data/copy")
    for number in range(30):
        store.put(f"many/{number:02}", b"%d" % number)
    for prefix in ("", "data", "many"):
        rows = [row for page in store.list(prefix, chunk_size=7) for row in page]
        yield [(row["path"], row["e_tag"], row["size"]) for row in rows]
    under = store.list_with_delimiter()
    yield list(under["common_prefixes"])
    store.put("data/large", PART * 3, use_multipart=True, chunk_size=len(PART), max_concurrency=2)
    yield store.head("data/large")["e_tag"]
    yield store.get("data/large").bytes().to_bytes() == PART * 3
    store.delete([f"many/{number:02}" for number in range(30)])
    yield [row["path"] for page in store.list() for row in page]
