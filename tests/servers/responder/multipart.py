"""Multipart uploads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from tests.servers.refusals import Refusal, Refused
from tests.servers.responder.buckets import Upload, joined_etag
from tests.servers.responder.listing import NAMESPACE, PREAMBLE, as_xml
from tests.servers.responder.messages import XML, Reply, Request
from tests.servers.responder.objects import fields

if TYPE_CHECKING:
    from tests.servers.responder.buckets import Shared
    from tests.servers.responder.objects import Objects
    from tests.servers.responder.receiving import Received

LEAST_PART: Final = 5 << 20
"""Of all parts but the last."""

NO_SUCH_UPLOAD: Final = Refusal(404, "NoSuchUpload", "The specified upload does not exist.")
_INVALID_PART: Final = Refusal(400, "InvalidPart", "A part could not be found, or is another one.")
_PART_ORDER: Final = Refusal(400, "InvalidPartOrder", "The parts are not in ascending order.")
_TOO_SMALL: Final = Refusal(400, "EntityTooSmall", "A part is smaller than is allowed.")
_MALFORMED: Final = Refusal(400, "MalformedXML", "The XML you provided was not well-formed")

_PART: Final = re.compile(r"<Part>(.*?)</Part>", re.DOTALL)
_NUMBER: Final = re.compile(r"<PartNumber>\s*(\d+)\s*</PartNumber>")
_ETAG: Final = re.compile(r"<ETag>\s*(?:\"|&quot;|&#34;)?([0-9a-fA-F]+)")


class Multipart:
    """Create, upload a part, list the parts, complete, abort."""

    def __init__(self, objects: Objects, shared: Shared) -> None:
        self._objects = objects
        self._shared = shared

    def create(self, request: Request) -> Reply:
        """CreateMultipartUpload."""
        name, key = request.place
        upload_id = uuid4().hex
        self._objects.bucket(name).uploads[upload_id] = Upload(key, fields(request.headers))
        return self._result("InitiateMultipartUpload", request, f"<UploadId>{upload_id}</UploadId>")

    def upload_part(self, request: Request) -> Reply:
        """UploadPart."""
        content = self._shared.part(request.content)
        self._upload(request).parts[int(request.arguments["partNumber"])] = content
        return Reply(200, f'ETag: "{content.digest}"\r\n')

    def list_parts(self, request: Request) -> Reply:
        """ListParts, in one page."""
        rows = [
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{part.digest}&quot;</ETag>"
            f"<Size>{part.size}</Size></Part>"
            for number, part in sorted(self._upload(request).parts.items())
        ]
        return self._result(
            "ListParts", request, f"<IsTruncated>false</IsTruncated>{''.join(rows)}"
        )

    def complete(self, request: Request) -> Reply:
        """CompleteMultipartUpload."""
        upload = self._upload(request)
        parts = _named(upload, (request.content.body or b"").decode())
        bodies = tuple(part.body for part in parts if part.body is not None)
        stored = self._objects.write(
            request,
            bodies if len(bodies) == len(parts) else None,
            sum(part.size for part in parts),
            joined_etag(parts),
            upload.fields,
        )
        self._forget(request)
        return self._result(
            "CompleteMultipartUpload", request, f"<ETag>{as_xml(stored.etag)}</ETag>"
        )

    def abort(self, request: Request) -> Reply:
        """AbortMultipartUpload."""
        self._upload(request)
        self._forget(request)
        return Reply(204)

    def _upload(self, request: Request) -> Upload:
        name, key = request.place
        upload = self._objects.bucket(name).uploads.get(request.arguments["uploadId"])
        if upload is None or upload.key != key:
            raise Refused(NO_SUCH_UPLOAD)
        return upload

    def _forget(self, request: Request) -> None:
        del self._objects.bucket(request.place[0]).uploads[request.arguments["uploadId"]]

    def _result(self, name: str, request: Request, inner: str) -> Reply:
        bucket, key = request.place
        start = f"{PREAMBLE}<{name}Result {NAMESPACE}><Bucket>{bucket}</Bucket>"
        text = f"{start}<Key>{as_xml(key)}</Key>{inner}</{name}Result>"
        return Reply(200, XML, text.encode())


def _named(upload: Upload, wanted: str) -> list[Received]:
    """The parts that a completion names."""
    parts: list[Received] = []
    before = 0
    for entry in _PART.findall(wanted):
        number, etag = _NUMBER.search(entry), _ETAG.search(entry)
        if not number or not etag:
            raise Refused(_MALFORMED)
        if int(number[1]) <= before:
            raise Refused(_PART_ORDER)
        before = int(number[1])
        part = upload.parts.get(before)
        if part is None or part.digest != etag[1].lower():
            raise Refused(_INVALID_PART)
        parts.append(part)
    if not parts:
        raise Refused(_MALFORMED)
    if any(part.size < LEAST_PART for part in parts[:-1]):
        raise Refused(_TOO_SMALL)
    return parts
