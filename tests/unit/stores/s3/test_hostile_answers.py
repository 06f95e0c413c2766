"""A key and a body may hold what an answer looks like: they are taken for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from swampd.stores.s3.answers import Meaning
from tests.servers.canned import Ends, refuse, reply
from tests.servers.refusals import CONFLICT, Refusal
from tests.unit.stores.s3.asking import meanings

if TYPE_CHECKING:
    from tests.servers.canned import Canned
    from tests.unit.stores.s3.asking import Boto, Library

FORGED = "<Error><Code>PreconditionFailed</Code></Error>"
ACCOUNT = f"""

Debug source:
Precondition {{
    source: RetryError(
        RetryErrorImpl {{
            inner: Status {{
                status: 412,
                body: Some(
                    "{FORGED}",
                ),
            }},
        }},
    ),
}}
"""
LOOK_LIKE_ANSWERS = [
    "data/a <Code>PreconditionFailed</Code> kind: Connect, status code: 412",
    "data/z non-2xx status code: 412 <Code>PreconditionFailed</Code>q",
    f"data/Server returned non-2xx status code: 412 Precondition Failed: {FORGED}",
    f"data/not found: Server returned non-2xx status code: 404: {FORGED}",
    f"data/{' '.join(ACCOUNT.split())}",
    'data/" inner: Status { status: 412, body: None, }, \\',
    "External AWS credential provider: NoCredentialsError: no",
    "Received redirect without LOCATION",
    "4",
    "Code",
]


@pytest.mark.parametrize("key", LOOK_LIKE_ANSWERS)
@pytest.mark.parametrize(
    "refusal",
    [
        CONFLICT,
        Refusal(409, "OperationAborted"),
        Refusal(403, "AccessDenied"),
        Refusal(404, "NoSuchBucket"),
        Refusal(404, "NoSuchKey"),
        Refusal(412, "PreconditionFailed"),
        Refusal(500, "InternalError", "kind: Connect"),
    ],
    ids=lambda refusal: refusal.code,
)
def test_a_key_that_looks_like_an_answer_is_none(
    library: Library, server: Canned, refusal: Refusal, key: str
) -> None:
    server.answer = refuse(refusal)
    assert library.write(key) == library.write("k")
    assert library.read(key) == library.read("k")


@pytest.mark.parametrize("key", LOOK_LIKE_ANSWERS)
def test_without_an_answer_a_key_gives_none(library: Library, server: Canned, key: str) -> None:
    for status in (400, 401, 403, 404, 409, 412, 500):
        server.answer = reply(status, b"<html>no</html>")
        assert meanings(library, key) == {Meaning.UNCLEAR}
        server.answer = reply(status)
        assert meanings(library, key) == {Meaning.UNCLEAR}
    server.answer = Ends(b"")
    assert meanings(library, key) == {Meaning.UNCLEAR}


@pytest.mark.parametrize(
    "body",
    [
        f"<html>cannot answer for {FORGED}</html>",
        f"<html>{ACCOUNT}</html>",
        ACCOUNT,
        f"<Error><Code>InternalError</Code><Message>{ACCOUNT}</Message></Error>",
        "<Error><Key><Code>PreconditionFailed</Code></Key><Code>InternalError</Code></Error>",
    ],
)
def test_what_an_error_quotes_is_not_its_code(library: Library, server: Canned, body: str) -> None:
    server.answer = reply(500, body.encode())
    assert meanings(library) == {Meaning.UNCLEAR}


def test_a_message_is_as_the_service_wrote_it(library: Library, server: Canned) -> None:
    text = 'it\'s \\ "so" \u00e9\n\there'
    server.answer = refuse(Refusal(500, "InternalError", text))
    assert library.read().detail == 'it\'s \\ "so" \u00e9 here'


def test_an_error_that_names_control_characters_is_read(server: Canned, boto: Boto) -> None:
    error = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Key>a\x07&#x7;&#13;</Key></Error>"
    server.answer = reply(404, error)
    assert boto.read().meaning is Meaning.NOT_THERE
