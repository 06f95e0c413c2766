"""Credentials that cannot be looked up: each request says so, and none is sent."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd.domain.datastores import CloudEnvironment
from swampd.domain.values import RemoteKey, Token
from swampd.errors import EXIT_CREDENTIALS, NoCredentials
from swampd.stores.s3 import look_ups
from tests.s3.conftest import KEYS, Place
from tests.servers.canned import Canned
from tests.servers.clients import BUCKET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

    from swampd.stores.s3.store import S3Store

EXACT, BYTES = KEYS.layout, RemoteKey("team/notes/data/a")
BROKEN = {
    "/bin/echo hi": "the command '/bin/echo' printed what is no credentials",
    "/nonexistent": "the command '/nonexistent' cannot be started",
    "/bin/false": "the command '/bin/false' ended with status 1",
    "/bin/sleep 20": "no answer within",
}


@pytest.fixture
def server() -> Iterator[Canned]:
    with closing(Canned(b"").start()) as canned:
        yield canned


@pytest.fixture(params=BROKEN)
def place(
    request: pytest.FixtureRequest,
    server: Canned,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    command: str = request.param
    if "sleep" in command:
        monkeypatch.setattr(look_ups, "DEADLINE_S", 0.2)
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {command}\n")
    return Place(server.url, BUCKET, CloudEnvironment(config_file=str(config)))


def asks(store: S3Store, key: RemoteKey) -> tuple[Awaitable[object], ...]:
    parts = store.parts
    assert parts
    return (
        *(store.get(key), store.get(key, if_token=Token("t")), store.head(key), store.list(key)),
        *(store.create(key, b"x", {}), store.replace(key, b"x", Token("t"), {})),
        *(store.put(key, b"x", {}), store.delete(key), store.delete_if(key, Token("t"))),
        *(store.copy_to(key, BYTES, None, {}), parts.begin(key, {})),
        *(parts.send(key, "u", 1, b"x"), parts.complete(key, "u", ["p"]), parts.abort(key, "u")),
    )


def test_each_request_fails_for_want_of_credentials(
    place: Place, server: Canned, request: pytest.FixtureRequest
) -> None:
    why = BROKEN[request.node.callspec.params["place"]]

    async def run() -> None:
        store = place.open()
        for key in (EXACT, BYTES):
            for met in await asyncio.gather(*asks(store, key), return_exceptions=True):
                assert isinstance(met, NoCredentials)
                assert met.meaning.exit_code == EXIT_CREDENTIALS
                assert f"(Error when retrieving credentials from custom-process: {why}" in str(met)
        await store.close()

    asyncio.run(run())
    assert server.heard == []


def test_so_do_set_up_and_opening(place: Place, server: Canned) -> None:
    for ask in (place.set_up, place.find_layout):
        with pytest.raises(NoCredentials, match="custom-process"):
            ask()
    assert server.heard == []
