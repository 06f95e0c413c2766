"""Bytes through obstore: create-only writes of small bodies, and reads.  Every method blocks.

Each request is sent once.  Whatever is no plain success is told by `answers`; a create that is not
clearly refused is Unknown, and the caller reads back.

Limits: obstore spells keys its own way; `can_spell` says which keys it spells as we do.  The user
agent belongs to a connection pool, so each operation has a pool of its own; the last few are kept.
A read follows a redirect.  A CA of one's own is trusted beside those of the system.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.store import S3Store as Bucket

from swampd.domain.outcomes import Applied, Found, Mismatch, Missing, Unknown
from swampd.domain.values import Token
from swampd.stores.s3.answers import Answer, Meaning, from_boto, from_obstore
from swampd.stores.s3.calls import operation_here
from swampd.stores.s3.connection import CONNECT_S, agent, ca_bundle_of
from swampd.stores.s3.control import FAILURES
from swampd.stores.s3.faults import Action, Faults
from swampd.stores.s3.metadata import from_headers, to_headers
from swampd.stores.s3.outcomes import written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.domain.datastores import S3Settings
    from swampd.domain.outcomes import WriteOutcome
    from swampd.stores.s3.control import Control
    from swampd.stores.s3.credentials import Chain

POOLS: Final = 6
LONGEST_READ_S: Final = 900.0
"""A read on a slow line may take so long, as long as there is no pause as long as the time-out."""
_STANDARD: Final = frozenset(
    {"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language"}
)
_FIXED: Final[Mapping[str, Any]] = {
    "conditional_put": "etag",
    "request_payer": False,
    "skip_signature": False,
    "unsigned_payload": False,
}
"""What obstore would else take from the daemon's environment."""


def can_spell(key: str) -> bool:
    """Does obstore send this key as it is?  It drops a slash at an end and refuses empty segments,
    dots and control characters (one such key fails a whole listing)."""
    return key.isprintable() and not any(part in {"", ".", ".."} for part in key.split("/"))


class Payload:
    """One bucket, through obstore."""

    def __init__(
        self, control: Control, settings: S3Settings, chain: Chain, faults: Faults
    ) -> None:
        self._control = control
        self._settings = settings
        self._chain = chain
        self._faults = faults
        self._lock = threading.Lock()
        self._pools: OrderedDict[tuple[str, int, Action], Bucket] = OrderedDict()
        self._roots: bytes | None = None
        """Certificate authorities of one's own; None: not looked up yet."""

    def create(self, key: str, body: bytes, metadata: Mapping[str, str]) -> WriteOutcome:
        """Write if nothing is there."""
        bucket = self._ready(Action.WRITE, key)
        try:
            done = obstore.put(
                bucket,
                key,
                body,
                mode="create",
                attributes=to_headers(metadata),
                use_multipart=False,
            )
        except Exception as error:  # noqa: BLE001 - obstore has no common ancestor of errors
            return written(from_obstore(error), self._faults, Action.WRITE, key)
        e_tag = done["e_tag"]
        if e_tag is None:
            return Unknown("the service gave the new object no e_tag")
        return Applied(Token(e_tag.strip('"')))

    def get(self, key: str, if_token: Token | None) -> Found | Missing | Mismatch:
        """The whole object."""
        bucket = self._ready(Action.READ, key)
        options: Any = {"if_match": f'"{if_token.e_tag}"'} if if_token is not None else {}
        try:
            got = obstore.get(bucket, key, options=options)
            body = got.bytes().to_bytes()
        except Exception as error:  # noqa: BLE001 - as above
            return self._not_read(from_obstore(error), key)
        e_tag, said = got.meta["e_tag"], got.attributes
        if e_tag is None:
            return self._not_read(Answer(Meaning.UNCLEAR, "NotS3", "an object without e_tag"), key)
        named = {str(name): str(value) for name, value in said.items() if name not in _STANDARD}
        return Found(Token(e_tag.strip('"')), len(body), from_headers(named), body)

    def _not_read(self, answer: Answer, key: str) -> Missing | Mismatch:
        if answer.meaning is Meaning.NOT_THERE:
            return Missing()
        if answer.meaning is Meaning.CONDITION_FAILED:
            return Mismatch()
        raise self._faults.error(answer, Action.READ, key)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            self._pools.clear()

    def _ready(self, action: Action, key: str) -> Bucket:
        """The pool to use now; what fails is an error even of a write: nothing is sent yet."""
        try:
            return self._bucket(action)
        except FAILURES as error:
            raise self._faults.error(from_boto(error), action, key) from error

    def _bucket(self, action: Action) -> Bucket:
        """The pool of the operation that is under way, with the credentials of now."""
        key = (operation_here(), self._chain.generation, action)
        with self._lock:
            found = self._pools.get(key)
            if found is None:
                found = self._pools[key] = self._open(action)
                while len(self._pools) > POOLS:
                    self._pools.popitem(last=False)
            else:
                self._pools.move_to_end(key)
            return found

    def _open(self, action: Action) -> Bucket:
        settings, meta = self._settings, self._control.client.meta
        silent = timedelta(milliseconds=settings.request_timeout_ms)
        options: Any = {
            "allow_invalid_certificates": False,
            "allow_http": settings.endpoint.startswith("http://"),
            "user_agent": agent(),
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "read_timeout": silent,
            "timeout": silent if action is Action.WRITE else timedelta(seconds=LONGEST_READ_S),
        }
        if self._roots is None:
            bundle = ca_bundle_of(self._chain)
            self._roots = Path(bundle).read_bytes() if bundle else b""
        if self._roots:
            options["root_certificate"] = self._roots
        endpoint, in_host = _place(meta.endpoint_url, settings)
        return Bucket(
            settings.bucket,
            aws_endpoint_url_s3=endpoint,
            region=meta.region_name,
            virtual_hosted_style_request=in_host,
            client_options=options,
            retry_config={"max_retries": 0},
            credential_provider=self._chain.for_obstore,
            **_FIXED,
        )


def _place(endpoint: str, settings: S3Settings) -> tuple[str, bool]:
    """The endpoint as obstore wants it, and whether the bucket is in its host; both as boto3 has
    it, which puts a bucket into the path whose dots no certificate fits."""
    scheme, _, host = endpoint.partition("://")
    in_path = settings.force_path_style
    if in_path is None:
        in_path = bool(settings.endpoint)
    if in_path or (scheme == "https" and "." in settings.bucket):
        return endpoint, False
    return f"{scheme}://{settings.bucket}.{host}", True
