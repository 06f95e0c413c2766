"""Each error says what happened, to which store and key, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from swampd.domain.datastores import CloudEnvironment, S3Settings
from swampd.domain.outcomes import Rejected, Unknown
from swampd.errors import (
    EXIT_CONFIG,
    EXIT_CREDENTIALS,
    EXIT_ERROR,
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
from swampd.stores.s3.credentials import Chain
from swampd.stores.s3.faults import BUSY_S, Action, Faults
from swampd.stores.s3.outcomes import written

SETTINGS = S3Settings("team-store", "notes", endpoint="http://127.0.0.1:9")
NAME = "s3 team-store/notes at http://127.0.0.1:9"
KEY = "notes/data/a.yaml"
EXPECTED = {
    Meaning.NOT_THERE: StoreUnavailable,
    Meaning.NO_BUCKET: NoBucket,
    Meaning.CONDITION_FAILED: StoreUnavailable,
    Meaning.RACED: StoreUnavailable,
    Meaning.NOT_CHANGED: StoreUnavailable,
    Meaning.DENIED: StoreDenied,
    Meaning.BAD_CREDENTIALS: CredentialsRefused,
    Meaning.NO_CREDENTIALS: NoCredentials,
    Meaning.SKEWED: StoreUnavailable,
    Meaning.OTHER_REGION: WrongRegion,
    Meaning.NOT_SUPPORTED: NotSupported,
    Meaning.BAD_REQUEST: KeyRefused,
    Meaning.BUSY: StoreUnavailable,
    Meaning.NOT_SENT: StoreUnavailable,
    Meaning.NOT_TRUSTED: StoreUnavailable,
    Meaning.UNCLEAR: StoreUnavailable,
}
LANDED_OR_NOT = {
    Meaning.CONDITION_FAILED: Rejected(),
    Meaning.NOT_THERE: Rejected(),
    Meaning.RACED: Rejected(raced=True),
    Meaning.BUSY: Unknown("Code: why", BUSY_S),
    Meaning.UNCLEAR: Unknown("Code: why"),
    Meaning.NOT_CHANGED: Unknown("Code: why"),
}
"""The rest are errors: what they are of did not land."""


def faults(settings: S3Settings = SETTINGS, **said: Any) -> Faults:
    environment = CloudEnvironment(**said)
    return Faults(settings, environment, Chain(environment))


def fault(meaning: Meaning, action: Action = Action.READ, region: str = "") -> SwampdError:
    return faults().error(Answer(meaning, "Code", "why", region=region), action, KEY)


@pytest.mark.parametrize("meaning", Meaning)
@pytest.mark.parametrize("action", Action)
def test_every_answer_is_an_error_with_a_hint(meaning: Meaning, action: Action) -> None:
    error = fault(meaning, action)
    assert type(error) is EXPECTED[meaning]
    assert "team-store" in error.summary
    assert "why" in error.summary or meaning is Meaning.NO_BUCKET
    assert len(error.hint) > 10
    assert error.meaning.exit_code in {EXIT_ERROR, EXIT_CONFIG, EXIT_CREDENTIALS}


@pytest.mark.parametrize("action", Action)
def test_a_denial_names_store_key_and_permission(action: Action) -> None:
    error = fault(Meaning.DENIED, action)
    for part in (NAME, KEY, action.value, "Code"):
        assert part in error.summary
    assert f"the permission {action.value} on team-store" in error.hint
    assert error.fields["permission"] == action.value
    assert error.fields["key"] == KEY
    assert error.meaning.exit_code == EXIT_CREDENTIALS


def test_a_denied_read_may_be_of_what_is_missing() -> None:
    assert "s3:ListBucket" in fault(Meaning.DENIED, Action.READ).hint


def test_a_denied_delete_may_be_of_what_is_locked() -> None:
    hint = fault(Meaning.DENIED, Action.DELETE).hint
    assert "object lock or a legal hold" in hint
    assert "object lock" not in fault(Meaning.DENIED, Action.WRITE).hint


def test_a_missing_bucket_is_named_with_its_endpoint() -> None:
    error = fault(Meaning.NO_BUCKET)
    assert error.summary == "there is no bucket 'team-store' at http://127.0.0.1:9"
    at_aws = faults(S3Settings("team-store")).error(
        Answer(Meaning.NO_BUCKET, "NoSuchBucket", ""), Action.READ, KEY
    )
    assert at_aws.summary == "there is no bucket 'team-store' at AWS"


def test_another_region_is_said_with_what_to_write() -> None:
    error = fault(Meaning.OTHER_REGION, region="eu-west-1")
    assert "but in eu-west-1" in error.summary
    assert error.hint == "set `region: eu-west-1` in the datastore"
    assert error.fields["region"] == "eu-west-1"
    assert "correct `region`" in fault(Meaning.OTHER_REGION).hint


def test_clocks_that_differ_are_explained() -> None:
    error = fault(Meaning.SKEWED)
    assert "the clock of this machine and the store's differ" in error.summary
    assert "timedatectl" in error.hint


def test_when_to_come_back_goes_along() -> None:
    answer = Answer(Meaning.BUSY, "SlowDown", "", retry_after_s=3.0)
    error = faults().error(answer, Action.READ, KEY)
    assert isinstance(error, StoreUnavailable)
    assert error.retry_after_s == 3.0
    assert error.summary.endswith("(SlowDown)")


def test_no_credentials_name_what_was_tried_and_what_to_do() -> None:
    error = fault(Meaning.NO_CREDENTIALS)
    assert "tried: none" in error.summary
    assert "AWS_PROFILE" in error.hint
    profile = faults(profile="work").error(
        Answer(Meaning.NO_CREDENTIALS, "NoCredentialsError", ""), Action.READ, KEY
    )
    assert "'work'" in profile.hint


@pytest.mark.parametrize("meaning", Meaning)
def test_a_write_is_refused_only_where_that_is_clear(meaning: Meaning) -> None:
    answer = Answer(meaning, "Code", "why")
    if meaning in LANDED_OR_NOT:
        assert written(answer, faults(), Action.WRITE, KEY) == LANDED_OR_NOT[meaning]
    else:
        with pytest.raises(EXPECTED[meaning]):
            written(answer, faults(), Action.WRITE, KEY)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (S3Settings("b"), "s3 b"),
        (S3Settings("b", "p/q"), "s3 b/p/q"),
        (S3Settings("b", endpoint="https://x"), "s3 b at https://x"),
        (SETTINGS, NAME),
    ],
)
def test_a_store_is_called_by_what_tells_it_from_others(settings: S3Settings, name: str) -> None:
    assert faults(settings).name == name


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (Answer(Meaning.BUSY, "SlowDown", "", retry_after_s=7.0), 7.0),
        (Answer(Meaning.BUSY, "SlowDown", ""), BUSY_S),
        (Answer(Meaning.UNCLEAR, "503", ""), BUSY_S),
        (Answer(Meaning.UNCLEAR, "503", "", retry_after_s=0.0), 0.0),
        (Answer(Meaning.UNCLEAR, "InternalError", ""), None),
        (Answer(Meaning.UNCLEAR, "InternalError", "", retry_after_s=2.0), 2.0),
    ],
)
def test_reads_and_writes_say_how_long_the_store_wants_to_be_left_alone(
    answer: Answer, asked: float | None
) -> None:
    outcome = written(answer, faults(), Action.WRITE, KEY)
    assert isinstance(outcome, Unknown)
    assert outcome.retry_after_s == asked
    error = faults().error(answer, Action.READ, KEY)
    assert isinstance(error, StoreUnavailable)
    assert error.retry_after_s == asked
