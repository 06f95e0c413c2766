"""What the proxy does to a request, seen by the client before it and the server behind it."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    ResponseStreamingError,
)

from tests.servers.chaos import ChaosProxy
from tests.servers.clients import BUCKET, refusal, s3_client
from tests.servers.mischief import Answer, ApplyLate, Cut, Delay, DropReply, Hold
from tests.servers.refusals import CONFLICT, INTERNAL_ERROR, SLOW_DOWN, Match, Refusal, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client

    from tests.servers.responder import Responder

PUT = Match(method="PUT")
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=raw/20260101/us-east-1/s3/aws4_request"}


@pytest.fixture
def proxy(responder: Responder) -> Iterator[ChaosProxy]:
    proxy = ChaosProxy(responder.url, seed=7).start()
    yield proxy
    proxy.close()


@pytest.fixture
def client(proxy: ChaosProxy) -> S3Client:
    return s3_client(proxy.url)


def put(client: S3Client, body: bytes, key: str = "k") -> None:
    client.put_object(Bucket=BUCKET, Key=key, Body=body)


def seen(server: Responder, key: str = "k") -> bytes | None:
    """What the server holds, seen past the proxy."""
    client = s3_client(server.url)
    if key not in [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]:
        return None
    return client.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def ask(connection: HTTPConnection, method: str, body: bytes | None = None) -> HTTPResponse:
    connection.request(method, f"/{BUCKET}/k", body, SIGNED)
    return connection.getresponse()


def talk(url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(url).netloc, timeout=30)


# --- passing on -----------------------------------------------------------------------------


def test_what_is_not_spoilt_passes_unchanged(client: S3Client, proxy: ChaosProxy) -> None:
    body = os.urandom(3_000_000)
    client.put_object(Bucket=BUCKET, Key="a b/ü+%", Body=body, Metadata={"swampd": "1 w 7 d"})
    found = client.get_object(Bucket=BUCKET, Key="a b/ü+%")
    assert found["Body"].read() == body
    assert found["Metadata"] == {"swampd": "1 w 7 d"}
    assert client.head_object(Bucket=BUCKET, Key="a b/ü+%")["ContentLength"] == len(body)
    unchanged = refusal(
        lambda: client.get_object(Bucket=BUCKET, Key="a b/ü+%", IfNoneMatch=found["ETag"])
    )
    assert unchanged[0] == 304
    client.delete_object(Bucket=BUCKET, Key="a b/ü+%")
    assert refusal(lambda: client.head_object(Bucket=BUCKET, Key="a b/ü+%"))[0] == 404
    proxy.wait_for("forwarded", 6)  # counted when the answer is through
    assert proxy.counts == {"forwarded": 6}


def test_one_connection_carries_all_kinds_of_bodies(
    responder: Responder, proxy: ChaosProxy
) -> None:
    with closing(talk(proxy.url)) as connection:
        connection.request("PUT", f"/{BUCKET}/k", iter([b"in ", b"chunks"]), SIGNED)
        assert connection.getresponse().read() == b""
        kept = connection.sock
        for method, expected in (("HEAD", b""), ("GET", b"in chunks"), ("DELETE", b"")):
            assert ask(connection, method).read() == expected
        assert ask(connection, "PUT", b"sized").read() == b""
        assert connection.sock is kept
    assert seen(responder) == b"sized"


def test_many_at_once(responder: Responder, client: S3Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: put(client, b"%d" % n, f"k{n}"), range(64)))
    assert seen(responder, "k63") == b"63"


# --- spoiling -------------------------------------------------------------------------------


def test_a_cut_request_never_reaches_the_server(
    responder: Responder, proxy: ChaosProxy, client: S3Client
) -> None:
    proxy.add(Cut(), PUT, times=1)
    with pytest.raises(ConnectionClosedError):
        put(client, b"1")
    assert seen(responder) is None
    put(client, b"2")
    assert seen(responder) == b"2"
    assert proxy.counts == {"Cut": 1, "forwarded": 1}


def test_a_dropped_reply_is_of_a_request_that_was_done(
    responder: Responder, proxy: ChaosProxy, client: S3Client
) -> None:
    proxy.add(DropReply(), PUT, times=1)
    with pytest.raises(ConnectionClosedError):
        put(client, b"1")
    assert seen(responder) == b"1"


def test_a_reply_breaks_off(proxy: ChaosProxy, client: S3Client) -> None:
    put(client, b"0123456789")
    proxy.add(DropReply(let_through=4), Match("GET"))
    found = client.get_object(Bucket=BUCKET, Key="k")
    assert found["ContentLength"] == 10
    with pytest.raises(ResponseStreamingError):
        found["Body"].read()
    with closing(talk(proxy.url)) as connection:
        answer = ask(connection, "GET")
        with pytest.raises(IncompleteRead) as broken:
            answer.read()
    assert broken.value.partial == b"0123"


def test_a_request_lands_after_its_sender_has_given_up(
    responder: Responder, proxy: ChaosProxy, client: S3Client
) -> None:
    late = proxy.add(ApplyLate(), PUT, times=1)
    with pytest.raises(ConnectionClosedError):
        put(client, b"late")
    put(client, b"newer")
    assert seen(responder) == b"newer"
    late.release()
    late.wait()
    proxy.wait_for("applied late")
    assert seen(responder) == b"late"


def test_a_request_is_held_until_it_is_let_go(
    responder: Responder, proxy: ChaosProxy, client: S3Client
) -> None:
    held = proxy.add(Hold(), PUT)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(put, client, b"1")
        held.wait()
        assert seen(responder) is None
        assert not waiting.done()
        held.release()
        waiting.result()
    assert seen(responder) == b"1"


def test_a_delay_takes_its_time_and_meets_the_next_rule(
    proxy: ChaosProxy, client: S3Client
) -> None:
    proxy.add(Delay(0.2))
    proxy.add(Cut(), PUT)
    begun = time.monotonic()
    with pytest.raises(ConnectionClosedError):
        put(client, b"1")
    assert time.monotonic() - begun >= 0.2
    assert proxy.counts == {"Delay": 1, "Cut": 1}


@pytest.mark.parametrize(
    "error",
    [INTERNAL_ERROR, SLOW_DOWN, CONFLICT, Refusal(429, "TooManyRequests")],
    ids=lambda error: str(error.status),
)
def test_an_answer_in_the_server_s_place(
    responder: Responder, proxy: ChaosProxy, client: S3Client, error: Refusal
) -> None:
    proxy.add(Answer(error), PUT, times=2)
    expected = (error.status, error.code)
    assert [refusal(lambda: put(client, bytes(100_000))) for _ in range(2)] == [expected] * 2
    assert seen(responder) is None
    put(client, b"1")
    assert seen(responder) == b"1"


def test_an_answer_says_when_to_come_back_and_keeps_the_connection(proxy: ChaosProxy) -> None:
    proxy.add(Answer(wait(SLOW_DOWN, 3)), times=2)
    with closing(talk(proxy.url)) as connection:
        for method, length in (("PUT", 10), ("HEAD", 0)):
            answer = ask(connection, method, b"x" * length or None)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
            assert (b"SlowDown" in answer.read()) == bool(length)


# --- rules ----------------------------------------------------------------------------------


def test_a_rule_looks_at_method_path_query_and_signer(proxy: ChaosProxy) -> None:
    alice, bob = (s3_client(proxy.url, name) for name in ("alice", "bob"))
    proxy.add(Answer(CONFLICT), Match("PUT", path=r"/a/.*\.yaml$", access_key="alice"))
    proxy.add(Answer(INTERNAL_ERROR), Match("GET", query="prefix=b"))

    put(alice, b"1", "a/x.txt")
    put(bob, b"1", "a/x.yaml")
    assert refusal(lambda: put(alice, b"1", "a/x.yaml"))[0] == 409
    alice.list_objects_v2(Bucket=BUCKET, Prefix="a")
    assert refusal(lambda: alice.list_objects_v2(Bucket=BUCKET, Prefix="b"))[0] == 500


def test_rules_come_and_go_while_it_runs(proxy: ChaosProxy, client: S3Client) -> None:
    rule = proxy.add(Answer(SLOW_DOWN))
    assert refusal(lambda: put(client, b"1"))[0] == 503
    proxy.remove(rule)
    put(client, b"2")
    proxy.add(Answer(SLOW_DOWN))
    proxy.clear()
    put(client, b"3")
    assert rule.fired == 1


def test_chance_is_that_of_the_seed(responder: Responder) -> None:
    def run(seed: int) -> list[int]:
        proxy = ChaosProxy(responder.url, seed).start()
        with closing(proxy):
            proxy.add(Answer(SLOW_DOWN), probability=0.3)
            client = s3_client(proxy.url)
            return [refusal(lambda: client.head_bucket(Bucket=BUCKET))[0] for _ in range(40)]

    first = run(1)
    assert 4 < first.count(503) < 25
    assert first == run(1)
    assert first != run(2)


# --- going away -----------------------------------------------------------------------------


def test_a_server_goes_away_and_comes_back_with_what_it_held(
    proxy: ChaosProxy, client: S3Client
) -> None:
    put(client, b"1")
    url = proxy.url
    proxy.refuse()
    for _ in range(2):
        with pytest.raises(EndpointConnectionError):
            client.get_object(Bucket=BUCKET, Key="k")
    proxy.accept()
    assert proxy.url == url
    assert client.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"1"


def test_going_away_cuts_a_request_under_way(proxy: ChaosProxy, client: S3Client) -> None:
    held = proxy.add(Hold(), PUT)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(put, client, b"1")
        held.wait()
        proxy.refuse()
        with pytest.raises(ConnectionClosedError):
            waiting.result()


def test_nobody_else_gets_the_port_of_a_server_that_is_away(proxy: ChaosProxy) -> None:
    proxy.refuse()
    port = urlsplit(proxy.url).port
    with socket.socket() as taker, pytest.raises(OSError, match="in use"):
        taker.bind(("127.0.0.1", port))


def test_a_server_that_is_not_there_is_a_connection_that_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    proxy = ChaosProxy(nobody).start()
    try:
        with pytest.raises(ConnectionClosedError):
            s3_client(proxy.url).head_bucket(Bucket=BUCKET)
    finally:
        proxy.close()
