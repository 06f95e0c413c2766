"""What the responder does that moto cannot show: the wire, its options, its broken promises."""

from __future__ import annotations

import hashlib
import socket
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from swampd.stores.probe import Check
from tests.servers.access_log import count
from tests.servers.clients import BUCKET, refusal, s3_client
from tests.servers.refusals import ACCESS_DENIED, Denial, Match
from tests.servers.responder import Responder, ResponderProcess
from tests.servers.scripts import PART, STALE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_s3 import S3Client

PATH = f"/{BUCKET}/k"
PROMISES = (
    *(Check.CREATE, Check.CREATE_AGAIN, Check.REPLACE),
    *(Check.REPLACE_STALE, Check.REPLACE_MISSING, Check.DELETE_STALE),
)
"""Those that can be broken."""


@pytest.fixture
def wire(responder: Responder) -> Iterator[socket.socket]:
    where = urlsplit(responder.url)
    with socket.create_connection((where.hostname, where.port or 0), timeout=30) as connected:
        yield connected


def hear(wire: socket.socket, end: bytes) -> bytes:
    heard = b""
    while not heard.endswith(end):
        more = wire.recv(65536)
        assert more, heard
        heard += more
    return heard


def get(url: str) -> bytes:
    return s3_client(url).get_object(Bucket=BUCKET, Key="k")["Body"].read()


# --- the wire -------------------------------------------------------------------------------


def test_requests_that_follow_at_once_are_answered_in_order(wire: socket.socket) -> None:
    asked = b"".join(
        b"PUT %s%d HTTP/1.1\r\nContent-Length: 1\r\n\r\n%d" % (PATH.encode(), n, n)
        for n in range(3)
    )
    wire.sendall(asked + b"GET %s1 HTTP/1.1\r\n\r\n" % PATH.encode())
    answers = hear(wire, b"\r\n\r\n1").split(b"HTTP/1.1 200 OK\r\n")
    assert len(answers) == 5
    assert answers[4].startswith(answers[2].removesuffix(b"Content-Length: 0\r\n\r\n"))


def test_a_request_may_come_byte_by_byte(wire: socket.socket) -> None:
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"PUT %s HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" % PATH.encode():
        wire.sendall(bytes([byte]))
    hear(wire, b"Content-Length: 0\r\n\r\n")
    wire.sendall(b"GET %s HTTP/1.1\r\n\r\n" % PATH.encode())
    assert hear(wire, b"abc").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_chunks_within_chunks_are_taken_apart(
    responder: Responder, wire: socket.socket, step: int
) -> None:
    aws = (
        b"5;chunk-signature=0a\r\nhello\r\n7;chunk-signature=0b\r\n, world\r\n"
        b"0;chunk-signature=0c\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    )
    halves = (aws[:9], aws[9:], b"")
    http = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in halves)
    fields = "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Trailer: x\r\n"
    for body, more in (
        (aws, f"Content-Length: {len(aws)}\r\nx-amz-decoded-content-length: 12\r\n"),
        (http, "Transfer-Encoding: chunked\r\n"),
    ):
        asked = f"PUT {PATH} HTTP/1.1\r\n{fields}{more}\r\n".encode() + body
        for at in range(0, len(asked), step):
            wire.sendall(asked[at : at + step])
        hear(wire, b"Content-Length: 0\r\n\r\n")
        assert get(responder.url) == b"hello, world"


def test_who_asks_whether_to_go_on_is_told_to(wire: socket.socket) -> None:
    wire.sendall(
        b"PUT %s HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n" % PATH.encode()
    )
    assert hear(wire, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(b"ab")
    assert hear(wire, b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_is_not_http_is_told_so_and_cut(wire: socket.socket) -> None:
    wire.sendall(b"hello\r\n\r\n")
    assert hear(wire, b"</Error>").startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert wire.recv(1) == b""


def test_a_slow_reader_gets_a_large_body_whole(responder: Responder, wire: socket.socket) -> None:
    body = b"start" + PART * 4
    s3_client(responder.url).put_object(Bucket=BUCKET, Key="k", Body=body)
    asked = b"GET %s HTTP/1.1\r\n\r\n" % PATH.encode()
    wire.sendall(asked + asked)
    heard = bytearray()
    while len(heard) < 2 * len(body):
        heard += wire.recv(1 << 16)
    assert heard.count(b"start") == 2


# --- options --------------------------------------------------------------------------------


def test_large_bodies_may_be_hashed_only() -> None:
    server = Responder(hash_over=1 << 20, buckets=[BUCKET]).start()
    try:
        client = s3_client(server.url)
        upload: Any = client.create_multipart_upload(Bucket=BUCKET, Key="k")
        named = {"Bucket": BUCKET, "Key": "k", "UploadId": upload["UploadId"]}
        part = client.upload_part(**named, PartNumber=1, Body=PART)
        assert part["ETag"] == f'"{hashlib.md5(PART, usedforsecurity=False).hexdigest()}"'
        parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        client.complete_multipart_upload(**named, MultipartUpload=parts)
        assert client.head_object(Bucket=BUCKET, Key="k")["ContentLength"] == len(PART)
        assert refusal(lambda: client.get_object(Bucket=BUCKET, Key="k"))[0] == 501
        client.put_object(Bucket=BUCKET, Key="k", Body=b"small")
        assert get(server.url) == b"small"
    finally:
        server.close()


def test_parts_out_of_order_or_too_small_are_refused(responder: Responder) -> None:
    client = s3_client(responder.url)
    named: Any = {"Bucket": BUCKET, "Key": "k"}
    named["UploadId"] = client.create_multipart_upload(**named)["UploadId"]
    parts = [
        {"PartNumber": n, "ETag": client.upload_part(**named, PartNumber=n, Body=b"1")["ETag"]}
        for n in (1, 2)
    ]

    def complete(these: Any) -> tuple[int, str]:
        return refusal(
            lambda: client.complete_multipart_upload(**named, MultipartUpload={"Parts": these})
        )

    assert complete(parts[::-1]) == (400, "InvalidPartOrder")
    assert complete(parts) == (400, "EntityTooSmall")
    assert complete(parts[1:]) == (200, "")
    assert complete(parts[1:]) == (404, "NoSuchUpload")
    part = refusal(lambda: client.upload_part(**named, PartNumber=1, Body=b"1"))
    assert part == (404, "NoSuchUpload")


def test_requests_are_refused_by_rule(responder: Responder) -> None:
    client = s3_client(responder.url)
    responder.deny(Denial(Match("PUT", access_key="tester"), ACCESS_DENIED))
    put = lambda: client.put_object(Bucket=BUCKET, Key="k", Body=b"1")  # noqa: E731
    assert refusal(put) == (403, "AccessDenied")
    responder.deny()
    assert refusal(put) == (200, "")


def test_the_process_serves_counts_and_ends() -> None:
    server = ResponderProcess("--bucket", BUCKET, "--broken", "CREATE_AGAIN").start()
    try:
        for op in ("op/1", "op/2"):
            client = s3_client(server.url, agent=op)
            client.put_object(Bucket=BUCKET, Key="k", Body=b"1", IfNoneMatch="*")
        assert get(server.url) == b"1"
        rows = server.requests()
        assert count(rows) == {"PUT": 2, "GET": 1}
        assert count(rows, "op/2") == {"PUT": 1}
        assert [row.status for row in rows] == [200] * 3
        with closing(HTTPConnection(urlsplit(server.url).netloc)) as connection:
            connection.request("GET", "/_responder/counts")
            assert connection.getresponse().read() == b'{"PUT":2,"GET":1}'
        server.reset()
        assert server.requests() == []
        server.deny(Denial(Match("GET"), ACCESS_DENIED))
        assert refusal(lambda: get(server.url)) == (403, "AccessDenied")
    finally:
        server.close()


# --- broken promises ------------------------------------------------------------------------


def kept(one: S3Client, two: S3Client) -> set[Check]:
    """The promises that this store keeps, seen by two clients."""
    at: Any = {"Bucket": BUCKET, "Key": "probe"}

    def tried(call: Callable[[], object]) -> int:
        return refusal(call)[0]

    def seen(client: S3Client, body: bytes) -> bool:
        there = tried(lambda: client.head_object(**at)) == 200
        return there and (client.get_object(**at)["Body"].read() == body)

    found: set[Check] = set()

    def note(check: Check, *, holds: bool) -> None:
        if holds:
            found.add(check)

    old = one.put_object(**at, Body=b"1", IfNoneMatch="*")["ETag"]
    note(Check.CREATE, holds=seen(two, b"1"))
    again = tried(lambda: two.put_object(**at, Body=b"1", IfNoneMatch="*"))
    note(Check.CREATE_AGAIN, holds=again == 412)
    right = tried(lambda: two.put_object(**at, Body=b"2", IfMatch=old))
    note(Check.REPLACE, holds=right == 200 and seen(one, b"2"))
    two.put_object(**at, Body=b"2")
    stale = tried(lambda: one.put_object(**at, Body=b"3", IfMatch=STALE))
    note(Check.REPLACE_STALE, holds=stale == 412 and seen(two, b"2"))
    two.put_object(**at, Body=b"2")
    missing = tried(lambda: two.put_object(Bucket=BUCKET, Key="none", Body=b"1", IfMatch=old))
    note(Check.REPLACE_MISSING, holds=missing == 404)
    gone = tried(lambda: one.delete_object(**at, IfMatch=STALE))
    note(Check.DELETE_STALE, holds=gone == 412 and seen(two, b"2"))
    return found


def test_every_promise_is_kept(responder: Responder) -> None:
    assert kept(s3_client(responder.url), s3_client(responder.url)) == set(PROMISES)


@pytest.mark.parametrize("broken", PROMISES)
def test_just_one_promise_is_broken(broken: Check) -> None:
    server = Responder(broken=broken, buckets=[BUCKET]).start()
    try:
        found = kept(s3_client(server.url), s3_client(server.url))
    finally:
        server.close()
    assert found == set(PROMISES) - {broken}
