"""Which operation a request asks for; the log of them all, and the control URLs.

`GET /_responder/log` answers the log as JSON lines (`access_log.Logged`), `DELETE` empties it;
`GET /_responder/counts` answers how many requests there were by method;
`PUT /_responder/denials` sets the rules by which requests are refused (`refusals.Denial`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote
from xml.sax.saxutils import unescape

import msgspec

from tests.servers.access_log import COPY_SOURCE, Logged, access_key, conditions, count
from tests.servers.conditions import NOT_IMPLEMENTED, Promises
from tests.servers.refusals import Asked, Denial, Refusal, Refused
from tests.servers.responder.buckets import Bucket, Shared
from tests.servers.responder.listing import NAMESPACE, PREAMBLE, as_xml, list_objects
from tests.servers.responder.messages import XML, Reply, Request, refuse
from tests.servers.responder.multipart import Multipart
from tests.servers.responder.objects import Objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.stores.probe import Check

    Operation = Callable[[Request], Reply]

CONTROL: Final = "/_responder/"
LOG: Final = CONTROL + "log"
COUNTS: Final = CONTROL + "counts"
DENIALS: Final = CONTROL + "denials"

_NOT_EMPTY: Final = Refusal(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
_KEY: Final = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)


class Service:
    """S3, as much of it as is needed here."""

    def __init__(self, broken: Check | None = None) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.log: list[Logged] = []
        self.denials: list[Denial] = []
        shared = Shared()
        self._objects = objects = Objects(self.buckets, Promises(broken), shared)
        self._multipart = multipart = Multipart(objects, shared)
        self._of_object: dict[str, Operation] = {
            "GET": objects.get,
            "HEAD": objects.get,
            "PUT": objects.put,
            "DELETE": objects.delete,
        }
        self._of_upload: dict[str, Operation] = {
            "GET": multipart.list_parts,
            "PUT": multipart.upload_part,
            "POST": multipart.complete,
            "DELETE": multipart.abort,
        }
        self._of_bucket: dict[str, Operation] = {
            "GET": self._list,
            "HEAD": self._head_bucket,
            "PUT": self._create_bucket,
            "POST": self._delete_objects,
            "DELETE": self._delete_bucket,
        }

    def answer(self, request: Request) -> Reply:
        """Do what is asked, and log it."""
        if request.path.startswith(CONTROL):
            return self._control(request)
        headers = request.headers
        bucket, key = request.place
        signer = access_key(headers)
        try:
            if self.denials:
                self._deny(request, signer)
            reply = self._operation(request)(request)
        except Refused as refused:
            reply = refuse(refused.refusal, request.method, unquote(request.path))
        self.log.append(
            Logged(
                request.method,
                bucket,
                key,
                request.query,
                reply.status,
                headers.get("user-agent", ""),
                signer,
                conditions(headers),
                headers.get(COPY_SOURCE, ""),
                request.content.size,
                len(reply.body) if reply.pieces is None else reply.length or 0,
            )
        )
        return reply

    def _operation(self, request: Request) -> Operation:
        """What does it."""
        operations = self._of_object
        if not request.place[1]:
            operations = self._of_bucket
        elif request.query:
            if "uploadId" in request.arguments:
                operations = self._of_upload
            elif "uploads" in request.arguments:
                operations = {"POST": self._multipart.create}
        return operations.get(request.method, _not_there)

    def _deny(self, request: Request, signer: str) -> None:
        asked = Asked(request.method, unquote(request.path), request.query, signer)
        for denial in self.denials:
            if denial.match.fits(asked):
                raise Refused(denial.refusal)

    # --- buckets ------------------------------------------------------------------------------

    def _list(self, request: Request) -> Reply:
        name = request.place[0]
        bucket = self._objects.bucket(name)
        if "location" in request.arguments:
            return Reply(200, XML, f"{PREAMBLE}<LocationConstraint {NAMESPACE}/>".encode())
        if request.arguments.get("list-type") != "2":
            raise Refused(NOT_IMPLEMENTED)
        return Reply(200, XML, list_objects(bucket, name, request.arguments))

    def _head_bucket(self, request: Request) -> Reply:
        self._objects.bucket(request.place[0])
        return Reply(200, "x-amz-bucket-region: us-east-1\r\n")

    def _create_bucket(self, request: Request) -> Reply:
        self.buckets.setdefault(request.place[0], Bucket())
        return Reply(200)

    def _delete_bucket(self, request: Request) -> Reply:
        name = request.place[0]
        if self._objects.bucket(name).keys:
            raise Refused(_NOT_EMPTY)
        del self.buckets[name]
        return Reply(204)

    def _delete_objects(self, request: Request) -> Reply:
        """DeleteObjects, without conditions."""
        bucket = self._objects.bucket(request.place[0])
        if "delete" not in request.arguments:
            raise Refused(NOT_IMPLEMENTED)
        rows = []
        for text in _KEY.findall((request.content.body or b"").decode()):
            key = unescape(text, {"&quot;": '"', "&apos;": "'"})
            bucket.delete(key)
            rows.append(f"<Deleted><Key>{as_xml(key)}</Key></Deleted>")
        body = f"{PREAMBLE}<DeleteResult {NAMESPACE}>{''.join(rows)}</DeleteResult>"
        return Reply(200, XML, body.encode())

    # --- control ------------------------------------------------------------------------------

    def _control(self, request: Request) -> Reply:
        match request.method, request.path:
            case "GET", path if path == LOG:
                return Reply(200, body=b"".join(row.line for row in self.log))
            case "DELETE", path if path == LOG:
                self.log.clear()
                return Reply(204)
            case "GET", path if path == COUNTS:
                return Reply(200, body=msgspec.json.encode(count(self.log)))
            case "PUT", path if path == DENIALS:
                body = request.content.body or b"[]"
                self.denials = msgspec.json.decode(body, type=list[Denial])
                return Reply(204)
            case _:
                return Reply(404)


def _not_there(_: Request) -> Reply:
    raise Refused(NOT_IMPLEMENTED)
