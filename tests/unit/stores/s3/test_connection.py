"""Requests go out once, to one place, say whose they are, and can be cut off at the socket."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.datastores import S3Settings
from swampd.domain.outcomes import Applied, Found, Missing, Unknown
from swampd.domain.values import RemoteKey, Sha256
from swampd.errors import StoreUnavailable
from swampd.operation import operation
from swampd.ports import SealedFile
from swampd.stores.s3 import control
from swampd.stores.s3.connection import CONNECT_S, new_client, region_of
from swampd.stores.s3.credentials import Chain
from swampd.stores.s3.store import S3Store
from tests.contract.subjects import Pieces
from tests.servers.canned import NEVER, Canned, Ends, Heard, refuse, reply
from tests.servers.clients import REGION
from tests.servers.refusals import INTERNAL_ERROR, SLOW_DOWN
from tests.servers.stores import environment_of, s3_store, settings_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    Ask = Callable[[S3Store], Awaitable[object]]

EXACT = RemoteKey("_control/swampd/layout.json")
BYTES = RemoteKey("data/a.yaml")
AN_OBJECT = reply(
    200, b"abc", ETag='"tag"', Last_Modified="Wed, 21 Oct 2015 07:28:00 GMT", x_amz_meta_a="1"
)


@pytest.fixture
def server() -> Iterator[Canned]:
    def answer(heard: Heard) -> bytes:
        return reply(200, ETag='"tag"') if heard.method == "PUT" else AN_OBJECT

    with closing(Canned(answer).start()) as canned:
        yield canned


@pytest.fixture
def store(server: Canned, tmp_path: Path) -> Iterator[S3Store]:
    with s3_store(server.url, tmp_path) as opened:
        yield opened


THROUGH_BOTH = pytest.mark.parametrize("key", [EXACT, BYTES], ids=["boto3", "obstore"])


# --- cut off --------------------------------------------------------------------------------

CUT: dict[str, Ask] = {
    "get": lambda store: store.get(EXACT),
    "get into a sink": lambda store: store.get(BYTES, sink=lambda _: None),
    "head": lambda store: store.head(EXACT),
    "list": lambda store: store.list(EXACT),
    "put": lambda store: store.put(EXACT, b"x" * 100_000, {}),
    "delete": lambda store: store.delete(EXACT),
    "send a part": lambda store: store.parts.send(BYTES, "u", 1, b"x"),  # type: ignore[union-attr]
}


@pytest.mark.parametrize("ask", CUT.values(), ids=CUT)
def test_who_gives_up_closes_the_connection(server: Canned, store: S3Store, ask: Ask) -> None:
    server.answer = NEVER

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_wait(ask(store)))
            await asyncio.to_thread(server.tally.wait, "heard")
            task.cancel()
        await asyncio.to_thread(server.tally.wait, "ended")

    asyncio.run(run())
    assert len(server.heard) == 1


async def _wait(asked: Awaitable[object]) -> None:
    await asked


def test_so_does_who_gives_up_on_a_kept_connection(server: Canned, store: S3Store) -> None:
    async def run() -> None:
        assert isinstance(await store.get(EXACT), Found)
        server.answer = NEVER
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_wait(store.get(EXACT)))
            await asyncio.to_thread(server.tally.wait, "heard", 2)
            task.cancel()
        await asyncio.to_thread(server.tally.wait, "ended")
        assert server.tally.counts["opened"] == 1
        server.answer = AN_OBJECT
        assert isinstance(await store.get(EXACT), Found)

    asyncio.run(run())


def test_so_does_who_gives_up_in_the_middle_of_a_body(server: Canned, store: S3Store) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: t\r\n\r\n" + b"x" * 10
    pieces = Pieces()

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_wait(store.get(EXACT, sink=pieces)))
            await asyncio.to_thread(server.tally.wait, "heard")
            task.cancel()
        await asyncio.to_thread(server.tally.wait, "ended")

    asyncio.run(run())
    assert b"".join(pieces.chunks) in {b"", b"x" * 10}


def test_closing_cuts_a_write_whose_outcome_nobody_knows(server: Canned, store: S3Store) -> None:
    server.answer = NEVER

    async def run() -> object:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(store.put(EXACT, b"x", {}))
            await asyncio.to_thread(server.tally.wait, "heard")
            await store.close()
        return task.result()

    assert isinstance(asyncio.run(run()), Unknown)


# --- once -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [refuse(INTERNAL_ERROR), refuse(SLOW_DOWN), Ends(b"")])
def test_nothing_is_sent_again(server: Canned, tmp_path: Path, answer: bytes) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nmax_attempts = 5\nretry_mode = adaptive\n")
    server.answer = answer

    async def run() -> None:
        environment = replace(environment_of(tmp_path), config_file=str(config))
        store = S3Store(settings_for(server.url), environment)
        assert isinstance(await store.put(EXACT, b"x", {}), Unknown)
        assert isinstance(await store.create(BYTES, b"x", {}), Unknown)
        assert isinstance(await store.delete(BYTES), Unknown)
        for key in (EXACT, BYTES):
            with pytest.raises(StoreUnavailable):
                await store.get(key)
        await store.close()

    asyncio.run(run())
    assert len(server.heard) == 5


def test_many_at_once_make_one_client(
    server: Canned, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def make(*args: Any) -> object:
        made.append(args)
        return new_client(*args)

    monkeypatch.setattr(control, "new_client", make)

    async def run() -> None:
        await asyncio.gather(*(store.get(EXACT) for _ in range(8)))

    asyncio.run(run())
    assert len(server.heard) == 8
    assert len(made) == 1


def test_a_file_is_sent_without_asking_whether_to(
    server: Canned, store: S3Store, tmp_path: Path
) -> None:
    file = tmp_path / "sealed"
    file.write_bytes(b"x" * 3_000_000)
    body = SealedFile(str(file), 3_000_000, Sha256("0" * 64))
    assert isinstance(asyncio.run(store.create(BYTES, body, {})), Applied)
    (heard,) = server.heard
    assert "expect" not in heard.headers
    assert len(heard.body) == 3_000_000


# --- who asks -------------------------------------------------------------------------------


@THROUGH_BOTH
def test_a_request_says_for_which_operation_it_is(
    server: Canned, store: S3Store, key: RemoteKey
) -> None:
    async def run() -> str:
        await store.get(key)
        with operation("push") as name:
            await store.get(key)
            await store.get(key)
        await store.get(key)
        return name

    name = asyncio.run(run())
    agents = [heard.headers["user-agent"] for heard in server.heard]
    assert agents == ["swampd op/none", f"swampd op/{name}", f"swampd op/{name}", "swampd op/none"]


def test_credentials_travel_in_a_signature_only(server: Canned, store: S3Store) -> None:
    async def run() -> None:
        for key in (EXACT, BYTES):
            await store.get(key)

    asyncio.run(run())
    for heard in server.heard:
        signed = heard.headers["authorization"]
        assert signed.startswith("AWS4-HMAC-SHA256 Credential=tester/")
        assert f"/{datetime.now(UTC):%Y%m%d}/{REGION}/s3/aws4_request" in signed
        assert "not-secret" not in str(heard)


# --- how long -------------------------------------------------------------------------------


@THROUGH_BOTH
def test_an_answer_is_waited_for_as_long_as_configured(
    server: Canned, tmp_path: Path, key: RemoteKey
) -> None:
    server.answer = NEVER

    async def run(impatient: S3Store) -> None:
        with pytest.raises(StoreUnavailable):
            await impatient.get(key)
        await asyncio.to_thread(server.tally.wait, "ended")

    with s3_store(server.url, tmp_path, request_timeout_ms=200) as impatient:
        asyncio.run(asyncio.wait_for(run(impatient), 30))


def test_a_connection_is_waited_for_a_little(tmp_path: Path) -> None:
    chain = Chain(environment_of(tmp_path))
    for timeout_ms, connect_s in ((60_000, CONNECT_S), (1_000, 1.0)):
        client: Any = new_client(
            settings_for("http://127.0.0.1:9", request_timeout_ms=timeout_ms), chain, 7
        )
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (connect_s, timeout_ms / 1000)
        assert config.max_pool_connections == 7
        client.close()


# --- where ----------------------------------------------------------------------------------


def test_the_region_is_the_datastores_then_the_environments(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-1\n")
    usual = environment_of(tmp_path)
    assert region_of(S3Settings("b"), Chain(usual)) == "us-east-1"
    chain = Chain(replace(usual, config_file=str(config)))
    assert region_of(S3Settings("b"), chain) == "eu-west-1"
    assert region_of(S3Settings("b", region="eu-west-2"), chain) == "eu-west-2"


PLACES = {
    "at AWS": (S3Settings("bucket"), "bucket.s3.amazonaws.com:443"),
    "in a region": (
        S3Settings("bucket", region="eu-west-1"),
        "bucket.s3.eu-west-1.amazonaws.com:443",
    ),
    "in China": (
        S3Settings("bucket", region="cn-north-1"),
        "bucket.s3.cn-north-1.amazonaws.com.cn:443",
    ),
    "with a dot": (S3Settings("a.bucket", region="eu-west-1"), "s3.eu-west-1.amazonaws.com:443"),
    "in the path": (
        S3Settings("bucket", region="eu-west-1", force_path_style=True),
        "s3.eu-west-1.amazonaws.com:443",
    ),
    "in the host": (
        S3Settings("bucket", endpoint="https://s3.test", force_path_style=False),
        "bucket.s3.test:443",
    ),
    "with a dot in the host": (
        S3Settings("a.bucket", endpoint="https://s3.test", force_path_style=False),
        "s3.test:443",
    ),
    "at an endpoint": (S3Settings("bucket", endpoint="https://s3.test:9000"), "s3.test:9000"),
    "plain in the host": (
        S3Settings("bucket", endpoint="http://s3.test", force_path_style=False),
        "http://bucket.s3.test/",
    ),
    "plain with a dot in the host": (
        S3Settings("a.bucket", endpoint="http://s3.test", force_path_style=False),
        "http://a.bucket.s3.test/",
    ),
    "plain in the path": (
        S3Settings("bucket", endpoint="http://s3.test:9000"),
        "http://s3.test:9000/bucket/",
    ),
    "below a path": (
        S3Settings("bucket", endpoint="http://s3.test/base"),
        "http://s3.test/base/bucket/",
    ),
}


@pytest.mark.parametrize(("settings", "place"), PLACES.values(), ids=PLACES)
def test_both_libraries_go_to_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: S3Settings, place: str
) -> None:
    """What a proxy is asked for: a host to connect to, or a whole URL."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")

    async def run(store: S3Store) -> None:
        for key in (EXACT, BYTES):
            with pytest.raises(StoreUnavailable):
                await store.get(key)
        await store.close()

    with closing(Canned(reply(502)).start()) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        asyncio.run(run(S3Store(settings, environment_of(tmp_path))))
        asked = [_place(heard) for heard in proxy.heard]
    assert asked == [place, place]


WRONG = {
    "AWS_ACCESS_KEY_ID": "owner",
    "AWS_SECRET_ACCESS_KEY": "owners",
    "AWS_SESSION_TOKEN": "owners",
    "AWS_ALLOW_INVALID_CERTIFICATES": "true",
    "AWS_BUCKET": "another",
    "AWS_CONDITIONAL_PUT": "disabled",
    "AWS_ENDPOINT": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_REGION": "eu-west-3",
    "AWS_DEFAULT_REGION": "eu-west-3",
    "AWS_MAX_ATTEMPTS": "5",
    "AWS_REQUEST_PAYER": "true",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_TIMEOUT": "1ms",
    "AWS_UNSIGNED_PAYLOAD": "true",
    "AWS_USER_AGENT": "another",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
}
"""What the daemon's own environment may say; some of it only obstore reads."""


def test_the_daemons_environment_changes_no_request(
    server: Canned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)

    async def run() -> None:
        with operation("push"):
            store = S3Store(settings_for(server.url), environment_of(tmp_path))
            for key in (EXACT, BYTES):
                assert isinstance(await store.create(key, b"x", {}), Applied)
                assert isinstance(await store.get(key), Found)
            await store.close()

    asyncio.run(run())
    by_boto, by_obstore = server.heard[:2], server.heard[2:]
    for boto, obstore in zip(by_boto, by_obstore, strict=True):
        for heard in (boto, obstore):
            assert heard.target.removesuffix(EXACT).removesuffix(BYTES) == "/bucket/"
            assert "Credential=tester/" in heard.headers["authorization"]
            assert f"/{REGION}/s3/" in heard.headers["authorization"]
            assert not heard.headers["x-amz-content-sha256"].startswith("UNSIGNED")
            assert "x-amz-request-payer" not in heard.headers
            assert "x-amz-security-token" not in heard.headers
        for name in ("if-none-match", "user-agent"):
            assert boto.headers.get(name) == obstore.headers.get(name)
    assert by_obstore[0].headers["if-none-match"] == "*"


def _place(heard: Heard) -> str:
    return heard.target.removesuffix(EXACT).removesuffix(BYTES)


def test_missing_is_said_by_a_body(server: Canned, store: S3Store) -> None:
    """Not by a status alone: see `answers`."""
    server.answer = reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
    for key in (EXACT, BYTES):
        assert asyncio.run(store.get(key)) == Missing()
