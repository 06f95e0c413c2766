"""moto behind its gate: one lock, a log, answers by rule."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import HTTPClientError

from tests.servers.access_log import count
from tests.servers.clients import BUCKET, refusal, s3_client
from tests.servers.moto import MotoServer
from tests.servers.refusals import (
    ACCESS_DENIED,
    EXPIRED_TOKEN,
    GONE,
    OBJECT_LOCKED,
    SKEWED,
    Denial,
    Match,
    Refusal,
    elsewhere,
    signed_for,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_of_many_that_create_at_once_one_wins(moto: MotoServer) -> None:
    client = s3_client(moto.url)

    def create(number: int) -> int:
        body = str(number).encode()
        return refusal(
            lambda: client.put_object(Bucket=BUCKET, Key="race", Body=body, IfNoneMatch="*")
        )[0]

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(create, range(32)))
    winner = str(answers.index(200)).encode()
    assert sorted(answers) == [200] + [412] * 31
    assert client.get_object(Bucket=BUCKET, Key="race")["Body"].read() == winner
    assert count(moto.requests()) == {"PUT": 32, "GET": 1}


def test_a_counter_behind_conditions_loses_nothing(moto: MotoServer) -> None:
    client = s3_client(moto.url)
    client.put_object(Bucket=BUCKET, Key="counter", Body=b"0")

    def add(_: int) -> None:
        while True:
            seen = client.get_object(Bucket=BUCKET, Key="counter")
            more = str(int(seen["Body"].read()) + 1).encode()
            status, _code = refusal(
                lambda: client.put_object(
                    Bucket=BUCKET,
                    Key="counter",
                    Body=more,  # noqa: B023 (called at once)
                    IfMatch=seen["ETag"],  # noqa: B023
                )
            )
            if status == 200:
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(32)))
    assert client.get_object(Bucket=BUCKET, Key="counter")["Body"].read() == b"32"


def test_the_log_says_who_asked_for_what_and_what_came_of_it(moto: MotoServer) -> None:
    client = s3_client(moto.url, access_key="alice", agent="op/7")
    etag = client.put_object(Bucket=BUCKET, Key="a b/ü", Body=b"four")["ETag"]
    client.put_object(Bucket=BUCKET, Key="a b/ü", Body=b"seven..", IfMatch=etag)
    client.get_object(Bucket=BUCKET, Key="a b/ü")
    client.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/a b/ü")
    refusal(lambda: client.head_object(Bucket=BUCKET, Key="none"))
    client.list_objects_v2(Bucket=BUCKET, Prefix="a b/")

    rows = moto.requests()
    assert [(row.method, row.key, row.status) for row in rows] == [
        ("PUT", "a b/ü", 200),
        ("PUT", "a b/ü", 200),
        ("GET", "a b/ü", 200),
        ("PUT", "copy", 200),
        ("HEAD", "none", 404),
        ("GET", "", 200),
    ]
    assert {row.bucket for row in rows} == {BUCKET}
    assert {row.access_key for row in rows} == {"alice"}
    assert [row.received for row in rows[:3]] == [4, 7, 0]
    assert rows[2].sent == 7
    assert rows[1].conditions == {"if-match": etag}
    assert rows[3].copy_source == f"{BUCKET}/a%20b/%C3%BC"
    assert "prefix=a%20b%2F" in rows[5].query
    assert count(rows, "op/7") == {"PUT": 3, "GET": 2, "HEAD": 1}
    assert count(rows, "op/8") == {}

    moto.reset()
    assert moto.requests() == []


def test_connections_are_kept(moto: MotoServer) -> None:
    client = s3_client(moto.url)
    client.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    answers = [
        client.get_object(Bucket=BUCKET, Key="k")["ResponseMetadata"]["HTTPHeaders"]
        for _ in range(3)
    ]
    assert [headers.get("connection") for headers in answers] == ["keep-alive"] * 3


def test_a_principal_may_only_read(moto: MotoServer) -> None:
    reader, writer = s3_client(moto.url, "reader"), s3_client(moto.url, "writer")
    moto.deny(Denial(Match(method="PUT|POST|DELETE", access_key="reader"), ACCESS_DENIED))
    writer.put_object(Bucket=BUCKET, Key="k", Body=b"1")

    assert reader.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"1"
    denied = (403, "AccessDenied")
    assert refusal(lambda: reader.put_object(Bucket=BUCKET, Key="k", Body=b"2")) == denied
    assert refusal(lambda: reader.delete_object(Bucket=BUCKET, Key="k")) == denied
    assert writer.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"1"
    assert [row.status for row in moto.requests() if row.access_key == "reader"] == [200, 403, 403]

    moto.deny()
    reader.put_object(Bucket=BUCKET, Key="k", Body=b"2")


@pytest.mark.parametrize("refused", [EXPIRED_TOKEN, SKEWED, signed_for("us-east-1", "eu-west-1")])
def test_a_rule_answers_as_s3_does(moto: MotoServer, refused: Refusal) -> None:
    client = s3_client(moto.url)
    moto.deny(Denial(Match(access_key="tester"), refused))
    expected = (refused.status, refused.code)
    assert refusal(lambda: client.put_object(Bucket=BUCKET, Key="k", Body=b"1")) == expected
    moto.deny()
    assert refusal(lambda: client.head_object(Bucket=BUCKET, Key="k"))[0] == 404


def test_a_bucket_is_elsewhere(moto: MotoServer) -> None:
    client = s3_client(moto.url)
    moto.deny(Denial(Match(path=f"^/{BUCKET}(/|$)"), elsewhere("eu-west-1")))
    assert refusal(lambda: client.head_bucket(Bucket=BUCKET)) == (301, "301")
    assert refusal(lambda: client.list_objects_v2(Bucket=BUCKET)) == (301, "PermanentRedirect")


def test_objects_are_locked_by_key(moto: MotoServer) -> None:
    client = s3_client(moto.url)
    moto.deny(Denial(Match(method="DELETE", path="/kept/"), OBJECT_LOCKED))
    for key in ("kept/k", "other/k"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    assert refusal(lambda: client.delete_object(Bucket=BUCKET, Key="kept/k"))[0] == 403
    assert refusal(lambda: client.delete_object(Bucket=BUCKET, Key="other/k"))[0] == 200


def test_two_servers_share_nothing(moto: MotoServer, tmp_path: Path) -> None:
    other = MotoServer(tmp_path).start()
    try:
        assert other.url != moto.url
        assert refusal(lambda: s3_client(other.url).head_bucket(Bucket=BUCKET))[0] == 404
    finally:
        other.close()


def test_a_server_that_is_gone_says_so(tmp_path: Path) -> None:
    server = MotoServer(tmp_path).start()
    server.close()
    with pytest.raises(RuntimeError, match="moto does not serve"):
        server.deny()


def test_who_is_denied_the_server_gets_no_answer(moto: MotoServer) -> None:
    client = s3_client(moto.url)
    moto.deny(Denial(Match(path=f"^/{BUCKET}/gone"), GONE))
    with pytest.raises(HTTPClientError):
        client.head_object(Bucket=BUCKET, Key="gone")
    client.put_object(Bucket=BUCKET, Key="there", Body=b"1")
    moto.deny()
    assert refusal(lambda: client.head_object(Bucket=BUCKET, Key="gone"))[0] == 404
