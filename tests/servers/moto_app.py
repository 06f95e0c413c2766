"""What runs in moto's process: one lock around it, the access log, and answers by rule.

moto looks whether a condition holds and then writes, with nothing between; under one lock, a
conditional write is atomic as on S3.  The body of a request is read before, so that a slow client
holds up nobody.  A row is in the log before the client has the answer.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import run_wsgi_app

from tests.servers.access_log import COPY_SOURCE, Logged, access_key, bucket_and_key, conditions
from tests.servers.moto_settings import DENIALS, LOG_VARIABLE
from tests.servers.refusals import Asked, Denial, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


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
        with self._lock:
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
