"""Requests that need an exact answer, through boto3.  Every method blocks and sends one request.

Locks, heads and layout; replacing and deleting on condition; copies on the server; listings, whose
keys come as the store spelt them; objects whose keys obstore does not spell as we do.
"""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from swampd.domain.outcomes import Applied, Found, Listed, Mismatch, Missing, Page, Unchanged
from swampd.domain.values import RemoteKey, Token
from swampd.errors import BadRequest, CredentialsRefused, StoreDenied
from swampd.stores.bodies import CHUNK
from swampd.stores.s3.answers import Meaning, from_boto
from swampd.stores.s3.connection import new_client
from swampd.stores.s3.faults import Action
from swampd.stores.s3.metadata import from_headers, to_headers
from swampd.stores.s3.outcomes import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from types_boto3_s3 import S3Client

    from swampd.domain.datastores import S3Settings
    from swampd.domain.outcomes import WriteOutcome
    from swampd.ports import Body, SealedFile, Sink
    from swampd.stores.s3.answers import Answer
    from swampd.stores.s3.credentials import Chain
    from swampd.stores.s3.faults import Faults

FAILURES: Final = (
    *(ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError, ValueError, KeyError),
)
"""What boto3 and what is below it raise (ValueError: an endpoint or answer that is none), and what
an answer raises that lacks what each answer of S3 has (KeyError)."""

_VAGUE: Final = ("400", "403")
"""What a HEAD answers when the credentials are wrong, among other things."""

_NO_CONTENT: Final = 204
_OF_S3: Final = "x-amz-request-id"
"""A header that no answer lacks, where nothing else shows that it is S3 which has deleted."""


class Control:
    """One bucket, through boto3."""

    def __init__(
        self, settings: S3Settings, chain: Chain, faults: Faults, connections: int
    ) -> None:
        self._settings = settings
        self._chain = chain
        self._faults = faults
        self._connections = connections
        self._lock = threading.Lock()
        self._client: S3Client | None = None

    @property
    def client(self) -> S3Client:
        """Made when first asked for, once: it takes some 100 ms."""
        with self._lock:
            if self._client is None:
                self._client = new_client(self._settings, self._chain, self._connections)
            return self._client

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()

    # --- reads --------------------------------------------------------------------------------

    def get(
        self,
        key: str,
        *,
        if_token: Token | None = None,
        unless: Token | None = None,
        sink: Sink | None = None,
    ) -> Found | Missing | Mismatch | Unchanged:
        """The object; Mismatch when it is not `if_token`, Unchanged when it still is `unless`."""
        asked = _conditions(if_token, none_match=unless)
        try:
            got = self.client.get_object(Bucket=self._settings.bucket, Key=key, **asked)
            with closing(got["Body"]) as stream:
                token, size = token_of(got["ETag"]), got["ContentLength"]
                return Found(token, size, from_headers(got["Metadata"]), _read(stream, sink))
        except _SinkFailed as failure:
            raise failure.cause from None
        except FAILURES as error:
            answer = from_boto(error)
            if answer.meaning is Meaning.NOT_CHANGED and unless is not None:
                return Unchanged()
            return self._not_read(answer, key)

    def head(self, key: str) -> Found | Missing:
        """The object without its body."""
        generation = self._chain.generation
        try:
            got = self.client.head_object(Bucket=self._settings.bucket, Key=key)
            metadata = from_headers(got["Metadata"])
            return Found(token_of(got["ETag"]), got["ContentLength"], metadata)
        except FAILURES as error:
            answer = from_boto(error, has_body=False)
            if answer.meaning is not Meaning.NOT_THERE and answer.code not in _VAGUE:
                raise self._faults.error(answer, Action.READ, key) from error
        # An answer to HEAD has no body: a request whose answer has one tells whether the object is
        # missing or the bucket, and the permission or the credentials are wrong.
        try:
            self.list(key, None, most=1)
        except StoreDenied as denied:
            if answer.meaning is Meaning.NOT_THERE or isinstance(denied, CredentialsRefused):
                raise
        if answer.meaning is Meaning.NOT_THERE:
            return Missing()
        if self._chain.generation > generation:  # somebody else found better credentials
            return self.head(key)
        raise self._faults.error(answer, Action.READ, key)

    def _not_read(self, answer: Answer, key: str) -> Missing | Mismatch:
        if answer.meaning is Meaning.NOT_THERE:
            return Missing()
        if answer.meaning is Meaning.CONDITION_FAILED:
            return Mismatch()
        raise self._faults.error(answer, Action.READ, key)

    def list(self, prefix: str, after: str | None, most: int = 1000) -> Page:
        """Up to 1,000 rows behind `after`, with their keys as the store spelt them.

        A page without rows that is not the last one is followed to the next."""
        asked: dict[str, Any] = {"StartAfter": after} if after else {}
        try:
            while True:
                got = self.client.list_objects_v2(
                    Bucket=self._settings.bucket, Prefix=prefix, MaxKeys=most, **asked
                )
                rows = tuple(
                    Listed(RemoteKey(row["Key"]), token_of(row["ETag"]), row["Size"])
                    for row in got.get("Contents", ())
                )
                if not got["IsTruncated"]:
                    return Page(rows, None)
                if rows:
                    return Page(rows, rows[-1].key)
                asked = {"ContinuationToken": got["NextContinuationToken"]}
        except FAILURES as error:
            raise self._faults.error(from_boto(error), Action.LIST, prefix) from error

    # --- writes -------------------------------------------------------------------------------

    def put(
        self,
        key: str,
        body: Body,
        metadata: Mapping[str, str],
        *,
        token: Token | None = None,
        create: bool = False,
    ) -> WriteOutcome:
        """Write: on condition of `token`; if nothing is there (`create`); else in any case."""
        asked = _conditions(token, create=create)
        headers = to_headers(metadata)

        def send(content: bytes | BinaryIO) -> Token:
            done = self.client.put_object(
                Bucket=self._settings.bucket, Key=key, Body=content, Metadata=headers, **asked
            )
            return token_of(done["ETag"])

        if isinstance(body, bytes):
            return self._write(lambda: send(body), Action.WRITE, key)
        with sealed(body) as file:
            return self._write(lambda: send(file), Action.WRITE, key)

    def delete(self, key: str, token: Token | None = None) -> WriteOutcome:
        """Delete: on condition of `token`, or in any case."""
        asked = _conditions(token)

        def send() -> None:
            done = self.client.delete_object(Bucket=self._settings.bucket, Key=key, **asked)
            said = done["ResponseMetadata"]
            if said["HTTPStatusCode"] != _NO_CONTENT and _OF_S3 not in said["HTTPHeaders"]:
                raise KeyError(_OF_S3)

        return self._write(send, Action.DELETE, key)

    def copy(
        self, source: str, target: str, token: Token | None, metadata: Mapping[str, str]
    ) -> WriteOutcome:
        """Copy on the server, on condition of `token` (None: if nothing is there)."""
        asked = _conditions(token, create=token is None)

        def send() -> Token:
            done = self.client.copy_object(
                Bucket=self._settings.bucket,
                Key=target,
                CopySource={"Bucket": self._settings.bucket, "Key": source},
                MetadataDirective="REPLACE",
                Metadata=to_headers(metadata),
                **asked,
            )
            return token_of(done["CopyObjectResult"]["ETag"])

        return self._write(send, Action.WRITE, target)

    def _write(self, send: Callable[[], Token | None], action: Action, key: str) -> WriteOutcome:
        try:
            return Applied(send())
        except FAILURES as error:
            return written(from_boto(error), self._faults, action, key)


def token_of(e_tag: str) -> Token:
    """The token that an ETag is."""
    return Token(e_tag.strip('"'))


def _conditions(
    token: Token | None, *, create: bool = False, none_match: Token | None = None
) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if token is not None:
        asked["IfMatch"] = f'"{token.e_tag}"'
    elif create:
        asked["IfNoneMatch"] = "*"
    elif none_match is not None:
        asked["IfNoneMatch"] = f'"{none_match.e_tag}"'
    return asked


def _read(stream: Any, sink: Sink | None) -> bytes:
    if sink is None:
        whole: bytes = stream.read()
        return whole
    for chunk in stream.iter_chunks(CHUNK):
        _fill(sink, chunk)
    return b""


class _SinkFailed(Exception):
    """The sink could not take the bytes: no fault of the store."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


def _fill(sink: Sink, chunk: bytes) -> None:
    try:
        sink(chunk)
    except Exception as error:
        raise _SinkFailed(error) from error


def sealed(body: SealedFile) -> BinaryIO:
    """The sealed copy, open.  Raises errors.BadRequest when it is not what it says."""
    try:
        file = open(body.location, "rb")  # noqa: SIM115, PTH123 - the caller closes it
    except OSError as error:
        raise BadRequest(
            f"the sealed copy {body.location} cannot be read: {error.strerror}", path=body.location
        ) from error
    size = file.seek(0, 2)
    file.seek(0)
    if size != body.size:
        file.close()
        raise BadRequest(
            f"the sealed copy {body.location} has {size} bytes, not the {body.size} it had",
            path=body.location,
        )
    return file
