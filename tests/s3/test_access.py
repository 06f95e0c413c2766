"""Who may not, or is not where they think: the error says what to do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from swampd.domain.datastores import CloudEnvironment
from swampd.domain.values import RemoteKey, Token
from swampd.errors import (
    CredentialsRefused,
    NoBucket,
    NoCredentials,
    NoLayout,
    NotADatastore,
    StoreDenied,
    StoreUnavailable,
    SwampdError,
    WrongRegion,
)
from swampd.stores.probe import Check, Verdict
from tests.s3.conftest import KEYS, PREFIX, Place
from tests.servers.clients import s3_client
from tests.servers.refusals import (
    ACCESS_DENIED,
    EXPIRED_TOKEN,
    OBJECT_LOCKED,
    SKEWED,
    Denial,
    Match,
    Refusal,
    elsewhere,
    signed_for,
)
from tests.servers.stores import environment_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.moto import MotoServer

KEY = RemoteKey(f"{PREFIX}/data/a.yaml")
BOTH: dict[str, Callable[[Place], object]] = {
    "set-up": lambda place: place.set_up(),
    "opening": lambda place: place.find_layout(),
}
either = pytest.mark.parametrize("ask", BOTH.values(), ids=BOTH)


def of_bucket(place: Place, refusal: Refusal, method: str = "") -> Denial:
    """Requests about the bucket itself or what is in it."""
    return Denial(Match(method, path=f"^/{place.bucket}(/|$)"), refusal)


def listing(place: Place) -> Match:
    return Match("GET", path=f"^/{place.bucket}/?$")


def test_all_is_well(place: Place) -> None:
    made = place.set_up()
    assert made.created
    assert not place.set_up().created
    assert place.find_layout().datastore_id == made.datastore_id
    client = s3_client(place.url)
    (row,) = client.list_objects_v2(Bucket=place.bucket)["Contents"]
    assert row["Key"] == KEYS.layout


def test_an_empty_bucket_is_to_be_set_up_first(place: Place) -> None:
    with pytest.raises(NoLayout) as met:
        place.find_layout()
    assert "swampctl datastore setup" in met.value.hint


def test_what_is_somebody_elses_is_left_alone(place: Place) -> None:
    client = s3_client(place.url)
    client.put_object(Bucket=place.bucket, Key=f"{PREFIX}x/beside", Body=b"1")
    client.put_object(Bucket=place.bucket, Key=KEY, Body=b"1")
    with pytest.raises(NotADatastore, match=r"data/a\.yaml"):
        place.set_up()
    client.delete_object(Bucket=place.bucket, Key=KEY)
    assert place.set_up().created


@either
def test_no_bucket(place: Place, ask: Callable[[Place], object]) -> None:
    place.bucket = "not-there"
    with pytest.raises(NoBucket) as met:
        ask(place)
    assert met.value.summary == f"there is no bucket 'not-there' at {place.url}"
    assert met.value.meaning.exit_code == 10


# --- rights ---------------------------------------------------------------------------------


def denied(ask: Callable[[], object]) -> StoreDenied:
    with pytest.raises(StoreDenied) as met:
        ask()
    assert met.value.code == "store_denied"
    assert met.value.meaning.exit_code == 12
    return met.value


def test_who_may_only_read_is_told_which_permission_is_missing(
    place: Place, moto: MotoServer
) -> None:
    moto.deny(of_bucket(place, ACCESS_DENIED, "PUT|POST|DELETE"))
    error = denied(place.set_up)
    assert error.fields["permission"] == "s3:PutObject"
    assert error.fields["key"].startswith(f"{PREFIX}/_control/swampd/probe/")
    assert f"the permission s3:PutObject on {place.bucket}" in error.hint
    assert "access key ...ster" in error.summary
    moto.deny()
    place.set_up()
    moto.deny(of_bucket(place, ACCESS_DENIED, "PUT|POST|DELETE"))
    assert place.find_layout().datastore_id


def test_who_may_not_list_is_told_so(place: Place, moto: MotoServer) -> None:
    moto.deny(Denial(listing(place), ACCESS_DENIED))
    for ask in (place.set_up, place.find_layout):
        error = denied(ask)
        assert error.fields["permission"] == "s3:ListBucket"
        assert f"the permission s3:ListBucket on {place.bucket}" in error.hint


def test_without_the_right_to_list_what_is_missing_looks_forbidden(
    place: Place, moto: MotoServer
) -> None:
    """S3 answers a read of what is not there so, to who may not list."""
    moto.deny(of_bucket(place, ACCESS_DENIED, "GET|HEAD"))
    error = denied(place.find_layout)
    assert error.fields["permission"] == "s3:GetObject"
    assert "s3:ListBucket: without it what is missing looks forbidden" in error.hint


def test_who_may_not_delete_is_taken_and_told_when_it_is_needed(
    place: Place, moto: MotoServer
) -> None:
    moto.deny(of_bucket(place, ACCESS_DENIED, "DELETE"))
    assert place.set_up().report.verdicts[Check.DELETE_STALE] is Verdict.DENIED

    async def delete() -> None:
        store = place.open()
        try:
            await store.delete(KEY)
        finally:
            await store.close()

    error = denied(lambda: asyncio.run(delete()))
    assert error.fields["permission"] == "s3:DeleteObject"
    assert f"the permission s3:DeleteObject on {place.bucket}" in error.hint


def test_what_is_locked_cannot_be_deleted_and_that_is_said(place: Place, moto: MotoServer) -> None:
    place.set_up()
    moto.deny(Denial(Match("DELETE", path="/data/"), OBJECT_LOCKED))

    async def run() -> None:
        store = place.open()
        await store.create(KEY, b"x", {})
        for delete in (store.delete(KEY), store.delete_if(KEY, Token("x"))):
            with pytest.raises(StoreDenied) as met:
                await delete
            assert "protected by object lock" in met.value.summary
            assert repr(str(KEY)) in met.value.summary
            assert "object lock or a legal hold" in met.value.hint
        await store.close()

    asyncio.run(run())


# --- credentials ----------------------------------------------------------------------------

WRONG = [
    EXPIRED_TOKEN,
    Refusal(403, "InvalidAccessKeyId", "The AWS Access Key Id does not exist in our records."),
    Refusal(403, "SignatureDoesNotMatch", "The signature we calculated does not match."),
    Refusal(400, "InvalidToken", "The provided token is malformed or otherwise invalid."),
    Refusal(400, "AuthorizationHeaderMalformed", "The authorization header is malformed."),
]


@either
@pytest.mark.parametrize("refusal", WRONG, ids=lambda refusal: refusal.code)
def test_wrong_credentials_are_told_with_where_they_came_from(
    place: Place, moto: MotoServer, refusal: Refusal, ask: Callable[[Place], object]
) -> None:
    moto.deny(of_bucket(place, refusal))
    with pytest.raises(CredentialsRefused) as met:
        ask(place)
    error = met.value
    assert error.meaning.exit_code == 12
    for part in ("shared-credentials-file", "access key ...ster", refusal.code):
        assert part in error.summary
    assert "tried: " in error.summary
    assert "log in again" in error.hint
    assert "iam-role" in error.fields["tried"]


@either
def test_no_credentials_are_told_with_what_was_tried(
    place: Place, ask: Callable[[Place], object]
) -> None:
    place.environment = CloudEnvironment()
    with pytest.raises(NoCredentials) as met:
        ask(place)
    error = met.value
    assert error.meaning.exit_code == 12
    for link in ("shared-credentials-file", "assume-role", "sso", "iam-role"):
        assert link in error.summary
    assert "set AWS_PROFILE" in error.hint


def test_a_profile_that_is_not_there_is_named(place: Place) -> None:
    place.environment = replace(place.environment, profile="missing")
    for ask in (place.set_up, place.find_layout):
        with pytest.raises(NoCredentials, match="missing"):
            ask()


def test_bytes_are_refused_in_the_same_words(place: Place, moto: MotoServer) -> None:
    """obstore sends them, boto3 the rest."""
    place.set_up()
    exact = KEYS.layout

    def met(key: RemoteKey) -> list[SwampdError]:
        async def run() -> list[SwampdError]:
            store = place.open()
            errors = []
            for ask in (store.get(key), store.create(key, b"x", {})):
                with pytest.raises(SwampdError) as met:
                    await ask
                errors.append(met.value)
            await store.close()
            return errors

        return asyncio.run(run())

    for refusal in (*WRONG, ACCESS_DENIED, SKEWED, signed_for("us-east-1", "eu-west-1")):
        moto.deny(of_bucket(place, refusal))
        for one, other in zip(met(exact), met(KEY), strict=True):
            assert type(one) is type(other)
            assert one.summary.replace(exact, KEY) == other.summary
            assert one.hint == other.hint


# --- time and place -------------------------------------------------------------------------


@either
def test_clocks_that_differ_are_explained(
    place: Place, moto: MotoServer, ask: Callable[[Place], object]
) -> None:
    moto.deny(of_bucket(place, SKEWED))
    with pytest.raises(StoreUnavailable) as met:
        ask(place)
    assert "the clock of this machine and the store's differ by too much" in met.value.summary
    assert "set this machine's clock" in met.value.hint


@either
@pytest.mark.parametrize(
    "refusal", [elsewhere("eu-west-1"), signed_for("us-east-1", "eu-west-1")], ids=["301", "400"]
)
def test_a_bucket_elsewhere_is_told_with_what_to_write(
    place: Place, moto: MotoServer, refusal: Refusal, ask: Callable[[Place], object]
) -> None:
    moto.deny(of_bucket(place, refusal))
    with pytest.raises(WrongRegion) as met:
        ask(place)
    assert f"the bucket {place.bucket!r} is not in the region that was asked" in met.value.summary
    assert "but in eu-west-1" in met.value.summary
    assert met.value.hint == "set `region: eu-west-1` in the datastore"
    assert met.value.meaning.exit_code == 10


def test_nothing_is_written_to_a_bucket_that_was_refused(
    place: Place, moto: MotoServer, tmp_path: Path
) -> None:
    home = tmp_path / "another"
    home.mkdir()
    place.environment = environment_of(home, "reader")
    moto.deny(Denial(Match("PUT|POST|DELETE", access_key="reader"), ACCESS_DENIED))
    denied(place.set_up)
    assert "Contents" not in s3_client(place.url).list_objects_v2(Bucket=place.bucket)
