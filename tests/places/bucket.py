"""A bucket behind moto: the place of the `s3` store.

Everything here is asked of the server directly; machines may be led to it by a proxy.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from swampd.domain.datastores import CloudEnvironment, S3Settings
from swampd.stores.s3.store import S3Store
from tests.places.place import NOBODYS, Place
from tests.servers.access_log import read_log
from tests.servers.clients import REGION, SECRET, s3_client
from tests.servers.moto import MotoServer
from tests.servers.refusals import GONE, Denial, Match

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from swampd.ports import ObjectStore, Threads
    from tests.servers.access_log import Logged
    from tests.servers.responder import ResponderProcess

PREFIX: Final = "team/swamp"
_FIRST_ERROR: Final = 300


class BucketPlace(Place):
    """A prefix in a bucket; other objects of the bucket are not of this place."""

    def __init__(
        self, server: MotoServer | ResponderProcess, home: Path, endpoint: str = ""
    ) -> None:
        self.server = server
        self._endpoint = endpoint or server.url
        self._home = home
        self.bucket = f"place-{uuid.uuid4()}"
        self.prefix = PREFIX
        self.client = _client(server.url)
        self.client.create_bucket(Bucket=self.bucket)
        self._read = self.log.stat().st_size if isinstance(server, MotoServer) else 0
        self._writes: Counter[str] = Counter()

    # --- how machines come to it --------------------------------------------------------------

    @property
    def setup(self) -> tuple[str, ...]:
        return (
            *("s3", "--bucket", self.bucket, "--prefix", self.prefix),
            *("--endpoint", self._endpoint, "--path-style"),
        )

    @property
    def _config(self) -> dict[str, object]:
        return {
            "bucket": self.bucket,
            "prefix": self.prefix,
            "endpoint": self._endpoint,
            "forcePathStyle": True,
        }

    @property
    def settings(self) -> Mapping[str, object]:
        return {"type": "s3", "config": self._config}

    @property
    def variable(self) -> str:
        return f"s3:{json.dumps(self._config)}"

    @property
    def shown(self) -> str:
        return self.bucket

    def equip(self, home: Path) -> Mapping[str, str]:
        _write_profile(home)
        return {"AWS_EC2_METADATA_DISABLED": "true"}

    def open(self, threads: Threads) -> ObjectStore:
        del threads
        credentials, config = _write_profile(self._home)
        settings = S3Settings(
            self.bucket, self.prefix, REGION, self._endpoint, force_path_style=True
        )
        environment = CloudEnvironment(
            region=REGION,
            config_file=str(config),
            shared_credentials_file=str(credentials),
        )
        return S3Store(settings, environment)

    def another(self, name: str) -> BucketPlace:
        return BucketPlace(self.server, self._home / name, self._endpoint)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.server.deny(Denial(Match(path=f"^/{self.bucket}(/|$)"), GONE))
        try:
            yield
        finally:
            self.server.deny()

    # --- what is in it ------------------------------------------------------------------------

    @property
    def log(self) -> Path:
        """The access log of the whole server."""
        assert isinstance(self.server, MotoServer), "another server keeps its log to itself"
        return self.server.log

    def find(self, key: str) -> bytes | None:
        try:
            return self.client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise

    def write_foreign(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=content)

    def delete(self, key: str) -> None:
        self.client.head_object(Bucket=self.bucket, Key=self._key(key))
        self.client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self._key(prefix)
        )
        found = (row["Key"] for page in pages for row in page.get("Contents", ()))
        return sorted(map(self._without_prefix, found))

    def writes(self) -> Mapping[str, int]:
        """How often each plain object was written, by the access log."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for row in read_log(whole):
            self._note(row)
        return dict(self._writes)

    def _note(self, row: Logged) -> None:
        mine = row.bucket == self.bucket and row.key.startswith(self._key(""))
        key = self._without_prefix(row.key) if mine else NOBODYS
        if key.startswith(NOBODYS) or row.status >= _FIRST_ERROR:
            return
        if row.method == "DELETE":
            self._writes.pop(key, None)
        elif row.method == ("POST" if "uploadId" in row.query else "PUT"):
            self._writes[key] += 1

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _without_prefix(self, key: str) -> str:
        return key.removeprefix(self._key(""))


@cache
def _client(url: str) -> S3Client:
    """One for all tests: to make one takes some 100 ms."""
    return s3_client(url)


def _write_profile(home: Path) -> tuple[Path, Path]:
    """The files of a person who may do all; the credentials' file, and the configuration's."""
    folder = home / ".aws"
    folder.mkdir(parents=True, exist_ok=True)
    credentials, config = folder / "credentials", folder / "config"
    credentials.write_text(
        f"[default]\naws_access_key_id = tester\naws_secret_access_key = {SECRET}\n"
    )
    config.write_text(f"[default]\nregion = {REGION}\n")
    return credentials, config
