"""The operations on one object."""

from __future__ import annotations

import hashlib
import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from tests.servers.access_log import COPY_SOURCE
from tests.servers.conditions import (
    NO_SUCH_KEY,
    NOT_IMPLEMENTED,
    PRECONDITION_FAILED,
    allow_copy,
    same_tag,
)
from tests.servers.refusals import Refusal, Refused
from tests.servers.responder.buckets import Stored
from tests.servers.responder.listing import NAMESPACE, PREAMBLE, as_xml, iso
from tests.servers.responder.messages import XML, Reply, Request

if TYPE_CHECKING:
    from tests.servers.conditions import Promises
    from tests.servers.responder.buckets import Bucket, Shared

NO_SUCH_BUCKET: Final = Refusal(404, "NoSuchBucket", "The specified bucket does not exist")
_TO_ITSELF: Final = Refusal(
    400, "InvalidRequest", "This copy request is illegal: it copies an object to itself unchanged."
)
_BAD_RANGE: Final = Refusal(416, "InvalidRange", "The requested range is not satisfiable")
_KEPT: Final = ("cache-control", "content-disposition", "content-language")
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_WHOLE_UP_TO: Final = 64 * 1024


class Objects:
    """GET, HEAD, PUT, DELETE and copies."""

    def __init__(self, buckets: dict[str, Bucket], promises: Promises, shared: Shared) -> None:
        self._buckets = buckets
        self._promises = promises
        self._shared = shared

    def bucket(self, name: str) -> Bucket:
        """Raise for one that is not there."""
        bucket = self._buckets.get(name)
        if bucket is None:
            raise Refused(NO_SUCH_BUCKET)
        return bucket

    def put(self, request: Request) -> Reply:
        """PutObject, or CopyObject."""
        if COPY_SOURCE in request.headers:
            return self._copy(request)
        content = self._shared.part(request.content)
        parts = None if content.body is None else (content.body,)
        stored = self.write(
            request, parts, content.size, f'"{content.digest}"', fields(request.headers)
        )
        return Reply(200, f"ETag: {stored.etag}\r\n")

    def write(
        self,
        request: Request,
        parts: tuple[bytes, ...] | None,
        size: int,
        etag: str,
        lines: str,
    ) -> Stored:
        """Store it under the request's key, if the request's conditions hold."""
        name, key = request.place
        bucket = self.bucket(name)
        found = bucket.objects.get(key)
        old = found.etag if found else None
        self._promises.allow_write(request.headers, old)
        only_for = self._promises.seen_only_by(request.connection, old)
        stored = Stored(parts, size, etag, lines, time.time(), only_for)
        bucket.put(key, stored)
        return stored

    def get(self, request: Request) -> Reply:
        """GetObject, or HeadObject."""
        found = self._find(*request.place, request.connection)
        headers = request.headers
        lines = (
            f"ETag: {found.etag}\r\nLast-Modified: {formatdate(found.modified_s, usegmt=True)}\r\n"
            f"Accept-Ranges: bytes\r\n{found.fields}"
        )
        if "if-match" in headers and not same_tag(headers["if-match"], found.etag):
            raise Refused(PRECONDITION_FAILED)
        if "if-none-match" in headers and same_tag(headers["if-none-match"], found.etag):
            return Reply(304, lines)
        start, end, status = _range(headers.get("range"), found.size)
        if status == 206:
            lines += f"Content-Range: bytes {start}-{end - 1}/{found.size}\r\n"
        if request.method == "HEAD":
            return Reply(status, lines, length=end - start)
        if found.parts is None:
            raise Refused(NOT_IMPLEMENTED)
        if end - start <= _WHOLE_UP_TO:
            return Reply(status, lines, b"".join(found.slices(start, end)))
        return Reply(status, lines, length=end - start, pieces=found.slices(start, end))

    def delete(self, request: Request) -> Reply:
        """DeleteObject."""
        name, key = request.place
        bucket = self.bucket(name)
        found = bucket.objects.get(key)
        self._promises.allow_delete(request.headers, found.etag if found else None)
        bucket.delete(key)
        return Reply(204)

    def _find(self, name: str, key: str, connection: object) -> Stored:
        found = self.bucket(name).objects.get(key)
        if found is None or found.only_for not in (None, connection):
            raise Refused(NO_SUCH_KEY)
        return found

    def _copy(self, request: Request) -> Reply:
        headers = request.headers
        path = unquote(headers[COPY_SOURCE].removeprefix("/").partition("?versionId=")[0])
        name, _, key = path.partition("/")
        source = self._find(name, key, request.connection)
        allow_copy(headers, source.etag)
        anew = headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        if not anew and (name, key) == request.place:
            raise Refused(_TO_ITSELF)
        etag = source.etag
        if source.parts is not None and "-" in etag:  # that of parts; the copy is whole
            md5 = hashlib.md5(usedforsecurity=False)
            for part in source.parts:
                md5.update(part)
            etag = f'"{md5.hexdigest()}"'
        lines = fields(headers) if anew else source.fields
        stored = self.write(request, source.parts, source.size, etag, lines)
        inner = f"<LastModified>{iso(stored.modified_s)}</LastModified><ETag>{as_xml(etag)}</ETag>"
        body = f"{PREAMBLE}<CopyObjectResult {NAMESPACE}>{inner}</CopyObjectResult>"
        return Reply(200, XML, body.encode())


def fields(headers: dict[str, str]) -> str:
    """The header lines that an object keeps and gives back."""
    kept = [
        f"{name}: {value}\r\n"
        for name, value in headers.items()
        if name.startswith("x-amz-meta-") or name in _KEPT
    ]
    kept.append(f"Content-Type: {headers.get('content-type', 'binary/octet-stream')}\r\n")
    return "".join(kept)


def _range(wanted: str | None, size: int) -> tuple[int, int, int]:
    """From where to before where, and the status that says so."""
    found = _RANGE.fullmatch(wanted or "")
    if not found or found.groups() == ("", ""):
        return 0, size, 200
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last or size) + 1, size)
    else:
        start, end = max(size - int(last), 0), size
    if start >= end:
        raise Refused(_BAD_RANGE)
    return start, end, 206
