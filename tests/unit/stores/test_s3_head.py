"""An answer to HEAD has no body: what it leaves open is asked of the bucket, within our prefix."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from swampd.domain.datastores import CloudEnvironment, S3Settings
from swampd.domain.outcomes import Missing
from swampd.domain.values import RemoteKey
from swampd.errors import (
    CredentialsRefused,
    NoBucket,
    StoreDenied,
    StoreUnavailable,
    SwampdError,
    WrongRegion,
)
from swampd.stores.s3 import credentials
from swampd.stores.s3.store import S3Store
from tests.servers.clients import REGION, credentials_file, s3_client
from tests.servers.refusals import (
    ACCESS_DENIED,
    EXPIRED_TOKEN,
    SKEWED,
    SLOW_DOWN,
    Denial,
    Match,
    Refusal,
    elsewhere,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.moto import MotoServer

PREFIX = "team/swamp"
KEY = RemoteKey(f"{PREFIX}/data/f")
NO_BUCKET = Refusal(404, "NoSuchBucket", "The specified bucket does not exist")
ANYTHING = Match()
OUTSIDE = Match(method="GET", path="^/[^/]+/?$", query=r"prefix=(?!team%2Fswamp%2F)")
"""Listings that a policy for the prefix does not allow."""


@pytest.fixture
def moto(moto_process: MotoServer) -> Iterator[MotoServer]:
    yield moto_process
    moto_process.deny()


@pytest.fixture
def store(moto: MotoServer, tmp_path: Path) -> Iterator[S3Store]:
    bucket = f"head-{uuid.uuid4()}"
    s3_client(moto.url).create_bucket(Bucket=bucket)
    settings = S3Settings(bucket, PREFIX, REGION, moto.url, force_path_style=True)
    environment = CloudEnvironment(shared_credentials_file=str(credentials_file(tmp_path)))
    store = S3Store(settings, environment)
    yield store
    asyncio.run(store.close())


@pytest.mark.parametrize(
    ("refusal", "kind", "word"),
    [
        (EXPIRED_TOKEN, CredentialsRefused, "ExpiredToken"),
        (SKEWED, StoreUnavailable, "clock"),
        (SLOW_DOWN, StoreUnavailable, "503"),
        (NO_BUCKET, NoBucket, "no bucket"),
        (elsewhere("eu-west-1"), WrongRegion, "eu-west-1"),
    ],
)
def test_the_reason_is_told(
    moto: MotoServer, store: S3Store, refusal: Refusal, kind: type[SwampdError], word: str
) -> None:
    moto.deny(Denial(ANYTHING, refusal))
    with pytest.raises(kind, match=word):
        asyncio.run(store.head(KEY))


def test_credentials_that_were_renewed_are_found(
    moto: MotoServer, store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "LEAST_BETWEEN", timedelta(0))
    moto.deny(Denial(Match(access_key="tester"), EXPIRED_TOKEN))

    async def scenario() -> None:
        with pytest.raises(CredentialsRefused):
            await store.head(KEY)
        credentials_file(tmp_path, "renewed")
        assert await store.head(KEY) == Missing()

    asyncio.run(scenario())


def test_what_may_not_be_read_is_told_by_its_key(moto: MotoServer, store: S3Store) -> None:
    moto.deny(Denial(Match(method="HEAD"), ACCESS_DENIED))
    with pytest.raises(StoreDenied, match=f"s3:GetObject on '{KEY}'"):
        asyncio.run(store.head(KEY))


def test_a_policy_for_the_prefix_is_enough_to_tell_that_something_is_missing(
    moto: MotoServer, store: S3Store
) -> None:
    moto.deny(Denial(OUTSIDE, ACCESS_DENIED))
    assert asyncio.run(store.head(KEY)) == Missing()
