"""What an answer of the service means, whichever library brought it.

The error *code* decides, not the status and not the library's class (section 2): a failed condition
was seen with other statuses, and obstore calls 409 and 412 by one name.  What is not said clearly
is UNCLEAR: for a write Unknown, for a read a failure to be tried again.

Limits: obstore gives the code in its text only; a text without one is UNCLEAR.  Of a redirect it
tells neither code nor region, so any is taken for one to another region.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from http.client import BadStatusLine, RemoteDisconnected, UnknownProtocol
from typing import TYPE_CHECKING, Final

from botocore import exceptions as boto_errors
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Meaning(Enum):
    """What the service, or the way to it, says."""

    NOT_THERE = "not there"
    NO_BUCKET = "no such bucket"
    CONDITION_FAILED = "the condition does not hold"
    RACED = "somebody else was writing; nothing landed"
    NOT_CHANGED = "not changed"
    DENIED = "not allowed"
    BAD_CREDENTIALS = "credentials refused"
    NO_CREDENTIALS = "no credentials"
    SKEWED = "the clocks differ"
    OTHER_REGION = "another region"
    NOT_SUPPORTED = "not supported"
    BAD_REQUEST = "the request is refused as it is"
    BUSY = "asked to slow down"
    NOT_SENT = "no connection: nothing was sent"
    NOT_TRUSTED = "a certificate that nobody vouches for: nothing was sent"
    UNCLEAR = "no clear answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """An error answer, with what a message needs."""

    meaning: Meaning
    code: str
    detail: str
    retry_after_s: float | None = None
    region: str = ""
    """Where the bucket is, if the answer says so."""


CODES: Final[Mapping[str, Meaning]] = {
    "NoSuchKey": Meaning.NOT_THERE,
    "NoSuchBucket": Meaning.NO_BUCKET,
    "PreconditionFailed": Meaning.CONDITION_FAILED,
    "ConditionalRequestConflict": Meaning.RACED,
    "NotModified": Meaning.NOT_CHANGED,
    "AccessDenied": Meaning.DENIED,
    "AllAccessDisabled": Meaning.DENIED,
    "AccountProblem": Meaning.DENIED,
    "MethodNotAllowed": Meaning.DENIED,
    "ExpiredToken": Meaning.BAD_CREDENTIALS,
    "TokenRefreshRequired": Meaning.BAD_CREDENTIALS,
    "InvalidToken": Meaning.BAD_CREDENTIALS,
    "InvalidAccessKeyId": Meaning.BAD_CREDENTIALS,
    "SignatureDoesNotMatch": Meaning.BAD_CREDENTIALS,
    "InvalidSecurity": Meaning.BAD_CREDENTIALS,
    "NotSignedUp": Meaning.BAD_CREDENTIALS,
    "RequestTimeTooSkewed": Meaning.SKEWED,
    "PermanentRedirect": Meaning.OTHER_REGION,
    "TemporaryRedirect": Meaning.UNCLEAR,
    "AuthorizationHeaderMalformed": Meaning.OTHER_REGION,
    "IllegalLocationConstraintException": Meaning.OTHER_REGION,
    "NotImplemented": Meaning.NOT_SUPPORTED,
    "KeyTooLongError": Meaning.BAD_REQUEST,
    "InvalidURI": Meaning.BAD_REQUEST,
    "MetadataTooLarge": Meaning.BAD_REQUEST,
    "EntityTooLarge": Meaning.BAD_REQUEST,
    "SlowDown": Meaning.BUSY,
    "ServiceUnavailable": Meaning.BUSY,
    "TooManyRequests": Meaning.BUSY,
    "RequestLimitExceeded": Meaning.BUSY,
}

_NOT_SENT: Final = (
    boto_errors.EndpointConnectionError,
    boto_errors.ConnectTimeoutError,
    boto_errors.ProxyConnectionError,
)
_BAD_CERTIFICATE: Final = "CERTIFICATE_VERIFY_FAILED"
"""The one error of TLS that cannot come after something was sent."""
ABOUT_CREDENTIALS: Final = (
    boto_errors.NoCredentialsError,
    boto_errors.PartialCredentialsError,
    boto_errors.CredentialRetrievalError,
    boto_errors.TokenRetrievalError,
    boto_errors.SSOError,
    boto_errors.ProfileNotFound,
    boto_errors.ConfigNotFound,
    boto_errors.ConfigParseError,
    boto_errors.InvalidConfigError,
    boto_errors.LoginError,
    boto_errors.MetadataRetrievalError,
    boto_errors.RefreshWithMFAUnsupportedError,
    boto_errors.UnknownCredentialError,
)
"""What botocore raises when there are none: nothing was signed, hence nothing sent."""
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]+)</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]*)</Message>")
_ERROR: Final = re.compile(r"\s*(?:<\?xml[^>]*\?>\s*)?<Error[\s>]")
_ACCOUNT: Final = "\n\nDebug source:\n"
"""What is before Rust's own account in a text of obstore."""
_STATUS: Final = re.compile(
    r"^ *inner: Status \{\n *status: (\d{3}),\n *body: (?:None|Some\(\n *\"(.*)\",\n *\)),$",
    re.MULTILINE,
)
_QUOTED_CHARACTER: Final = re.compile(r"\\(.)")
_NO_CONNECTION: Final = re.compile(r"^ *kind: Connect,$", re.MULTILINE)
_UNTRUSTED: Final = re.compile(r"^ *error: InvalidCertificate\(\s*(\w+)", re.MULTILINE)
_NO_HTTP: Final = re.compile(r"^ *hyper::Error\(\n *Parse\(\n *(?:Version|Status),$", re.MULTILINE)
_WHY: Final = re.compile(r'message: "([^"]+)"')
_REDIRECTED: Final = re.compile(r"^ *inner: BareRedirect,$", re.MULTILINE)
_RAISED: Final = re.compile(r"^ *source: PyErr \{\n *type: <class '(?:\w+\.)*(\w+)'>", re.MULTILINE)
_REGION: Final = re.compile(r"<Region>([a-z0-9-]+)</Region>|expecting '([a-z0-9-]+)'")
_OTHER_REGION_HINT: Final = re.compile("region", re.IGNORECASE)
_LONGEST: Final = 300
_QUOTED: Final = 80
_NOT_S3: Final = "NotS3"
_NOT_HTTP: Final = "NotHTTP"
_SAYS_NOT_HTTP: Final = "the endpoint does not speak HTTP"


def from_boto(error: Exception, *, has_body: bool = True) -> Answer:
    """What an exception of boto3 says.  `has_body`: the request is one whose answer has a body,
    so that a bare status without a code says nothing (an answer to HEAD never has one)."""
    if isinstance(error, ClientError):
        return _from_response(error.response, has_body=has_body)
    text, name = _short(str(error)), type(error).__name__
    if isinstance(error, KeyError):
        return Answer(Meaning.UNCLEAR, _NOT_S3, f"an answer without {text}")
    if isinstance(error, ResponseParserError):
        return Answer(Meaning.UNCLEAR, _NOT_S3, f"an answer that is no XML: {_quoted(error)}")
    if isinstance(error, boto_errors.ConnectionClosedError):
        return Answer(Meaning.UNCLEAR, *_closed(error))
    meaning = Meaning.UNCLEAR
    if isinstance(error, ABOUT_CREDENTIALS):
        meaning = Meaning.NO_CREDENTIALS
    elif isinstance(error, boto_errors.SSLError) and _BAD_CERTIFICATE in text:
        meaning = Meaning.NOT_TRUSTED
    elif isinstance(error, _NOT_SENT):
        meaning = Meaning.NOT_SENT
    return Answer(meaning, name, text)


def _closed(error: boto_errors.ConnectionClosedError) -> tuple[str, str]:
    """Code and detail of an answer that breaks off, or is none of HTTP."""
    for below in getattr(error.kwargs.get("error"), "args", ()):
        if isinstance(below, RemoteDisconnected):
            break
        if isinstance(below, BadStatusLine | UnknownProtocol):
            return _NOT_HTTP, f"{_SAYS_NOT_HTTP}: it answered {_short(str(below))[:_QUOTED]!r}"
    return type(error).__name__, _short(str(error))


def _from_response(response: Mapping[str, object], *, has_body: bool) -> Answer:
    error = _mapping(response.get("Error"))
    about = _mapping(response.get("ResponseMetadata"))
    headers = _mapping(about.get("HTTPHeaders"))
    status = int(str(about.get("HTTPStatusCode") or 0))
    code = str(error.get("Code") or status)
    region = str(error.get("Region") or headers.get("x-amz-bucket-region") or "")
    return _answer(
        code,
        status,
        str(error.get("Message") or ""),
        region=region,
        retry_after=str(headers.get("retry-after") or ""),
        has_body=has_body,
    )


def from_obstore(error: Exception) -> Answer:
    """What an exception of obstore says, read from the end of its text.

    Before that, the text has the key and the body as they are, and either may look like anything.
    The end is Rust's own account, in which what comes from outside is quoted and has no lines."""
    said, there, account = str(error).rpartition(_ACCOUNT)
    if not there:
        said, account = account, ""
    detail = _first_line(said)
    found = _STATUS.search(account)
    if found is None:
        return _not_answered(account, detail)
    status, body = int(found[1]), _unquoted(found[2] or "")
    if status == _UNCHANGED:
        return Answer(Meaning.NOT_CHANGED, "NotModified", "")
    code, message, region = str(status), detail, ""
    codes = set(_CODE.findall(body)) if _ERROR.match(body) else set()
    if len(codes) == 1:
        code = codes.pop()
        message = found[1] if (found := _MESSAGE.search(body)) else detail
        region = next(filter(None, found.groups()), "") if (found := _REGION.search(body)) else ""
    return _answer(code, status, message, region=region, retry_after="", has_body=True)


def _not_answered(account: str, detail: str) -> Answer:
    """An account of obstore without a status."""
    if found := _RAISED.search(account):
        said = detail.partition(f"{found[1]}: ")[2] or detail
        return Answer(Meaning.NO_CREDENTIALS, found[1], said)
    if _REDIRECTED.search(account):
        return Answer(Meaning.OTHER_REGION, "Redirect", detail)
    if _NO_CONNECTION.search(account):
        if found := _UNTRUSTED.search(account):
            return Answer(Meaning.NOT_TRUSTED, found[1], detail)
        why = f": {found[1]}" if (found := _WHY.search(account)) else ""
        return Answer(Meaning.NOT_SENT, "ConnectError", f"{detail}{why}")
    if _NO_HTTP.search(account):
        return Answer(Meaning.UNCLEAR, _NOT_HTTP, _SAYS_NOT_HTTP)
    return Answer(Meaning.UNCLEAR, "NoAnswer", detail)


def _unquoted(text: str) -> str:
    """What Rust has quoted, its lines as one."""
    return _QUOTED_CHARACTER.sub(lambda found: " " if found[1] in "nrt" else found[1], text)


_UNCHANGED: Final = 304
_BARE: Final[Mapping[int, Meaning]] = {
    _UNCHANGED: Meaning.NOT_CHANGED,
    301: Meaning.OTHER_REGION,
    403: Meaning.DENIED,
    404: Meaning.NOT_THERE,
    412: Meaning.CONDITION_FAILED,
}
"""What a status says where no code can come with it."""


def _answer(
    code: str, status: int, message: str, *, region: str, retry_after: str, has_body: bool
) -> Answer:
    meaning = CODES.get(code)
    if meaning is None and (not has_body or status == _UNCHANGED):
        meaning = _BARE.get(status)
    if meaning is None and status == _TOO_MANY:
        meaning = Meaning.BUSY
    if meaning is Meaning.OTHER_REGION and code == "AuthorizationHeaderMalformed":
        meaning = meaning if _OTHER_REGION_HINT.search(message) else Meaning.BAD_CREDENTIALS
    return Answer(meaning or Meaning.UNCLEAR, code, _short(message), _seconds(retry_after), region)


_TOO_MANY: Final = 429


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:  # absent, or a date: then our own pause is right
        return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _quoted(error: Exception) -> str:
    """The body in an error of a parser, which has it on its last line."""
    return _short(str(error).rpartition("\n")[2])[:_QUOTED]


def _first_line(text: str) -> str:
    return _short(text.partition("\n")[0])


def _short(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
