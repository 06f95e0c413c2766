"""An answer of the service as one of our errors: what happened, to which key, what to do next.

The one place where what S3 says becomes the tree of `errors.py`.  A write that comes out of here as
an error did not land.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, assert_never

from swampd.domain.datastores import hint_for
from swampd.errors import (
    CredentialsRefused,
    KeyRefused,
    NoBucket,
    NoCredentials,
    NotSupported,
    StoreDenied,
    StoreUnavailable,
    SwampdError,
    WrongRegion,
)
from swampd.stores.s3.answers import Answer, Meaning

if TYPE_CHECKING:
    from swampd.domain.datastores import CloudEnvironment, S3Settings
    from swampd.stores.s3.credentials import Chain


BUSY_S: Final = 1.0
"""A service that is too busy, and does not say for how long, is left alone so long (obstore never
hands on what it said)."""


def asked_s(answer: Answer) -> float | None:
    """So long the service asked to wait; None: it did not."""
    if answer.retry_after_s is not None:
        return answer.retry_after_s
    busy = answer.meaning is Meaning.BUSY or answer.code == _BARE_503
    return BUSY_S if busy else None


_BARE_503: Final = "503"


class Action(Enum):
    """What was asked; the value is the permission that it needs."""

    READ = "s3:GetObject"
    WRITE = "s3:PutObject"
    DELETE = "s3:DeleteObject"
    LIST = "s3:ListBucket"
    ABORT = "s3:AbortMultipartUpload"


class Faults:
    """Makes the errors of one store."""

    def __init__(self, settings: S3Settings, environment: CloudEnvironment, chain: Chain) -> None:
        self._settings = settings
        self._environment = environment
        self._chain = chain
        self.name = f"s3 {settings.bucket}" + (f"/{settings.prefix}" if settings.prefix else "")
        if settings.endpoint:
            self.name += f" at {settings.endpoint}"

    def error(self, answer: Answer, action: Action, key: str) -> SwampdError:
        """The error that this answer is.

        One of StoreUnavailable, StoreDenied (and its kinds), NoBucket, WrongRegion, KeyRefused,
        NotSupported.
        """
        match answer.meaning:
            case Meaning.DENIED:
                error: SwampdError = self._denied(answer, action, key)
            case Meaning.BAD_CREDENTIALS | Meaning.NO_CREDENTIALS:
                error = self._credentials(answer)
            case Meaning.NO_BUCKET | Meaning.OTHER_REGION:
                error = self._place(answer)
            case Meaning.BAD_REQUEST | Meaning.NOT_SUPPORTED:
                error = self._refused(answer, key)
            case (
                Meaning.BUSY
                | Meaning.SKEWED
                | Meaning.NOT_SENT
                | Meaning.NOT_TRUSTED
                | Meaning.UNCLEAR
                | Meaning.NOT_THERE
                | Meaning.CONDITION_FAILED
                | Meaning.RACED
                | Meaning.NOT_CHANGED
            ):
                error = self._unavailable(answer)
            case _:  # pragma: no cover
                assert_never(answer.meaning)
        return error

    def _refused(self, answer: Answer, key: str) -> SwampdError:
        if answer.meaning is Meaning.NOT_SUPPORTED:
            return NotSupported(
                f"{self.name} does not support this ({answer.code}: {answer.detail})",
                "use a store that does",
                store=self.name,
            )
        return KeyRefused(
            f"{self.name} refuses the key {key!r} or what belongs to it"
            f" ({answer.code}: {answer.detail})",
            "rename it, or make it smaller",
            key=key,
        )

    def _unavailable(self, answer: Answer) -> StoreUnavailable:
        if answer.meaning is Meaning.SKEWED:
            return StoreUnavailable(
                f"{self.name} refuses signatures: the clock of this machine and the store's differ"
                f" by too much ({answer.code}: {answer.detail})",
                "set this machine's clock (see `timedatectl`); this goes on then by itself",
                store=self.name,
            )
        if answer.meaning is Meaning.NOT_TRUSTED:
            return StoreUnavailable(
                f"{self.name} shows a certificate that is not trusted"
                f" ({answer.code}: {answer.detail})",
                "name the authority that signed it: `ca_bundle` in ~/.aws/config, or AWS_CA_BUNDLE"
                " where the daemon is started",
                store=self.name,
            )
        said = f"{answer.code}: {answer.detail}" if answer.detail else answer.code
        error = StoreUnavailable(
            f"{self.name} did not give a usable answer ({said})",
            "see whether the endpoint is right and can be reached; this goes on by itself once"
            " it answers",
            store=self.name,
        )
        error.retry_after_s = asked_s(answer)
        return error

    def _denied(self, answer: Answer, action: Action, key: str) -> StoreDenied:
        need = f"the permission {action.value} on {self._settings.bucket}"
        if action is Action.READ:
            need += " (and s3:ListBucket: without it what is missing looks forbidden)"
        if action is Action.DELETE:
            need += ", and see whether object lock or a legal hold keeps the object"
        _, who = self._chain.identity()
        return StoreDenied(
            f"{self.name} does not allow {action.value} on {key!r} for {who or 'us'}"
            f" ({answer.code}: {answer.detail})",
            f"give this identity {need}",
            store=self.name,
            key=key,
            permission=action.value,
        )

    def _credentials(self, answer: Answer) -> StoreDenied:
        chain, who = self._chain.identity()
        tried = self._chain.tried() or "none"
        if answer.meaning is Meaning.NO_CREDENTIALS:
            return NoCredentials(
                f"{self.name}: no credentials were found ({answer.detail}); tried: {tried}",
                hint_for(self._environment),
                store=self.name,
                tried=tried,
            )
        return CredentialsRefused(
            f"{self.name} refuses the credentials from {chain or 'the chain'}"
            f"{f', {who}' if who else ''} ({answer.code}: {answer.detail}); tried: {tried}",
            "log in again, or renew them where they come from; this goes on then by itself",
            store=self.name,
            tried=tried,
        )

    def _place(self, answer: Answer) -> SwampdError:
        bucket = self._settings.bucket
        if answer.meaning is Meaning.NO_BUCKET:
            return NoBucket(
                f"there is no bucket {bucket!r} at {self._settings.endpoint or 'AWS'}",
                "make it, or correct `bucket` (or `endpoint`) of the datastore",
                bucket=bucket,
            )
        where = answer.region
        return WrongRegion(
            f"the bucket {bucket!r} is not in the region that was asked"
            f"{f', but in {where}' if where else ''} ({answer.code}: {answer.detail})",
            f"set `region: {where}` in the datastore" if where else "correct `region`",
            bucket=bucket,
            region=where,
        )
