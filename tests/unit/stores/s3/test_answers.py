"""What each error means, told by what the libraries make of answers from a socket."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)

from swampd.stores.s3.answers import CODES, Meaning, from_boto
from swampd.stores.s3.connection import new_client
from swampd.stores.s3.control import FAILURES
from swampd.stores.s3.credentials import Chain
from tests.servers.canned import NEVER, Canned, Ends, refuse, reply
from tests.servers.clients import BUCKET
from tests.servers.refusals import CONFLICT, SLOW_DOWN, Refusal, elsewhere, signed_for, wait
from tests.servers.stores import environment_of, settings_for
from tests.unit.stores.s3.asking import LIBRARIES, Boto, Obstore, meanings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stores.s3.asking import Library

STATUS = {
    Meaning.NOT_THERE: 404,
    Meaning.NO_BUCKET: 404,
    Meaning.CONDITION_FAILED: 412,
    Meaning.RACED: 409,
    Meaning.NOT_CHANGED: 304,
    Meaning.DENIED: 403,
    Meaning.BAD_CREDENTIALS: 403,
    Meaning.SKEWED: 403,
    Meaning.OTHER_REGION: 400,
    Meaning.NOT_SUPPORTED: 501,
    Meaning.BAD_REQUEST: 400,
    Meaning.BUSY: 503,
    Meaning.UNCLEAR: 400,
}
"""With which status S3 sends codes of a meaning."""


WITH_BODY = {code: meaning for code, meaning in CODES.items() if STATUS[meaning] >= 400}


@pytest.mark.parametrize(("code", "meaning"), WITH_BODY.items(), ids=WITH_BODY)
def test_the_code_decides(library: Library, server: Canned, code: str, meaning: Meaning) -> None:
    body = Refusal(STATUS[meaning], code, "in another region").body("/bucket/key")
    server.answer = reply(STATUS[meaning], body)
    for answer in (library.write(), library.read()):
        assert answer.meaning is meaning
        assert (answer.code, answer.detail) == (code, "in another region")
    assert len(server.heard) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 500, 503])
def test_the_status_does_not(library: Library, server: Canned, status: int) -> None:
    server.answer = refuse(Refusal(status, "PreconditionFailed"))
    assert meanings(library) == {Meaning.CONDITION_FAILED}
    server.answer = refuse(Refusal(status, "NobodyKnowsThis"))
    assert meanings(library) == {Meaning.UNCLEAR}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 412, 418, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"<Error></Error>", b"no <xml"])
def test_a_status_without_a_code_is_unclear(
    library: Library, server: Canned, status: int, body: bytes
) -> None:
    server.answer = reply(status, body, Content_Type="text/html")
    assert meanings(library) == {Meaning.UNCLEAR}
    assert library.read().code == str(status)


def test_too_many_requests_needs_no_code(library: Library, server: Canned) -> None:
    server.answer = reply(429)
    assert meanings(library) == {Meaning.BUSY}


@pytest.mark.parametrize("code", ["OperationAborted", "BucketAlreadyExists", "InvalidBucketState"])
def test_another_conflict_is_not_a_lost_race(library: Library, server: Canned, code: str) -> None:
    server.answer = refuse(Refusal(409, code))
    assert meanings(library) == {Meaning.UNCLEAR}
    server.answer = refuse(CONFLICT)
    assert meanings(library) == {Meaning.RACED}


def test_not_changed_has_no_body(library: Library, server: Canned) -> None:
    server.answer = reply(304, ETag='"x"')
    assert library.read().meaning is Meaning.NOT_CHANGED


def test_success_with_an_error_inside_is_no_success(library: Library, server: Canned) -> None:
    server.answer = reply(200, Refusal(200, "InternalError").body("/b/k"))
    answer = library.write()
    assert answer.meaning is Meaning.UNCLEAR


@pytest.mark.parametrize(
    ("code", "meaning"),
    [("PreconditionFailed", Meaning.CONDITION_FAILED), ("InternalError", Meaning.UNCLEAR)],
)
def test_a_copy_that_fails_after_its_status_is_told_by_its_code(
    server: Canned, boto: Boto, code: str, meaning: Meaning
) -> None:
    server.answer = reply(200, Refusal(200, code).body("/b/k"))
    source = {"Bucket": BUCKET, "Key": "k"}
    answer = boto.failure(
        lambda client: client.copy_object(Bucket=BUCKET, Key="k", CopySource=source)
    )
    assert (answer.meaning, answer.code) == (meaning, code)
    parts = {"Parts": [{"PartNumber": 1, "ETag": "x"}]}
    answer = boto.failure(
        lambda client: client.complete_multipart_upload(
            Bucket=BUCKET, Key="k", UploadId="u", MultipartUpload=parts
        )
    )
    assert (answer.meaning, answer.code) == (meaning, code)
    assert len(server.heard) == 2


# --- regions --------------------------------------------------------------------------------


def test_another_region_is_named(library: Library, server: Canned) -> None:
    server.answer = refuse(signed_for("us-east-1", "eu-west-1"))
    for answer in (library.write(), library.read()):
        assert (answer.meaning, answer.region) == (Meaning.OTHER_REGION, "eu-west-1")


def test_a_header_that_is_malformed_otherwise_is_of_the_credentials(
    library: Library, server: Canned
) -> None:
    text = "The authorization header is malformed; a non-empty Access Key must be provided"
    server.answer = refuse(Refusal(400, "AuthorizationHeaderMalformed", text))
    assert meanings(library) == {Meaning.BAD_CREDENTIALS}


def test_a_redirect_is_another_region_and_not_followed(library: Library, server: Canned) -> None:
    server.answer = refuse(elsewhere("eu-west-1"))
    assert meanings(library) == {Meaning.OTHER_REGION}
    assert len(server.heard) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_write_follows_no_redirect(library: Library, server: Canned, status: int) -> None:
    server.answer = reply(status, Location=f"{server.url}/elsewhere")
    assert library.write().meaning in {Meaning.UNCLEAR, Meaning.OTHER_REGION}
    assert len(server.heard) == 1


def test_a_redirect_of_a_head_tells_the_region(server: Canned, boto: Boto) -> None:
    server.answer = refuse(elsewhere("eu-west-1"), "HEAD")
    answer = boto.head()
    assert (answer.meaning, answer.region) == (Meaning.OTHER_REGION, "eu-west-1")
    assert len(server.heard) == 1


# --- without a body -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (304, Meaning.NOT_CHANGED),
        (400, Meaning.UNCLEAR),
        (403, Meaning.DENIED),
        (404, Meaning.NOT_THERE),
        (409, Meaning.UNCLEAR),
        (412, Meaning.CONDITION_FAILED),
        (429, Meaning.BUSY),
        (500, Meaning.UNCLEAR),
    ],
)
def test_an_answer_to_head_has_its_status_only(
    server: Canned, boto: Boto, status: int, meaning: Meaning
) -> None:
    server.answer = reply(status)
    assert boto.head().meaning is meaning


# --- when to come back ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after_is_in_seconds(
    server: Canned, boto: Boto, said: str, seconds: float | None
) -> None:
    server.answer = reply(503, SLOW_DOWN.body("/b/k"), Retry_After=said)
    answer = boto.read()
    assert (answer.meaning, answer.retry_after_s) == (Meaning.BUSY, seconds)
    server.answer = refuse(SLOW_DOWN)
    assert boto.read().retry_after_s is None


def test_obstore_does_not_tell_when_to_come_back(server: Canned, libraries: list[Library]) -> None:
    server.answer = refuse(wait(SLOW_DOWN, 7))
    answer = libraries[1].read()
    assert (answer.meaning, answer.retry_after_s) == (Meaning.BUSY, None)


# --- no answer ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", LIBRARIES)
def test_nobody_listens(make: type[Boto | Obstore], tmp_path: Path) -> None:
    server = Canned(b"")
    server.close()
    library = make(server.url, tmp_path)
    assert meanings(library) == {Meaning.NOT_SENT}
    assert "127.0.0.1" in library.write().detail


@pytest.mark.parametrize("make", LIBRARIES)
def test_an_answer_that_breaks_off_is_unclear(make: type[Boto | Obstore], tmp_path: Path) -> None:
    with closing(Canned(b"").start()) as server:
        library = make(server.url, tmp_path)
        for answer in (
            b"",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 500 X\r\nContent-Length: 99\r\n\r\n<Code>PreconditionFailed</Code>",
        ):
            server.answer = Ends(answer)
            assert meanings(library) == {Meaning.UNCLEAR}


@pytest.mark.parametrize(
    "said", ["SSH-2.0-OpenSSH_9.2", "220 mail ESMTP", "HTTP/1.1 ok", "HTTP/2.0"]
)
@pytest.mark.parametrize("make", LIBRARIES)
def test_an_endpoint_that_does_not_speak_http_is_called_so(
    make: type[Boto | Obstore], said: str, tmp_path: Path
) -> None:
    with closing(Canned(Ends(said.encode() + b"\r\n\r\n")).start()) as server:
        library = make(server.url, tmp_path)
        for answer in (library.write(), library.read()):
            assert (answer.meaning, answer.code) == (Meaning.UNCLEAR, "NotHTTP")
            assert "the endpoint does not speak HTTP" in answer.detail
            assert make is Obstore or said in answer.detail


@pytest.mark.parametrize("make", LIBRARIES)
def test_an_answer_that_does_not_come_is_unclear(
    make: type[Boto | Obstore], tmp_path: Path
) -> None:
    with closing(Canned(NEVER).start()) as server:
        library = make(server.url, tmp_path)
        assert library.write().meaning is Meaning.UNCLEAR
        server.tally.wait("ended")


def test_an_address_that_does_not_answer_was_sent_nothing() -> None:
    error = ConnectTimeoutError(endpoint_url="http://192.0.2.1")
    assert from_boto(error).meaning is Meaning.NOT_SENT
    assert from_boto(ReadTimeoutError(endpoint_url="http://x")).meaning is Meaning.UNCLEAR


# --- before sending -------------------------------------------------------------------------


@pytest.mark.parametrize("error", [NoCredentialsError(), ProfileNotFound(profile="x")])
def test_no_credentials(error: Exception) -> None:
    answer = from_boto(error)
    assert answer.meaning is Meaning.NO_CREDENTIALS
    assert answer.code == type(error).__name__


def test_a_chain_without_credentials_says_so_through_both(server: Canned, tmp_path: Path) -> None:
    for make in LIBRARIES:
        asked = make(server.url, tmp_path, access_key="")
        assert asked.write().meaning is Meaning.NO_CREDENTIALS
        assert asked.read().meaning is Meaning.NO_CREDENTIALS
    assert server.heard == []


# --- any text --------------------------------------------------------------------------------


def test_a_long_text_is_cut_and_on_one_line(library: Library, server: Canned) -> None:
    server.answer = refuse(Refusal(500, "InternalError", "so \n sorry " * 1000))
    detail = library.read().detail
    assert len(detail) <= 300
    assert "\n" not in detail


def test_all_that_a_client_raises_is_a_failure(server: Canned, tmp_path: Path) -> None:
    chain = Chain(environment_of(tmp_path))
    client = new_client(settings_for(server.url), chain, 1)
    for body in (b"<html>hello</html>", b"not xml", b"<x/>", b"\xff\xfe", b"{}"):
        server.answer = reply(200, body)
        try:
            client.list_objects_v2(Bucket=BUCKET)
        except FAILURES as error:
            assert from_boto(error).meaning is Meaning.UNCLEAR  # noqa: PT017 - some are readable
    client.close()
