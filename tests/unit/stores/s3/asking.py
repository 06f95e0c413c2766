"""The two libraries, set up as the product sets them up, and what they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import obstore

from swampd.domain.datastores import CloudEnvironment
from swampd.stores.s3.answers import Answer, from_boto, from_obstore
from swampd.stores.s3.connection import new_client
from swampd.stores.s3.control import FAILURES, Control
from swampd.stores.s3.credentials import Chain
from swampd.stores.s3.faults import Action, Faults
from swampd.stores.s3.payload import Payload
from tests.servers.clients import BUCKET
from tests.servers.stores import environment_of, settings_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from swampd.stores.s3.answers import Meaning

TIMEOUT_MS = 300


class Library(Protocol):
    """One of them."""

    def write(self, key: str = "k") -> Answer: ...

    def read(self, key: str = "k") -> Answer: ...


def _chain(home: Path, access_key: str) -> tuple[Chain, CloudEnvironment]:
    environment = environment_of(home, access_key) if access_key else CloudEnvironment()
    return Chain(environment), environment


class Boto:
    """boto3 as `connection` makes it."""

    def __init__(self, url: str, home: Path, access_key: str = "tester") -> None:
        chain, _ = _chain(home, access_key)
        settings = settings_for(url, request_timeout_ms=TIMEOUT_MS)
        self._client: Any = new_client(settings, chain, 1)

    def write(self, key: str = "k") -> Answer:
        return self.failure(
            lambda client: client.put_object(Bucket=BUCKET, Key=key, Body=b"x")["ETag"]
        )

    def read(self, key: str = "k") -> Answer:
        return self.failure(lambda client: client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def head(self) -> Answer:
        return self.failure(
            lambda client: client.head_object(Bucket=BUCKET, Key="k"), has_body=False
        )

    def failure(self, call: Callable[[Any], object], *, has_body: bool = True) -> Answer:
        try:
            call(self._client)
        except FAILURES as error:
            return from_boto(error, has_body=has_body)
        raise AssertionError("it succeeded")


class Obstore:
    """obstore as `payload` makes it."""

    def __init__(self, url: str, home: Path, access_key: str = "tester") -> None:
        chain, environment = _chain(home, access_key)
        settings = settings_for(url, request_timeout_ms=TIMEOUT_MS)
        faults = Faults(settings, environment, chain)
        self._payload = Payload(Control(settings, chain, faults, 1), settings, chain, faults)

    def write(self, key: str = "k") -> Answer:
        return self._failure(
            lambda bucket: obstore.put(bucket, key, b"x", mode="create", use_multipart=False)
        )

    def read(self, key: str = "k") -> Answer:
        return self._failure(lambda bucket: obstore.get(bucket, key).bytes())

    def _failure(self, call: Callable[[Any], object]) -> Answer:
        try:
            call(self._payload._bucket(Action.WRITE))
        except Exception as error:  # noqa: BLE001 - as the product takes them
            return from_obstore(error)
        raise AssertionError("it succeeded")


LIBRARIES = (Boto, Obstore)


def meanings(library: Library, key: str = "k") -> set[Meaning]:
    """What a write and a read meet."""
    return {library.write(key).meaning, library.read(key).meaning}
