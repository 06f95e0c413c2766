"""An endpoint that is no S3, or none at all: nothing is taken for an answer, and that is said."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Unknown
from swampd.domain.values import RemoteKey, Token
from swampd.errors import StoreUnavailable
from tests.s3.conftest import KEYS, Place
from tests.servers.canned import NEVER, Canned, Ends, reply
from tests.servers.clients import BUCKET
from tests.servers.stores import environment_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

HTML = b"<!doctype html><html><body><p>Please log in<br></body></html>"
XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>'
ANSWERS: dict[str, bytes | None] = {
    "a page for everything": reply(200, HTML, Content_Type="text/html"),
    "a page that is XML": reply(200, XHTML, Content_Type="application/xhtml+xml"),
    "a page with a tag": reply(200, HTML, Last_Modified="Wed, 21 Oct 2015 07:28:00 GMT"),
    "nothing, with success": reply(200),
    "a page that is not found": reply(404, HTML, Content_Type="text/html"),
    "a page that forbids": reply(403, HTML, Content_Type="text/html"),
    "a gateway in between": reply(502, HTML, Content_Type="text/html"),
    "an empty answer": Ends(b""),
    "another protocol": Ends(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "never": NEVER,
}
EXACT, BYTES = KEYS.layout, RemoteKey("team/notes/data/a")
TIMEOUT_MS = 200


@pytest.fixture(params=list(ANSWERS.values()), ids=list(ANSWERS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with closing(Canned(request.param).start()) as server:
        yield Place(server.url, BUCKET, environment_of(tmp_path))


def test_set_up_and_opening_say_where_they_asked(place: Place) -> None:
    for ask in (place.set_up, place.find_layout):
        with pytest.raises(StoreUnavailable) as met:
            ask(request_timeout_ms=TIMEOUT_MS)
        assert place.url in met.value.summary
        assert "see whether the endpoint is right" in met.value.hint
        assert met.value.meaning.exit_code == 1


def test_no_read_has_an_answer_and_no_write_an_outcome(place: Place) -> None:
    async def run() -> None:
        store = place.open(request_timeout_ms=TIMEOUT_MS)
        parts = store.parts
        assert parts
        for key in (EXACT, BYTES):
            reads: tuple[Awaitable[object], ...] = (
                *(store.get(key), store.get(key, if_token=Token("t")), store.head(key)),
                *(store.get_if_changed(key, Token("t")), store.list(key)),
                *(parts.begin(key, {}), parts.send(key, "u", 1, b"x")),
            )
            for met in await asyncio.gather(*reads, return_exceptions=True):
                assert isinstance(met, StoreUnavailable)
            writes = (
                *(store.create(key, b"x", {}), store.put(key, b"x", {}), store.delete(key)),
                *(store.replace(key, b"x", Token("t"), {}), store.delete_if(key, Token("t"))),
                *(store.copy_to(key, BYTES, None, {}), parts.complete(key, "u", ["p"])),
            )
            for outcome in await asyncio.gather(*writes):
                assert isinstance(outcome, Unknown)
        await store.close()

    asyncio.run(run())


def test_another_protocol_is_called_so(tmp_path: Path) -> None:
    with closing(Canned(Ends(b"SSH-2.0-OpenSSH_9.2\r\n")).start()) as server:
        place = Place(server.url, BUCKET, environment_of(tmp_path))
        for ask in (place.set_up, place.find_layout):
            with pytest.raises(
                StoreUnavailable, match="the endpoint does not speak HTTP: it answered"
            ):
                ask()


def test_nobody_listens(tmp_path: Path) -> None:
    server = Canned(b"")
    server.close()
    place = Place(server.url, BUCKET, environment_of(tmp_path))
    for ask in (place.set_up, place.find_layout):
        with pytest.raises(StoreUnavailable) as met:
            ask()
        assert place.url in met.value.summary

    async def run() -> None:
        store = place.open()
        for key in (EXACT, BYTES):
            with pytest.raises(StoreUnavailable):  # it did not land
                await store.create(key, b"x", {})
        await store.close()

    asyncio.run(run())


def test_a_name_that_nobody_has(tmp_path: Path) -> None:
    place = Place("http://no-such-host.invalid:9000", BUCKET, environment_of(tmp_path))
    with pytest.raises(StoreUnavailable, match=r"no-such-host\.invalid"):
        place.find_layout()
