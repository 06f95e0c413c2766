"""Errors as S3 answers them, and which requests are to get one."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

import msgspec


class Asked(NamedTuple):
    """What a request can be told by."""

    method: str
    path: str
    """Decoded, without the query: `/bucket/key`."""
    query: str
    """As it was sent."""
    access_key: str = ""


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which requests are meant: regular expressions, all of which must fit; empty fits all."""

    method: str = ""
    """The whole method, such as `PUT|DELETE`."""
    path: str = ""
    """Anywhere in `/bucket/key`."""
    query: str = ""
    """Anywhere in the query."""
    access_key: str = ""
    """The whole access key id."""

    def fits(self, asked: Asked) -> bool:
        """Whether this request is one of them."""
        return (
            (not self.method or re.fullmatch(self.method, asked.method) is not None)
            and (not self.path or re.search(self.path, asked.path) is not None)
            and (not self.query or re.search(self.query, asked.query) is not None)
            and (not self.access_key or re.fullmatch(self.access_key, asked.access_key) is not None)
        )


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error answer."""

    status: int
    code: str
    message: str = ""
    headers: dict[str, str] = {}
    details: dict[str, str] = {}
    """More elements of the XML, such as `Region`."""

    def body(self, resource: str) -> bytes:
        """The XML that says it."""
        fields = {
            "Code": self.code,
            "Message": self.message or self.code,
            **self.details,
            "Resource": resource,
            "RequestId": "0123456789ABCDEF",
        }
        inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


class Refused(Exception):
    """What a request asks for ends with this answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class Denial(msgspec.Struct, frozen=True):
    """A server's rule: these requests get this answer, and do nothing."""

    match: Match
    refusal: Refusal


GONE: Final = Refusal(0, "Gone")
"""No answer: the connection ends."""
EXPIRED_TOKEN: Final = Refusal(400, "ExpiredToken", "The provided token has expired.")
ACCESS_DENIED: Final = Refusal(403, "AccessDenied", "Access Denied")
OBJECT_LOCKED: Final = Refusal(
    403, "AccessDenied", "Access Denied because object protected by object lock."
)
SKEWED: Final = Refusal(
    403,
    "RequestTimeTooSkewed",
    "The difference between the request time and the current time is too large.",
)
SLOW_DOWN: Final = Refusal(503, "SlowDown", "Please reduce your request rate.")
INTERNAL_ERROR: Final = Refusal(500, "InternalError", "We encountered an internal error.")
TOO_MANY_REQUESTS: Final = Refusal(429, "TooManyRequests", "Too many requests.")
CONFLICT: Final = Refusal(
    409, "ConditionalRequestConflict", "A conflicting conditional operation is in progress."
)


def elsewhere(region: str) -> Refusal:
    """The bucket is in another region, as a server says that knows it."""
    return Refusal(
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
        headers={"x-amz-bucket-region": region},
        details={"Endpoint": f"bucket.s3.{region}.amazonaws.com"},
    )


def signed_for(wrong: str, right: str) -> Refusal:
    """The request was signed for another region than the bucket's."""
    return Refusal(
        400,
        "AuthorizationHeaderMalformed",
        f"The authorization header is malformed; the region '{wrong}' is wrong; "
        f"expecting '{right}'",
        headers={"x-amz-bucket-region": right},
        details={"Region": right},
    )


def wait(refusal: Refusal, seconds: int) -> Refusal:
    """The same, and it says when to come back."""
    headers = {**refusal.headers, "Retry-After": str(seconds)}
    return msgspec.structs.replace(refusal, headers=headers)
