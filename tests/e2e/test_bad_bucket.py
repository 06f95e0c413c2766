"""Buckets and endpoints that cannot be used: each said for what it is, with its exit code."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.places.choice import bucket_only
from tests.servers.refusals import (
    ACCESS_DENIED,
    OBJECT_LOCKED,
    SKEWED,
    Denial,
    Match,
    Refusal,
    elsewhere,
    signed_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine, Result
    from tests.places.bucket import BucketPlace

pytestmark = pytest.mark.servers
NO_BUCKET = Refusal(404, "NoSuchBucket", "The specified bucket does not exist")


@pytest.fixture
def ready(alone: Machine, place: BucketPlace) -> Iterator[Machine]:
    """A machine that may go in, and has not been there yet."""
    alone.equip(place)
    yield alone
    place.server.deny()


def refused(result: Result, exit_code: int, code: str) -> str:
    """Its sentence, and what to do."""
    assert result.code == exit_code, result
    error = json.loads(result.out)["error"]
    assert error["code"] == code, error
    assert error["hint"], error
    return f"{error['summary']}; {error['hint']}"


@bucket_only
@pytest.mark.parametrize(
    ("method", "refusal", "exit_code", "code", "words"),
    [
        (".*", NO_BUCKET, 10, "no_bucket", ("no bucket", "make it")),
        (".*", elsewhere("eu-west-1"), 10, "wrong_region", ("eu-west-1", "set `region")),
        (".*", signed_for("us-east-1", "eu-west-1"), 10, "wrong_region", ("eu-west-1",)),
        (".*", ACCESS_DENIED, 12, "store_denied", ("s3:GetObject", "s3:ListBucket")),
        ("PUT", ACCESS_DENIED, 12, "store_denied", ("s3:PutObject", "give this identity")),
        (".*", SKEWED, 1, "store_unavailable", ("clock", "timedatectl")),
    ],
)
def test_set_up_says_what_is_wrong(
    ready: Machine,
    place: BucketPlace,
    method: str,
    refusal: Refusal,
    exit_code: int,
    code: str,
    words: tuple[str, ...],
) -> None:
    place.server.deny(Denial(Match(method, f"^/{place.bucket}(/|$)"), refusal))
    text = refused(ready.run("datastore", "setup", *place.setup, "--json"), exit_code, code)
    assert place.bucket in text
    for word in words:
        assert word in text
    assert not (ready.repo / ".swamp.yaml").exists()
    place.server.deny()
    assert place.keys() == []
    ready.ok("datastore", "setup", *place.setup)


class _Page(BaseHTTPRequestHandler):
    """Some web server: the same page for everything."""

    def do_GET(self) -> None:
        page = b"<html><body>It works!</body></html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    do_PUT = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_endpoint_that_is_no_s3_is_not_taken_for_one(alone: Machine) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        alone.environ |= {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        endpoint = f"http://127.0.0.1:{server.server_port}"
        words = ("s3", "--bucket", "team", "--endpoint", endpoint, "--path-style", "--json")
        text = refused(alone.run("datastore", "setup", *words), 1, "store_unavailable")
        assert "endpoint" in text
        server.shutdown()
    assert not (alone.repo / ".swamp.yaml").exists()


@bucket_only
def test_a_principal_that_may_only_read_is_told_so(
    pair: Pair, place: BucketPlace, request: pytest.FixtureRequest
) -> None:
    """The probe writes, at each start: who may not, cannot open the datastore."""
    a, b, _ = pair
    a.write("data/f", "1")
    a.ok("push")
    request.addfinalizer(place.server.deny)
    place.server.deny(Denial(Match("PUT|POST|DELETE", f"^/{place.bucket}/"), ACCESS_DENIED))
    text = refused(b.run("pull", "--json"), 12, "store_denied")
    assert "s3:PutObject" in text
    assert "denied" in b.ok("status").out


@bucket_only
def test_object_lock_is_shown_as_a_halt_with_a_way_out(
    pair: Pair, place: BucketPlace, request: pytest.FixtureRequest
) -> None:
    a, b, _ = pair
    a.write("data/f", "1")
    a.write("data/g", "1")
    a.ok("push")
    request.addfinalizer(place.server.deny)
    place.server.deny(Denial(Match("DELETE", f"^/{place.bucket}/"), OBJECT_LOCKED))
    (a.cache / "data/f").unlink()
    a.run("push")
    shown = a.ok("status").out
    assert "HALT       data: mirror_denied" in shown
    assert "object lock" in shown
    b.ok("pull")
    assert [*b.files()] == ["data/g"]


@bucket_only
def test_hostile_keys_in_the_bucket_touch_nothing(pair: Pair, place: BucketPlace) -> None:
    a, b, _ = pair
    a.write("data/f", "1")
    a.ok("push")
    for key in ("data//f", "data/../f", "../f", "data/\x07", "data/" + "x" * 1000, "data/f/"):
        full = f"{place.prefix}/{key}"[:1024]
        place.client.put_object(Bucket=place.bucket, Key=full, Body=b"hostile")
    for name in ("..%2Fx", "data%2F..%2Fy", "%00"):
        key = f"{place.prefix}/_control/swampd/heads/{name}.json"
        place.client.put_object(Bucket=place.bucket, Key=key, Body=b"{}")
    b.ok("pull")
    assert b.files().keys() == {"data/f"}
    a.write("data/f", "2")
    a.ok("push")
    b.ok("pull")
    assert b.files()["data/f"][0] == b"2"
