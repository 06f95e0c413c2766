"""Writing an object in parts, through boto3: what one request does.  The order of them, the digest
and the retries are the engine's (`syncing/large.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd.domain.outcomes import Applied
from swampd.stores.s3.answers import from_boto
from swampd.stores.s3.control import FAILURES, token_of
from swampd.stores.s3.faults import Action
from swampd.stores.s3.metadata import to_headers
from swampd.stores.s3.outcomes import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swampd.domain.datastores import S3Settings
    from swampd.domain.outcomes import WriteOutcome
    from swampd.stores.s3.control import Control
    from swampd.stores.s3.faults import Faults

_GONE = "NoSuchUpload"


class Parts:
    """Multipart uploads to one bucket."""

    def __init__(self, control: Control, settings: S3Settings, faults: Faults) -> None:
        self._control = control
        self._bucket = settings.bucket
        self._faults = faults

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """Begin an upload; its id."""
        try:
            done = self._control.client.create_multipart_upload(
                Bucket=self._bucket, Key=key, Metadata=to_headers(metadata)
            )
            return done["UploadId"]
        except FAILURES as error:
            raise self._faults.error(from_boto(error), Action.WRITE, key) from error

    def send(self, key: str, upload: str, number: int, body: bytes) -> str:
        """Send a part; its ETag."""
        try:
            done = self._control.client.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=body
            )
            return done["ETag"]
        except FAILURES as error:
            raise self._faults.error(from_boto(error), Action.WRITE, key) from error

    def complete(self, key: str, upload: str, parts: Sequence[str]) -> WriteOutcome:
        """Make the object, if there is none."""
        try:
            done = self._control.client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload,
                IfNoneMatch="*",
                MultipartUpload={
                    "Parts": [
                        {"ETag": e_tag, "PartNumber": number}
                        for number, e_tag in enumerate(parts, 1)
                    ]
                },
            )
            return Applied(token_of(done["ETag"]))
        except FAILURES as error:
            return written(from_boto(error), self._faults, Action.WRITE, key)

    def abort(self, key: str, upload: str) -> None:
        """Throw the parts away."""
        try:
            self._control.client.abort_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload
            )
        except FAILURES as error:
            answer = from_boto(error)
            if answer.code != _GONE:
                raise self._faults.error(answer, Action.ABORT, key) from error
