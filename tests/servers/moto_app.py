"""What runs in moto's process: one lock around it, the access log, and answers by rule.

moto looks whether a condition holds and then writes, with nothing between; under one lock, a
conditional write is atomic as on S3.  The body of a request is read before, so that a slow client
holds up nobody.  The conditions of copies and of completed uploads, which moto does not look at,
are looked at here.  A row is in the log before the client has the answer.
"""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import run_wsgi_app

from tests.servers.access_log import COPY_SOURCE, Logged, access_key, bucket_and_key, conditions
from tests.servers.conditions import Promises, allow_copy
from tests.servers.moto_settings import DENIALS, LOG_VARIABLE
from tests.servers.refusals import GONE, Asked, Denial, Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_CONDITIONAL: Final = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")


class Gate:
    """The way into moto."""

    def __init__(self, app: WSGIApplication, log: Path) -> None:
        self._app = app
        self._log = log.open("ab", buffering=0)
        self._lock = Lock()
        self._denials: list[Denial] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        received = _read_body(environ)
        path, _, query = environ["RAW_URI"].partition("?")
        if path == DENIALS:
            self._denials = msgspec.json.decode(environ["wsgi.input"].read(), type=list[Denial])
            start_response("204 No Content", [])
            return []
        headers = _headers(environ)
        asked = Asked(environ["REQUEST_METHOD"], unquote(path), query, access_key(headers))
        refusal = next((one.refusal for one in self._denials if one.match.fits(asked)), None)
        if refusal == GONE:
            environ["gunicorn.socket"].shutdown(socket.SHUT_RDWR)
            start_response("204 No Content", [])
            return []
        with self._lock:
            refusal = refusal or self._unmet(environ, headers)
            if refusal:
                body, status, fields = _refuse(refusal, asked)
            else:
                parts, status, named = run_wsgi_app(self._app, environ, buffered=True)
                body, fields = b"".join(parts), list(named)
            bucket, key = bucket_and_key(path)
            row = Logged(
                method=asked.method,
                bucket=bucket,
                key=key,
                query=query,
                status=int(status.split()[0]),
                user_agent=headers.get("user-agent", ""),
                access_key=asked.access_key,
                conditions=conditions(headers),
                copy_source=headers.get(COPY_SOURCE, ""),
                received=received,
                sent=len(body),
            )
            self._log.write(row.line)
        start_response(status, fields)
        return [body]

    def _unmet(self, environ: WSGIEnvironment, headers: Mapping[str, str]) -> Refusal | None:
        """Why a copy or a completed upload is not to be done."""
        source = headers.get(COPY_SOURCE)
        if not (source or environ["REQUEST_METHOD"] == "POST") or not conditions(headers):
            return None
        try:
            Promises().allow_write(headers, self._etag(environ, environ["RAW_URI"]))
            if source:
                allow_copy(headers, self._etag(environ, f"/{source.removeprefix('/')}") or "")
        except Refused as refused:
            return refused.refusal
        return None

    def _etag(self, environ: WSGIEnvironment, uri: str) -> str | None:
        """Of the object there; None: there is none."""
        path = uri.partition("?")[0]
        asked = {
            name: value
            for name, value in environ.items()
            if not name.startswith("HTTP_X_AMZ_COPY") and name not in _CONDITIONAL
        }
        asked |= {
            "REQUEST_METHOD": "HEAD",
            "RAW_URI": path,
            "PATH_INFO": unquote(path).encode().decode("latin-1"),
            "QUERY_STRING": "",
            "CONTENT_LENGTH": "0",
            "wsgi.input": io.BytesIO(),
        }
        _, status, fields = run_wsgi_app(self._app, asked, buffered=True)
        return fields["ETag"] if status.startswith("200") else None


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }


def _read_body(environ: WSGIEnvironment) -> int:
    """Take the body off the wire; its length."""
    body = environ["wsgi.input"].read()
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    return len(body)


def _refuse(refusal: Refusal, asked: Asked) -> tuple[bytes, str, list[tuple[str, str]]]:
    body = b"" if asked.method == "HEAD" else refusal.body(asked.path)
    fields = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
    return body, f"{refusal.status} {refusal.code}", [*(fields | refusal.headers).items()]


def app() -> WSGIApplication:
    """moto behind its gate, logging to the file that the environment names."""
    inner = DomainDispatcherApplication(create_backend_app)
    return Gate(inner, Path(os.environ[LOG_VARIABLE]))
