"""Certificates are verified by both libraries, against a CA of one's own where one is named."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied, Found, Unknown
from swampd.domain.values import RemoteKey
from swampd.errors import ConfigError, StoreUnavailable, SwampdError
from tests.s3.certificates import Authority
from tests.s3.conftest import KEYS, Place
from tests.servers.canned import NEVER, Canned, Heard, Raw, reply
from tests.servers.clients import BUCKET
from tests.servers.stores import environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXACT, BYTES = KEYS.layout, RemoteKey("team/notes/data/a")
through_both = pytest.mark.parametrize("key", [EXACT, BYTES], ids=["boto3", "obstore"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Iterator[Canned]:
    def answer(heard: Heard) -> bytes:
        body = b"" if heard.method == "PUT" else b"abc"
        return reply(200, body, ETag='"t"', Last_Modified="Wed, 21 Oct 2015 07:28:00 GMT")

    with closing(Canned(answer, authority.server_context()).start()) as canned:
        yield canned


@pytest.fixture
def place(server: Canned, tmp_path: Path) -> Place:
    return Place(server.url, BUCKET, environment_of(tmp_path))


def works(place: Place, key: RemoteKey) -> None:
    async def run() -> None:
        store = place.open()
        assert isinstance(await store.create(key, b"x", {}), Applied)
        assert isinstance(await store.get(key), Found)
        await store.close()

    asyncio.run(run())


def refused(
    place: Place, key: RemoteKey, kind: type[SwampdError] = StoreUnavailable
) -> list[SwampdError]:
    """The errors that a write and a read meet: what is an error did not land."""

    async def run() -> list[SwampdError]:
        store = place.open()
        asked = (store.create(key, b"x", {}), store.get(key))
        errors = []
        for met in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(met, SwampdError)
            assert type(met) is kind
            errors.append(met)
        await store.close()
        return errors

    return asyncio.run(run())


@through_both
def test_a_certificate_that_nobody_signed_is_refused(
    place: Place, server: Canned, key: RemoteKey
) -> None:
    for error in refused(place, key):
        assert "certificate" in error.summary.lower()
        assert "`ca_bundle` in ~/.aws/config, or AWS_CA_BUNDLE" in error.hint
    assert server.heard == []


@through_both
def test_it_is_taken_with_its_authority_in_the_environment(
    place: Place, authority: Authority, key: RemoteKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    works(place, key)


@through_both
def test_or_in_the_configuration_of_the_profile(
    place: Place, authority: Authority, key: RemoteKey, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(f"[default]\nca_bundle = {authority.bundle}\n")
    place.environment = replace(place.environment, config_file=str(config))
    works(place, key)


@through_both
def test_another_authority_does_not_help(
    place: Place, key: RemoteKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = tmp_path / "another"
    another.mkdir()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(Authority(another).bundle))
    assert "certificate" in refused(place, key)[0].summary.lower()


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["none", "empty", "other"])
@through_both
def test_a_bundle_that_is_none_is_named_and_nothing_sent(
    place: Place,
    server: Canned,
    key: RemoteKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    for error in refused(place, key, ConfigError):
        assert str(bundle) in error.summary
        assert "AWS_CA_BUNDLE" in error.hint
    assert server.heard == []


@through_both
def test_what_breaks_after_a_write_was_sent_leaves_it_unknown(
    place: Place,
    server: Canned,
    authority: Authority,
    key: RemoteKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of TLS is not only one of its beginning."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    server.answer = Raw(b"this is no record of TLS" * 10)

    async def run() -> None:
        store = place.open(request_timeout_ms=2_000)
        assert isinstance(await store.create(key, b"x", {}), Unknown)
        await store.close()

    asyncio.run(run())
    assert len(server.heard) == 1


def test_who_gives_up_closes_a_secure_connection(
    place: Place, server: Canned, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    server.answer = NEVER

    async def run() -> None:
        store = place.open()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(store.get(EXACT))
            await asyncio.to_thread(server.tally.wait, "heard")
            task.cancel()
        await asyncio.to_thread(server.tally.wait, "ended")
        await store.close()

    asyncio.run(run())
